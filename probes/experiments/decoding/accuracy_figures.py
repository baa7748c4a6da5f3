"""Accuracy on held-out topics, layer by layer.

Contract: pure; ``analysis/held_out_topics.json`` becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Line, Lines, Panel
from probes.figures.estimates import line_of
from probes.figures.reading import need, number, numbers

_READERS = {"nearest": "nearest vector", "logistic": "logistic regression"}


def accuracy_by_layer(found: Mapping[str, Any]) -> Lines:
    """Describe top-1 accuracy of vectors and of logistic regression beside shuffled labels.

    The lines of shuffled labels are those of the nearest vector; logistic regression was tested
    against its own at one layer, which the caption tells.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    layers = numbers(need(found, "layers", "held_out_topics"), "held_out_topics.layers")
    null = need(found, "permuted", "held_out_topics")
    upper = tuple(number(each["upper"], "held_out_topics.permuted.upper") for each in null)
    middle = tuple(number(each["mean"], "held_out_topics.permuted.mean") for each in null)
    readers = []
    for key, name in _READERS.items():
        top_1 = [each["top_1"] for each in need(found, key, "held_out_topics")]
        readers.append(line_of(name, layers, top_1, f"held_out_topics.{key}"))
    lines = (
        *readers,
        Line(name="nearest, shuffled labels: mean", x=layers, y=middle),
        Line(name="nearest, shuffled labels: 95%", x=layers, y=upper),
    )
    logistic = need(found, "logistic_permuted", "held_out_topics")
    edges = [edge for line in lines for edge in line.high or line.y if edge is not None]
    return Lines(
        title="Naming the emotion of stories on topics no vector was made from",
        subtitle=f"{found['model']}, {len(found['emotions'])} emotions, n = {found['n_rows']} "
        f"{found['rows_are']} on {found['n_topics']} topics in {found['n_folds']} folds",
        caption="Share of held-out stories whose own emotion comes first. Bands: 95% intervals "
        "when topics are drawn again. Shuffled labels are read by the nearest vector: where its "
        "line is inside their range, it shows nothing. Logistic regression was tried on shuffled "
        f"labels at layer {found['layer']} only, where it names {logistic['mean']:.1%} of them "
        f"(95%: {logistic['upper']:.1%}, {logistic['n']} permutations). The highest point of a "
        "line is partly luck: the run's table has the accuracy at a layer that was chosen on other "
        "topics.",
        x_label="layer (0 is the first block)",
        panels=(
            Panel(
                y_label="top-1 accuracy on held-out topics",
                lines=lines,
                y_limits=(0.0, min(1.02, 1.1 * max(edges))),
            ),
        ),
        mark=number(need(found, "layer", "held_out_topics"), "held_out_topics.layer"),
        mark_label=f"layer {found['layer']}, analyzed",
    )
