"""What a model would rather do, and how emotions' vectors go with it.

Contract: pure; one dictionary as ``analysis/preferences.json`` holds it becomes a description.
Where the two orders of a pair do not agree beyond chance, every caption says so.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Line, Lines, Panel, Scatter
from probes.figures.reading import need, number


def activity_elo(preferences: Mapping[str, Any]) -> Lines:
    """Describe Elo of all activities, grouped by category, with intervals.

    Raises
    ------
    DataError
        A part is missing or a number is not finite.
    """
    activities = need(preferences, "activities", "preferences")
    categories = list(dict.fromkeys(row["category"] for row in activities))
    lines, start = [], 0
    for category in categories:
        rows = [row for row in activities if row["category"] == category]
        rows.sort(key=lambda row: row["elo"])
        columns = {
            key: tuple(number(row[key], f"preferences.activities.{key}") for row in rows)
            for key in ("elo", "low", "high")
        }
        lines.append(
            Line(
                name=category,
                x=tuple(float(start + place) for place in range(len(rows))),
                y=columns["elo"],
                low=columns["low"],
                high=columns["high"],
                notes=tuple(row["text"] for row in rows),
            )
        )
        start += len(rows)
    return Lines(
        title="What the model would rather do",
        subtitle=f"{preferences['model']}, {len(activities)} activities, "
        f"{preferences['n_pairs']} of {preferences['n_pairs_all']} pairs in both orders",
        caption="Each point is an activity, sorted within its category; the band is the 95% "
        f"interval over pairs. {_agreement(preferences['orders'])}",
        x_label="activity, by category and Elo",
        panels=(Panel(y_label="Elo (mean 0)", lines=tuple(lines)),),
    )


def preference_coupling(preferences: Mapping[str, Any]) -> Scatter:
    """Describe every emotion's correlation with Elo beside what steering with it does.

    Raises
    ------
    DataError
        A part is missing or a number is not finite.
    """
    emotions = need(preferences, "emotions", "preferences")
    joined, control = preferences.get("coupling"), preferences.get("coupling_shuffled")
    caption = (
        "Across: correlation over activities of the vector's cosine with Elo. Up: change in Elo of "
        "an activity when the vector is added to its tokens."
    )
    if joined is not None:
        caption += (
            f" r={joined['r']:.2f} [{joined['low']:.2f}, {joined['high']:.2f}], n={joined['n']}, "
            f"p={joined['p']:.2g}"
        )
        shuffled = "." if control is None else f"; shuffled-label vectors r={control['r']:.2f}."
        caption += shuffled
    if not agree_beyond_chance(preferences["orders"]):
        caption += f" {_agreement(preferences['orders'])}"
    return Scatter(
        title="Emotions that go with preference, and emotions that move it",
        subtitle=f"{preferences['model']}, layer {preferences['layer']}, dose "
        f"{preferences['dose']:g}, {preferences['n_steered_pairs']} steered pairs",
        caption=caption,
        labels=tuple(emotions),
        x=tuple(number(link["r"], "preferences.r") for link in emotions.values()),
        y=tuple(number(link["push"], "preferences.push") for link in emotions.values()),
        x_label="correlation with Elo (r)",
        y_label="change in Elo when steered",
    )


def agree_beyond_chance(orders: Mapping[str, Any]) -> bool:
    """Tell whether answers to both orders of a pair go together: if not, no preference was met."""
    return orders["r"] is not None and orders["low"] is not None and orders["low"] > 0


def _agreement(orders: Mapping[str, Any]) -> str:
    same, chance = orders["same_choice"], orders["same_choice_by_chance"]
    if agree_beyond_chance(orders):
        found = f"{same:.0%} (by chance {chance:.0%})"
        return f"Both orders of a pair lead to the same choice for {found}."
    found = "r is not defined" if orders["r"] is None else f"r={orders['r']:.2f}"
    return (
        f"The two orders of a pair do not agree beyond chance ({found}; the same choice for "
        f"{same:.0%}, by chance {chance:.0%}): Elo points measure no preference here."
    )
