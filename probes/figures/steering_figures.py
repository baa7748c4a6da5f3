"""What steering does to every emotion's word.

Contract: pure; one dictionary as ``analysis/steering.json`` holds it becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap
from probes.figures.reading import matrix, need


def steering_matrix(steering: Mapping[str, Any]) -> Heatmap:
    """Describe the change of every word's log-probability under every vector, at the middle dose.

    Raises
    ------
    DataError
        A part is missing or a change is not finite.
    """
    doses = need(steering, "doses", "steering")
    dose = doses[len(doses) // 2]
    emotions = tuple(need(steering, "emotions", "steering"))
    values = matrix(need(dose, "matrix", "steering.doses"), "steering.doses.matrix")
    model, layer = need(steering, "model", "steering"), need(steering, "layer", "steering")
    largest = max(abs(value) for row in values for value in row)
    beats = len(need(dose, "beats_all_random", "steering.doses"))
    return Heatmap(
        title="What steering does to the words for emotions",
        subtitle=f"{model}, layer {layer}, dose {dose['dose']:g} of the mean residual norm, "
        f"{len(emotions)} emotions",
        caption=f"Row: the vector that was added. Column: the word. Own words (diagonal) change by "
        f"{dose['matching']:+.2f} on average, other words by {dose['other']:+.2f}, the same words "
        f"under random directions by {dose['random_matching']:+.2f}. {beats} of {len(emotions)} "
        f"vectors raise their own word more than each of {steering['n_random']} random directions "
        "does.",
        rows=emotions,
        columns=emotions,
        values=tuple(tuple(row) for row in values),
        value_label="change of log-probability (nats)",
        x_label="word",
        y_label="vector",
        limits=(-largest, largest),
    )
