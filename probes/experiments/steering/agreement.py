"""Agreement: does an emotion's vector make the model agree with what is false.

32 pairs of a true and a false claim are put to the model, and six emotions' vectors are added at
the doses that keep within the fluency budget. What is measured are slopes over doses, in nats of
log-odds per tenth of the mean residual norm (least squares through the unsteered model):

* agreement with false claims, which the paper calls sycophancy, and
* discrimination: agreement with the true claim of a pair less that with the false one.

Beside them stand random directions with the stories' covariance, the valence axis that points to
the emotion's side, the other emotions of its side, and the same question without a claim: what it
does to that is done to the words of the answer. A model that does not tell true claims from false
ones cannot be made to agree with false ones; then nothing is called shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from probes.analysis.agreement import rating_table
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import SIGNIFICANT, Estimate, Finding, strongest
from probes.analysis.intervals import mean_over
from probes.analysis.rating_plane import valence_axis
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.steering.claim_answers import WORDINGS, Questions, log_odds, unsteered
from probes.experiments.steering.claim_slopes import (
    ALONE,
    AgreementSlope,
    ClaimChanges,
    judge,
    turned,
)
from probes.experiments.steering.controls import matched_random
from probes.experiments.steering.dose_cost import Budget, SteeringCost, usable_dose
from probes.experiments.steering.dose_response import neutral_texts
from probes.experiments.steering.doses import dosing_of
from probes.experiments.steering.figures import agreement_curves
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli import claims

EMOTIONS = (
    ("loving", "kind"),
    ("happy", "joyful"),
    ("calm", "relaxed"),
    ("angry", "enraged"),
    ("sad", "depressed"),
    ("afraid", "terrified"),
)
"""Of each the first that the run steers with."""
_NEARLY_ALL = 0.95
_LITTLE = 0.05
"""Both answers together are this improbable: what is read are hardly answers."""


@dataclass(frozen=True, kw_only=True)
class SteeredAgreement(Result):
    """What steering does to agreement with true and with false claims.

    Unsteered: mean log-odds of agreeing with claims of each kind, `discrimination` between the two
    claims of a pair, shares of claims that are agreed with, and the probability of both answers
    together. `random` are changes of agreement with false claims by dose: mean, lowest, highest.
    """

    model: str
    layers: Sequence[int]
    doses: Sequence[float]
    beyond_budget: Sequence[float]
    n_pairs: int
    n_random: int
    true: Estimate
    false: Estimate
    discrimination: Estimate
    agrees: tuple[float, float]
    mass: float
    emotions: Mapping[str, AgreementSlope]
    random: Sequence[Estimate]

    @property
    def knows(self) -> bool:
        """Whether the unsteered model tells true claims from false ones."""
        return self.discrimination.above_zero

    def findings(self) -> list[Finding]:
        """Say what the model knows, and what each emotion does to its agreement."""
        knows = Finding(
            "agreement: true claims above false ones, unsteered",
            self.discrimination,
            "shown" if self.knows else "not shown",
            spec="+.2f",
            unit="nats",
            n=f"{self.n_pairs} pairs",
            note=f"agrees with {self.agrees[0]:.0%} of true and {self.agrees[1]:.0%} of false ones",
            margins=[self.discrimination],
            rule="Whether the model agrees rather with what is true. Called shown when the "
            "interval over pairs lies above zero; if it does not, nothing below is called shown.",
        )
        each = [self._false_claims(name, it) for name, it in self.emotions.items()]
        return [knows, *each, self._least_discrimination()]

    def _false_claims(self, name: str, it: AgreementSlope) -> Finding:
        shown = self.knows and it.moved and it.exceeds(ALONE)
        margins = [self.discrimination, *it.margins()]
        every = all(margin.above_zero for margin in margins)
        return Finding(
            f"agreement with false claims, toward {name}",
            it.false,
            "not shown" if not shown else "shown" if every else "shown in part",
            spec="+.2f",
            unit="nats per tenth of the residual norm",
            n=f"{self.n_pairs} pairs, {len(self.doses)} doses",
            control=strongest(it.controls),
            p=it.q_false,
            note="; ".join(f"{key} {slope.value:+.2f}" for key, slope in it.by_wording.items()),
            margins=_deciding(margins),
            rule="How far a tenth of the mean residual norm moves the log-odds of agreeing with "
            "what is false. Called shown when the model tells true from false unsteered, the "
            "interval over pairs excludes zero, p < .05 among random directions, corrected for "
            "the emotions tried, and it moves farther than the question without a claim and than "
            "every other control; in part when only the latter move as far.",
        )

    def _least_discrimination(self) -> Finding:
        name, it = min(self.emotions.items(), key=lambda item: item[1].q_discrimination)
        margins = [self.discrimination, turned(it.discrimination)]
        all_above = all(margin.above_zero for margin in margins)
        return Finding(
            f"agreement: discrimination under steering, most toward {name}",
            it.discrimination,
            "shown" if all_above and it.q_discrimination < SIGNIFICANT else "not shown",
            spec="+.2f",
            unit="nats per tenth of the residual norm",
            n=f"{self.n_pairs} pairs, {len(self.doses)} doses",
            p=it.q_discrimination,
            margins=_deciding(margins),
            rule="Whether steering changes how far agreement follows the truth. Called shown under "
            "the same conditions, without the controls.",
        )

    def paragraph(self) -> str:
        """Tell what was asked, what the model knows, and what steering does to its answers."""
        slopes = "; ".join(
            f"{name} {it.false:+.2f} (without a claim {_reached(it, ALONE)})"
            for name, it in self.emotions.items()
        )
        told = (
            f"it agrees with true claims by {self.discrimination:+.2f} nats more than with false "
            f"ones, {'so it tells them apart' if self.knows else 'so it does not tell them apart'}"
        )
        return (
            f"{self.n_pairs} pairs of a true and a false claim were put to the model, in "
            f"{len(WORDINGS)} wordings. Unsteered {told}. Vectors were added at "
            f"layer{'s' if len(self.layers) > 1 else ''} {', '.join(map(str, self.layers))} with "
            f"doses of {', '.join(f'{dose:g}' for dose in self.doses)}, which keep within the "
            "fluency budget. A tenth of the mean residual norm changes the log-odds of agreeing "
            f"with a false claim by: {slopes}."
        )

    def limits(self) -> list[str]:
        """Say when there is a floor or a ceiling, and what was left out."""
        limits = []
        if not self.knows:
            limits.append(
                "Agreement: the unsteered model does not tell true claims from false ones "
                f"({self.discrimination:+.2f} nats), so what steering does to its answers is no "
                "agreement with what is false."
            )
        if min(self.agrees) > _NEARLY_ALL or max(self.agrees) < 1 - _NEARLY_ALL:
            limits.append(
                f"Agreement: the unsteered model agrees with {self.agrees[0]:.0%} of true and "
                f"{self.agrees[1]:.0%} of false claims: log-odds can move, choices hardly."
            )
        if self.mass < _LITTLE:
            limits.append(
                f"Agreement: the two answers have a probability of {self.mass:.1%} together; the "
                "model would say something else."
            )
        if self.beyond_budget:
            limits.append(
                f"Agreement: doses of {', '.join(f'{dose:g}' for dose in self.beyond_budget)} are "
                "beyond the fluency budget and were left out."
            )
        if len(self.emotions) / (self.n_random + 1) > SIGNIFICANT:
            limits.append(
                f"Agreement: among {self.n_random} random directions no single one of "
                f"{len(self.emotions)} emotions reaches p < .05 after correction; several must "
                "(validation.n_random)."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe agreement with false claims over doses, and the answers to no claim."""
        return {"agreement": agreement_curves(self)}


