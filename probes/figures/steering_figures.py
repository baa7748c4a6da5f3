"""What steering does to every emotion's word.

Contract: pure; one dictionary as ``analysis/steering.json`` (``steering_dose_response.json``)
holds it becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap, Line, Lines, Panel
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
    random = need(dose, "random", "steering.doses")
    matched = dose.get("matched")
    harder = (
        ""
        if matched is None
        else " Against random directions with the stories' own covariance "
        f"({matched['matching']:+.2f}) it is {len(matched['beats_all'])}."
    )
    return Heatmap(
        title="What steering does to the words for emotions",
        subtitle=f"{model}, layer {layer}, dose {dose['dose']:g} of the mean residual norm, "
        f"{len(emotions)} emotions",
        caption=f"Row: the vector that was added. Column: the word. Own words (diagonal) change by "
        f"{dose['matching']:+.2f} on average, other words by {dose['other']:+.2f}, the same words "
        f"under random directions by {random['matching']:+.2f}. {len(random['beats_all'])} of "
        f"{len(emotions)} vectors raise their own word more than each of "
        f"{random['n_directions']} random directions does.{harder}",
        rows=emotions,
        columns=emotions,
        values=tuple(tuple(row) for row in values),
        value_label="change of log-probability (nats)",
        x_label="word",
        y_label="vector",
        limits=(-largest, largest),
    )


def dose_response_curves(values: Mapping[str, Any]) -> Lines:
    """Describe what each dose does and costs at each layer, and where the usable range ends.

    Raises
    ------
    DataError
        A part is missing.
    """
    name = "steering_dose_response"
    layers = need(values, "layers", name)
    target, budget = need(values, "target_layer", name), need(values, "budget", name)
    usable = next((entry["usable"] for entry in layers if entry["layer"] == target), None)
    shown = [entry for entry in layers if entry["layer"] == target] or layers[:1]

    def line(entry: Mapping[str, Any], label: str, key: str, interval: str) -> Line:
        doses = entry["doses"]
        return Line(
            name=label,
            x=tuple(dose["dose"] for dose in doses),
            y=tuple(dose[key] for dose in doses),
            low=tuple(dose[interval][0] for dose in doses),
            high=tuple(dose[interval][1] for dose in doses),
        )

    def lines(key: str, interval: str) -> tuple[Line, ...]:
        return tuple(line(entry, f"layer {entry['layer']}", key, interval) for entry in layers)

    random = ()
    if shown[0]["doses"][0]["random"] is not None:
        label = f"random, layer {shown[0]['layer']}"
        random = (line(shown[0], label, "random", "random_interval"),)
    return Lines(
        title="What a dose of steering does, and what it costs",
        subtitle=f"{need(values, 'model', name)}, {len(need(values, 'emotions', name))} emotions' "
        f"vectors, neutral text at {need(values, 'n_tokens', name)} tokens",
        caption="Top: change of the emotion's own word, with 95% interval over "
        f"{len(need(values, 'emotions', name))} emotions, beside {need(values, 'n_random', name)} "
        "random directions with the stories' covariance. Below: KL divergence of the next token "
        "from the unsteered model, and perplexity over the unsteered one, with 95% intervals over "
        f"{need(values, 'n_texts', name)} texts. Budget: "
        f"{budget['max_kl']:g} nats and {budget['max_perplexity_ratio']:g} times. "
        + (
            f"No dose tried at layer {target} is within it."
            if usable is None
            else f"The dashed line is the largest dose tried at layer {target} that is, with all "
            "smaller ones, within it."
        ),
        x_label="dose (fraction of the mean residual norm)",
        panels=(
            Panel(y_label="own word (nats)", lines=(*lines("own", "own_interval"), *random)),
            Panel(
                y_label=f"KL (nats), budget {budget['max_kl']:g}",
                lines=lines("kl", "kl_interval"),
                height=0.7,
            ),
            Panel(
                y_label=f"perplexity ratio, budget {budget['max_perplexity_ratio']:g}",
                lines=lines("perplexity_ratio", "perplexity_interval"),
                height=0.7,
            ),
        ),
        mark=usable,
        mark_label="" if usable is None else f"usable up to {usable:g}",
    )
