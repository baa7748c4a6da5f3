"""What a model would rather do, and how emotions' vectors go with it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probes.analysis.findings import Estimate
from probes.experiments.preferences.orders import OrderAgreement
from probes.figures.description import Lines, Panel, Scatter
from probes.figures.estimates import line_of

if TYPE_CHECKING:
    from probes.experiments.preferences.preferences import Preferences


def activity_elo(result: "Preferences") -> Lines:
    """Describe Elo of all activities, grouped by category, with intervals."""
    lines, start = [], 0
    for category in dict.fromkeys(row.category for row in result.activities):
        rows = [row for row in result.activities if row.category == category]
        rows.sort(key=lambda row: row.elo)
        x = tuple(map(float, range(start, start + len(rows))))
        line = line_of(category, x, [Estimate(row.elo, row.low, row.high) for row in rows])
        lines.append(replace(line, notes=tuple(row.text for row in rows)))
        start += len(rows)
    return Lines(
        title="What the model would rather do",
        subtitle=f"{result.model}, {len(result.activities)} activities, {result.n_pairs} of "
        f"{result.n_pairs_all} pairs in both orders",
        caption="Each point is an activity, sorted within its category; the band is the 95% "
        f"interval over pairs. {_agreement(result.orders)}",
        x_label="activity, by category and Elo",
        panels=(Panel(y_label="Elo (mean 0)", lines=tuple(lines)),),
    )


def preference_coupling(result: "Preferences") -> Scatter:
    """Describe each steered emotion's correlation with Elo beside what steering with it does."""
    steered = {name: (it.r, it.push) for name, it in result.emotions.items() if it.push is not None}
    joined, control = result.coupling, result.coupling_shuffled
    caption = (
        "Across: correlation over activities of the vector's cosine with Elo. Up: change in Elo of "
        "an activity when the vector is added to its tokens."
    )
    if joined is not None:
        caption += (
            f" r={joined.r:.2f} [{joined.low:.2f}, {joined.high:.2f}], n={joined.n}, "
            f"p={joined.p:.2g}"
        )
        caption += "." if control is None else f"; shuffled-label vectors r={control.r:.2f}."
    if not result.orders.beyond_chance:
        caption += f" {_agreement(result.orders)}"
    return Scatter(
        title="Emotions that go with preference, and emotions that move it",
        subtitle=f"{result.model}, layer {result.layer}, dose {result.dose:g}, "
        f"{result.n_steered_pairs} steered pairs",
        caption=caption,
        labels=tuple(steered),
        x=tuple(read for read, _ in steered.values()),
        y=tuple(push for _, push in steered.values()),
        x_label="correlation with Elo (r)",
        y_label="change in Elo when steered",
    )


def _agreement(orders: OrderAgreement) -> str:
    same, chance = orders.same_choice, orders.same_choice_by_chance
    if orders.beyond_chance:
        often = f"{same:.0%} (by chance {chance:.0%})"
        return f"Both orders of a pair lead to the same choice for {often}."
    r = "r is not defined" if orders.r is None else f"r={orders.r:.2f}"
    return (
        f"The two orders of a pair do not agree beyond chance ({r}; the same choice for "
        f"{same:.0%}, by chance {chance:.0%}): Elo points measure no preference here."
    )
