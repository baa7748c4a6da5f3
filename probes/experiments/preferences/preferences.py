"""Preferences: do vectors follow what a model would rather do, and do they move it.

Pairs of 64 activities are asked in both orders (`forced_choice`), and answers become Elo points
(`bradley_terry`). The cosine of an activity's tokens with each vector is set beside Elo, and those
that are steered with are added to one activity of some pairs; `links` couples the two. Controls:
shuffled-label vectors, and the number of an activity's tokens beside Elo.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import rating_table
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, RunNumber
from probes.analysis.statistics import Correlation, pearson
from probes.experiments import Experiment, Result
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines
from probes.experiments.preferences import forced_choice
from probes.experiments.preferences.bradley_terry import balanced_pairs, fit
from probes.experiments.preferences.figures import activity_elo, preference_coupling
from probes.experiments.preferences.links import MIN_DIRECTIONS, Coupling, Link, coupling, links
from probes.experiments.preferences.orders import OrderAgreement, compare_orders
from probes.experiments.steering.controls import shuffled_vectors
from probes.experiments.steering.doses import compare_with_paper, dosing_of, judged_dose
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli import activities

_PAPER_EMOTIONS = ("blissful", "hostile")


@dataclass(frozen=True)
class RatedActivity:
    """An activity with its Elo points, their 95% interval, and its number of tokens."""

    category: str
    text: str
    elo: float
    low: float
    high: float
    n_tokens: int


@dataclass(frozen=True)
class Preferences(Result):
    """What the model would rather do, and how vectors go with it.

    `n_directions`: the steered vectors vary like so many independent ones (participation ratio).
    None where there are too few vectors or rated emotions, or an activity's length does not vary.
    """

    model: str
    layer: int
    chat: bool
    dose: float
    n_activities: int
    n_pairs: int
    n_pairs_all: int
    n_steered_pairs: int
    activities: list[RatedActivity]
    orders: OrderAgreement
    n_directions: float
    emotions: Mapping[str, Link]
    coupling: Coupling | None
    coupling_shuffled: Coupling | None
    length_r: Correlation | None
    valence: Correlation | None

    def findings(self) -> list[Finding]:
        """Say whether there are preferences, and whether vectors follow and move them."""
        coupled = [] if self.coupling is None else [self._coupled(self.coupling)]
        return [self._orders(), *coupled, self._strongest_link()]

    def _orders(self) -> Finding:
        orders = self.orders
        note = (
            f"same choice for {orders.same_choice:.0%} (by chance, with its lean to a letter: "
            f"{orders.same_choice_by_chance:.0%})"
        )
        if not orders.beyond_chance:
            note += ", so the model has no preferences that vectors could follow"
        return Finding(
            "preferences: both orders of a pair agree",
            None if orders.r is None else Estimate(orders.r, orders.low, orders.high),
            "shown" if orders.beyond_chance else "not shown",
            spec="+.2f",
            unit="r",
            n=f"{self.n_pairs} of {self.n_pairs_all} pairs",
            note=note,
            rule="Whether answers to both orders of a pair go together. Called shown when the "
            "interval of r lies above zero.",
        )

    def _coupled(self, joined: Coupling) -> Finding:
        control, exceeds = None, True
        if self.coupling_shuffled is not None:
            control = Control("shuffled labels", _estimate(self.coupling_shuffled))
            exceeds = joined.low > self.coupling_shuffled.r
        coupled = joined.p < SIGNIFICANT and joined.low > 0 and exceeds
        return Finding(
            "preferences: reading beside steering",
            _estimate(joined),
            "shown" if self.orders.beyond_chance and coupled else "not shown",
            spec="+.2f",
            unit="r",
            n=f"{joined.n} emotions, {self.n_steered_pairs} steered pairs at dose {self.dose:g}",
            control=control,
            p=joined.p,
            n_null=N_PERMUTATIONS,
            rule="Whether vectors that lie where the model likes activities also make it like "
            "the activity that they are added to. Called shown when both orders agree, p < "
            ".05, and the interval lies above zero and above the r of shuffled labels.",
        )

    def _strongest_link(self) -> Finding:
        corrected = [link.p_corrected for link in self.emotions.values()]
        best = max(self.emotions, key=lambda name: abs(self.emotions[name].r))
        return Finding(
            f"preferences: strongest vector beside Elo ({best})",
            _estimate(self.emotions[best]),
            "described",
            spec="+.2f",
            unit="r",
            n=f"{self.n_activities} activities",
            control=self.length_r and Control("number of tokens", _estimate(self.length_r)),
            p=self.emotions[best].p_corrected,
            n_null=N_PERMUTATIONS,
            note=f"{sum(p < SIGNIFICANT for p in corrected)} of {len(corrected)} emotions at "
            f"p < .05, corrected for {len(corrected)}",
        )

    def paragraph(self) -> str:
        """Tell what was asked, and how vectors go with the answers."""
        text = (
            f"The model was asked which of two activities it would rather do, for {self.n_pairs} "
            f"pairs of {self.n_activities} activities, each in both orders"
            f"{'' if self.chat else ' (in plain text: it is a base model)'}, which "
            f"{'agree' if self.orders.beyond_chance else 'do not agree'} beyond chance. A "
            "Bradley-Terry model turns the answers into Elo points."
        )
        if self.valence is not None:
            text += (
                " The emotions' human valence goes with their vectors' correlation with Elo by r "
                f"{_estimate(self.valence):+.2f} over {self.valence.n} rated emotions."
            )
        if self.coupling is not None:
            text += (
                " Whether a vector lies near activities with more points goes with whether it "
                f"raises the activity it is added to by r {_estimate(self.coupling):+.2f} over "
                f"{self.coupling.n} emotions"
            )
            shuffled = self.coupling_shuffled and _estimate(self.coupling_shuffled)
            text += f", vectors from shuffled labels by {shuffled:+.2f}." if shuffled else "."
        return text

    def limits(self) -> list[str]:
        """Say what was left out, what a lean hides, and why a p-value is too small."""
        limits = []
        if self.n_pairs < self.n_pairs_all:
            limits.append(
                f"Preferences: {self.n_pairs} of {self.n_pairs_all} pairs were asked "
                "(validation.preference_pairs)."
            )
        if self.orders.beyond_chance and self.orders.leans:
            limits.append(
                f"Preferences: the model leans to one letter by {abs(self.orders.says_a):.2f} "
                f"nats, more than preferences differ ({self.orders.spread:.2f}); averaging both "
                "orders removes the lean from the mean, not what it hides."
            )
        if self.coupling is not None:
            limits.append(
                f"Preferences: the p-value of reading beside steering permutes pushes among "
                f"{self.coupling.n} emotions as if their vectors were independent; they vary like "
                f"{self.n_directions:.1f} directions that are, so it is too small. The "
                "shuffled-label vectors beside it are one set."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe Elo by activity, and reading beside pushing."""
        return {
            "preferences_elo": activity_elo(self),
            "preferences_coupling": preference_coupling(self),
        }

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return links of the paper's emotions, coupling and valence."""
        ours = "our own activities"
        if self.n_pairs < self.n_pairs_all:
            ours += f", {self.n_pairs} of {self.n_pairs_all} pairs"
        at_dose = compare_with_paper(self.dose, ours)
        numbers: dict[str, RunNumber | str] = {}
        for name in _PAPER_EMOTIONS:
            link = self.emotions.get(name)
            read = push = f"this run has no vector of {name!r}"
            if link is not None:
                read = RunNumber(link.r, (link.low, link.high), self.n_activities, ours)
                push = f"this run did not steer with {name!r}"
                if (pushed := link.pushed) is not None:
                    push = RunNumber(pushed.value, pushed.ends, self.n_steered_pairs, *at_dose)
            numbers[f"preferences.probe_vs_elo_r.{name}"] = read
            numbers[f"preferences.steering_delta_elo.{name}"] = push
        joined, valence = self.coupling, self.valence
        coupled, rated = "too few emotions", "too few emotions with human ratings"
        if joined is not None:
            coupled = RunNumber(joined.r, (joined.low, joined.high), joined.n, *at_dose)
        if valence is not None:
            note = (
                f"ours over the {valence.n} emotions that people rated, the paper's over 171, most "
                "of which the shipped ratings lack"
            )
            ends = valence.low, valence.high
            rated = RunNumber(valence.r, ends, valence.n, note)
        names = ("preferences.coupling_r", "preferences.valence_vs_probe_elo_r")
        return {**numbers, **dict(zip(names, (coupled, rated), strict=True))}


