"""Messages that imply an emotion beside every emotion's vector.

Contract: pure; one dictionary as ``analysis/scenarios.json`` holds it becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap
from probes.figures.reading import matrix, need

_READINGS = {
    "centered": "the mean of its battery is subtracted",
    "uncentered": "nothing is subtracted, so an emotion that all messages are close to has a "
    "column of its own color",
}


def scenario_heatmap(scenarios: Mapping[str, Any], reading: str = "centered") -> Heatmap:
    """Describe the cosines of both batteries with the emotions that they imply.

    Parameters
    ----------
    reading
        ``centered`` or ``uncentered``.

    Raises
    ------
    DataError
        A part is missing or a cosine is not finite.
    """
    batteries = need(scenarios, "batteries", "scenarios")
    everything = need(scenarios, "emotions", "scenarios")
    rows, values, ends, parts = [], [], [], []
    columns = tuple(next(iter(batteries.values()))["emotions"])
    places = [everything.index(emotion) for emotion in columns]
    for name, battery in batteries.items():
        found = need(battery, reading, f"scenarios.{name}")
        cosine = matrix(need(found, "matrix", f"scenarios.{name}"), f"scenarios.{name}.matrix")
        rows += [f"{emotion} ({name})" for emotion in battery["emotions"]]
        values += [tuple(row[place] for place in places) for row in cosine]
        ends.append(len(rows))
        parts.append(f"{name}: {found['contrast']:+.3f}, p={found['p']:.4f}")
    largest = max(abs(value) for row in values for value in row)
    return Heatmap(
        title="Messages that imply an emotion without naming it"
        + ("" if reading == "centered" else f", {reading}"),
        subtitle=f"{scenarios['model']}, layer {scenarios['layer']}, {len(columns)} of 12 emotions "
        "have a vector in this run",
        caption=f"Row: a message, read {scenarios['read']}; {_READINGS[reading]}. "
        "Column: an emotion's vector. If the vectors follow what a message implies, the diagonal "
        "of each battery stands out. Own emotion above the others: " + "; ".join(parts) + ".",
        rows=tuple(rows),
        columns=columns,
        values=tuple(values),
        value_label="cosine",
        x_label="emotion vector",
        y_label="implied emotion (battery)",
        limits=(-largest, largest),
        boundaries=tuple(ends[:-1]),
    )