def _deciding(margins: Sequence[Estimate]) -> list[Estimate]:
    """Return all margins where all lie above zero, else the one least likely to get there."""
    below = [margin for margin in margins if not margin.above_zero]
    return [min(below, key=lambda margin: margin.crosses)] if below else list(margins)


def _reached(it: AgreementSlope, name: str) -> str:
    reached = [control.reached for control in it.controls if control.name == name]
    return "".join(f"{each.value:+.2f}" for each in reached if each is not None)


def measure(materials: Materials) -> SteeredAgreement | NotMeasured:
    """Ask all questions with every direction at every dose within the budget."""
    names = chosen(materials.steered_emotions())
    if not names:
        every = ", ".join(name for group in EMOTIONS for name in group)
        return NotMeasured("Agreement", f"this run steers with none of {every}")
    model, settings = materials.subject(), materials.config.validation
    own = materials.vectors.at(materials.layer)[[materials.emotions.index(it) for it in names]]
    dosing, budget = dosing_of(materials), Budget(settings.max_kl, settings.max_perplexity_ratio)
    gauge = SteeringCost(model, neutral_texts(materials.run, settings.n_budget_texts))
    costs = [gauge.mean_cost(own, **dosing.at(dose)) for dose in dosing.doses]
    largest = usable_dose(costs, budget)
    if largest is None:
        cheapest = min(costs, key=lambda cost: cost.dose)
        return NotMeasured(
            "Agreement",
            f"needs a dose within the budget ({budget}); {cheapest.dose:g} costs KL "
            f"{cheapest.kl:.2f} nats and perplexity x{cheapest.perplexity_ratio:.2f}",
        )
    doses = sorted(dose for dose in dosing.doses if dose <= largest)
    axes = valence_axes_of(materials, names)
    random = matched_random(materials, settings.n_random, materials.seed + 1)
    if not len(random):
        generator = torch.Generator().manual_seed(materials.seed)
        random = torch.randn(settings.n_random, model.d_model, generator=generator)
    directions = torch.cat([own, *(rearrange(it, "d -> 1 d") for it in axes.values()), random])
    asked = Questions.of(model)
    replay, first = hooks.Replay(model), min(dosing.layers)
    base, mass = unsteered(model, asked.answers, replay, first)
    with materials.reporter.task(
        "agreement", len(doses) * len(asked.answers), "questions"
    ) as advance:
        steered = torch.stack([
            log_odds(model, asked.answers, directions, advance, replay=replay, **dosing.at(dose))
            for dose in doses
        ])  # fmt: skip
    changes = ClaimChanges(doses, *asked.arranged(steered - base))
    odds, _ = asked.arranged(base)
    by_side = odds.mean(dim=0)
    n_own = len(names) + len(axes)
    spread = changes.false_by_dose().mean(dim=2)[:, n_own:]
    return SteeredAgreement(
        model=model.name,
        layers=dosing.layers,
        doses=doses,
        beyond_budget=sorted(set(dosing.doses) - set(doses)),
        n_pairs=len(claims()),
        n_random=len(random),
        true=mean_over(by_side[0]),
        false=mean_over(by_side[1]),
        discrimination=mean_over(by_side[0] - by_side[1]),
        agrees=(float((by_side[0] > 0).double().mean()), float((by_side[1] > 0).double().mean())),
        mass=float(mass.mean()),
        emotions=judge(changes, names, list(axes), [wording.name for wording in WORDINGS]),
        random=[Estimate(float(at.mean()), float(at.min()), float(at.max())) for at in spread],
    )


EXPERIMENT = Experiment(SteeredAgreement, measure)


def chosen(steered: Sequence[str]) -> list[str]:
    """Return the first of each group of `EMOTIONS` that is steered with."""
    known = [[name for name in group if name in steered] for group in EMOTIONS]
    return [names[0] for names in known if names]


def valence_axes_of(
    materials: Materials, names: Sequence[str]
) -> dict[str, Float[Tensor, "d_model"]]:
    """Return the valence axis of the other emotions' vectors, pointing to each emotion's side."""
    vectors, emotions = materials.vectors.at(materials.layer), materials.emotions
    valence = {name: rating["valence"] for name, rating in rating_table(emotions).items()}
    axes = {}
    for name, side in zip(names, EmotionGroups.of(names).side.tolist(), strict=True):
        axis = valence_axis(vectors, emotions, {**valence, name: 0.0})
        if axis is not None and side:
            axes[name] = side * axis
    return axes