def measure(materials: Materials) -> Preferences:
    """Ask, fit, read, steer, and couple."""
    settings, seed = materials.config.validation, materials.seed
    model, layer = materials.subject(), materials.layer
    offered = activities()
    texts = [activity.text for activity in offered]
    pairs = balanced_pairs(len(texts), settings.preference_pairs, seed)
    steered = balanced_pairs(len(texts), settings.preference_steered_pairs, seed + 1)
    own, shuffled = materials.vectors.at(layer), shuffled_vectors(materials)
    named = materials.steered_emotions(*_PAPER_EMOTIONS)
    rows = [materials.emotions.index(name) for name in named]
    directions = torch.cat([own[rows], shuffled[rows]])
    dosing = dosing_of(materials)
    dose = judged_dose(dosing.doses)
    total = 2 * len(pairs) + 2 * len(steered) * len(directions)
    with materials.reporter.task("preferences", total, "questions") as advance:
        answers = forced_choice.preferences(model, texts, pairs, advance)
        change = forced_choice.steered_changes(
            model, texts, steered, directions, advance, **dosing.at(dose)
        )
    strengths = fit(pairs, answers.mean(dim=0).sigmoid(), len(texts))
    residual, n_tokens = forced_choice.activity_residuals(model, texts, layer)
    mean = materials.vectors.global_mean[materials.vectors.layer_index(layer)]
    probe = cosines(residual - mean, torch.cat([own, shuffled[rows]])).T
    counts = torch.tensor(n_tokens, dtype=torch.float64)
    permuted = {"n_permutations": N_PERMUTATIONS, "seed": seed}
    n, n_steered = len(own), len(rows)
    of_emotions = links(probe[:n], strengths.elo, change[:n_steered], steered=rows, **permuted)
    of_shuffled = links(
        probe[n:], strengths.elo, change[n_steered:], steered=range(n_steered), **permuted
    )
    points = torch.stack([strengths.elo, strengths.low, strengths.high], dim=1).tolist()
    return Preferences(
        model=model.name,
        layer=layer,
        chat=model.is_chat,
        dose=dose,
        n_activities=len(texts),
        n_pairs=len(pairs),
        n_pairs_all=len(texts) * (len(texts) - 1) // 2,
        n_steered_pairs=len(steered),
        activities=[
            RatedActivity(activity.category, activity.text, *elo, n_tokens=count)
            for activity, elo, count in zip(offered, points, n_tokens, strict=True)
        ],
        orders=compare_orders(answers, **permuted),
        n_directions=_n_directions(own[rows]),
        emotions=dict(zip(materials.emotions, of_emotions, strict=True)),
        coupling=coupling(of_emotions, **permuted),
        coupling_shuffled=coupling(of_shuffled, **permuted),
        length_r=pearson(counts, strengths.elo.double()) if counts.std() > 0 else None,
        valence=_valence(materials.emotions, [link.r for link in of_emotions]),
    )


EXPERIMENT = Experiment(Preferences, measure)


def _estimate(correlation: Correlation | Link) -> Estimate:
    return Estimate(correlation.r, correlation.low, correlation.high)


def _n_directions(vectors: Float[Tensor, "emotion d_model"]) -> float:
    """Participation ratio: how many equally long, orthogonal directions would vary as much."""
    spectrum = torch.linalg.svdvals(vectors.double() - vectors.double().mean(dim=0)).square()
    return float(spectrum.sum().square() / spectrum.square().sum())


def _valence(emotions: list[str], r: list[float]) -> Correlation | None:
    """Human valence of the rated emotions beside their correlation with Elo."""
    table = rating_table(emotions)
    rated = [number for number, emotion in enumerate(emotions) if emotion in table]
    if len(rated) < MIN_DIRECTIONS:
        return None
    valence = torch.tensor([table[emotions[number]]["valence"] for number in rated])
    return pearson(valence, torch.tensor([r[number] for number in rated]))
