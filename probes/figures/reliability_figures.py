"""How alike vectors from disjoint topics are, by the number of topics.

Contract: pure; ``analysis/sample_size.json`` becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Line, Lines, Panel
from probes.figures.reading import need, numbers


def sample_size_curve(found: Mapping[str, Any]) -> Lines:
    """Describe the cosine of an emotion's two vectors as topics are added.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    sizes = numbers(need(found, "sizes", "sample_size"), "sample_size.sizes")
    cosine = need(found, "cosine", "sample_size")
    other = numbers(need(found, "other_emotions", "sample_size"), "sample_size.other_emotions")
    low = numbers((each["low"] for each in cosine), "sample_size.cosine.low")
    high = numbers((each["high"] for each in cosine), "sample_size.cosine.high")
    return Lines(
        title="How many stories a vector needs",
        subtitle=f"{found['model']}, layer {found['layer']}, {len(found['emotions'])} emotions, "
        f"{found['stories_per_topic']:.1f} stories per topic, {found['n_splits']} splits",
        caption="Cosine of two vectors of the same emotion, each made from its own topics; the "
        "band is the 95% interval over emotions. The lower line: vectors of different emotions. "
        "Where the upper line still climbs, more topics would change the vectors.",
        x_label="topics on each side",
        panels=(
            Panel(
                y_label="cosine",
                lines=(
                    Line(
                        name="same emotion",
                        x=sizes,
                        y=numbers((each["value"] for each in cosine), "sample_size.cosine"),
                        low=low,
                        high=high,
                    ),
                    Line(name="different emotions", x=sizes, y=other),
                ),
                y_limits=(min(-0.1, *low, *other), 1.02),
            ),
        ),
    )
