"""How alike vectors from disjoint topics are, by the number of topics and by emotion.

Contract: pure; ``analysis/sample_size.json`` becomes two descriptions.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Bars, Line, Lines, Panel, Part
from probes.figures.estimates import line_of
from probes.figures.reading import need, number, numbers


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
    same = line_of("same emotion", sizes, cosine, "sample_size.cosine")
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
                    same,
                    Line(name="different emotions", x=sizes, y=other),
                ),
                y_limits=(min(-0.1, *(each["low"] for each in cosine), *other), 1.02),
            ),
        ),
    )


def reliability_by_emotion(found: Mapping[str, Any]) -> Bars:
    """Describe each emotion's reliability, the lowest first.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    known = {
        emotion: number(value, f"sample_size.reliability.{emotion}")
        for emotion, value in need(found, "reliability", "sample_size").items()
        if value is not None
    }
    order = sorted(known, key=lambda emotion: known[emotion])
    ends = need(found, "reliability_interval", "sample_size")
    intervals = tuple((float(ends[name][0]), float(ends[name][1])) for name in order)
    mean = number(need(found, "mean_reliability", "sample_size"), "sample_size.mean_reliability")
    return Bars(
        title="How reliable each emotion's vector is",
        subtitle=f"{found['model']}, layer {found['layer']}, {found['n_topics']} topics x "
        f"{found['stories_per_topic']:.1f} stories, {found['n_splits']} splits in halves",
        caption="Cosine of an emotion's vectors from two halves of the topics, brought to all "
        "topics by the Spearman-Brown formula. 1: other topics would give the same vector. 0: none "
        f"of it would come back. All emotions together: {mean:.2f}. Lines: 95% intervals, topics "
        "left out in turn.",
        categories=tuple(order),
        parts=(Part(name="reliability", values=tuple(known[emotion] for emotion in order)),),
        category_label="",
        value_label="reliability of the vector from all topics",
        intervals=intervals,
        horizontal=True,
    )
