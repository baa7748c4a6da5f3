"""What explains each emotion's score, and headline statistics under other choices of method.

Contract: pure; ``analysis/confounds.json`` becomes two descriptions, and `choice_bars` serves any
table of choices.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.figures.description import Bars, Heatmap
from probes.figures.estimates import bar_of, bars_by_kind
from probes.figures.reading import need, numbers

TITLES = {"valence": "|r|", "accuracy": "accuracy"}


def explained_by_emotion(found: Mapping[str, Any]) -> Heatmap:
    """Describe the share of every emotion's score that each factor explains.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    factors = tuple(need(found, "factors", "confounds"))
    by_emotion = need(found, "by_emotion", "confounds")
    shown = [
        factor for factor in factors if any(row[factor] is not None for row in by_emotion.values())
    ]
    columns = ["all", *by_emotion]
    rows = []
    for factor in shown:
        where = f"confounds.{factor}"
        shares = [found["factors"][factor]["value"]]
        shares += [row[factor] or 0.0 for row in by_emotion.values()]
        rows.append(tuple(max(0.0, share) for share in numbers(shares, where)))
    largest = max(max(row) for row in rows)
    return Heatmap(
        title="What explains a story's score on its own emotion",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {found['n_rows']} "
        f"{found['rows_are']} on {found['n_topics']} topics",
        caption="Share of the variance of held-out scores among stories of one emotion (adjusted "
        "R2; below zero is shown as zero). Single emotions rest on few stories each and scatter; "
        "the first column has an interval and a p-value in the run's table.",
        rows=tuple(shown),
        columns=tuple(columns),
        values=tuple(rows),
        value_label="share of variance",
        x_label="",
        y_label="",
        limits=(0.0, max(0.1, largest)),
        palette="sequential",
    )


def robust_bars(found: Mapping[str, Any]) -> Bars:
    """Describe the headline statistics before and after robust options."""
    return choice_bars(
        [{**line, "own": line["change"] is None} for line in need(found, "robust", "confounds")],
        title="Does the result rest on a few dimensions",
        subtitle=f"{found['model']}, layer {found['layer']}, {len(found['emotions'])} emotions, "
        f"n = {found['n_rows']} {found['rows_are']} on {found['n_topics']} topics",
        caption="|r|: correlation of a component with human valence. Accuracy: stories on held-out "
        "topics whose own emotion comes first. A bar far below the first of its kind: the "
        "statistic rests on the dimensions that were dropped, or on their scale. Lines: 95% "
        "intervals.",
    )


def choice_bars(
    lines: Sequence[Mapping[str, Any]], *, title: str, subtitle: str, caption: str
) -> Bars:
    """Describe one bar per choice and statistic, the run's own choice in another color.

    Parameters
    ----------
    lines
        With ``name``, ``own`` and, where compared, ``valence`` and ``accuracy``.
    """
    kinds = ("this run", "another choice")
    bars = [
        bar_of(f"{short}: {line['name']}", kinds[not line["own"]], line[key], line["name"])
        for key, short in TITLES.items()
        for line in lines
        if line.get(key) is not None
    ]
    return Bars(
        title=title,
        subtitle=subtitle,
        caption=caption,
        value_label="correlation or share of stories",
        **bars_by_kind(bars, kinds, muted=kinds[1:]),
    )
