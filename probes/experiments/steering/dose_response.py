"""Dose and response: how much a dose does, what it costs, and up to where it is usable.

At a few layers and doses, some emotions' vectors are added to the carriers of `word_effects`: how
do their own words change, beside random directions with the stories' covariance. The model reads
neutral texts at the same doses, steered with the vectors in turn (`dose_cost`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

import hooks
from hooks import LanguageModel
from probes.analysis.findings import Control, Estimate, Finding
from probes.analysis.intervals import mean_over, mean_over_crossed
from probes.experiments import Experiment, Result
from probes.experiments.steering import word_effects
from probes.experiments.steering.controls import matched_random
from probes.experiments.steering.dose_cost import Budget, Cost, SteeringCost, usable_dose
from probes.experiments.steering.figures import dose_response_curves
from probes.experiments.steering.nulls import Ends, ends
from probes.figures import Figure
from probes.runs.folder import Run
from probes.runs.materials import Materials

_Name = TypeVar("_Name")
_N_RANDOM = 20


@dataclass(frozen=True, kw_only=True)
class SweptDose(Cost):
    """What one dose does to the vectors' own words at one layer, in nats, beside what it costs.

    `random` is the same of random directions; None where there are too few stories to make any.
    """

    own: float
    own_interval: Ends
    random: float | None
    random_interval: Ends | None

    @property
    def estimates(self) -> dict[str, Estimate]:
        """What the dose does and costs: ``own``, ``random`` where there is one, both costs."""
        numbers = {
            "own": (self.own, self.own_interval),
            "random": (self.random, self.random_interval),
            "kl": (self.kl, self.kl_interval),
            "perplexity": (self.perplexity_ratio, self.perplexity_interval),
        }
        return {
            name: Estimate(value, *(interval or (None, None)))
            for name, (value, interval) in numbers.items()
            if value is not None
        }

    @property
    def cost(self) -> str:
        """Both costs in words."""
        kl, ratio = self.estimates["kl"], self.estimates["perplexity"]
        return f"KL {kl:.2f} nats, perplexity x{ratio:.2f}"


@dataclass(frozen=True)
class SweptLayer:
    """One layer's doses, and the largest usable one; None where not even the smallest is."""

    layer: int
    doses: Sequence[SweptDose]
    usable: float | None


@dataclass(frozen=True)
class DoseResponse(Result):
    """What doses do and cost at a few layers, averaged over some emotions."""

    model: str
    target_layer: int
    emotions: Sequence[str]
    n_random: int
    n_texts: int
    n_tokens: int
    budget: Budget
    layers: Sequence[SweptLayer]

    @property
    def shown(self) -> SweptLayer:
        """The target layer, or the middle one where that was not swept."""
        near = [entry for entry in self.layers if entry.layer == self.target_layer]
        return near[0] if near else self.layers[len(self.layers) // 2]

    def findings(self) -> list[Finding]:
        """Say up to where doses are usable, and what the largest of them does."""
        at = next((dose for dose in self.shown.doses if dose.dose == self.shown.usable), None)
        elsewhere = ", ".join(
            f"at layer {entry.layer} {'none' if entry.usable is None else f'{entry.usable:g}'}"
            for entry in self.layers
            if entry is not self.shown
        )
        name = f"largest usable dose at layer {self.shown.layer}"
        if at is None:
            smallest = self.shown.doses[0]
            none = f"none of the doses tried: even {smallest.dose:g} costs {smallest.cost}"
            note = "; ".join(filter(None, [none, elsewhere]))
            return [Finding(name, None, "described", note=note)]
        note = "; ".join(filter(None, [at.cost, elsewhere]))
        largest = Finding(name, Estimate(at.dose), "described", spec="g", note=note)
        random = at.estimates.get("random")
        own = Finding(
            f"own word at dose {at.dose:g}",
            at.estimates["own"],
            "described",
            spec="+.2f",
            unit="nats",
            n=f"{len(self.emotions)} emotions",
            control=random and Control("random directions", random),
        )
        return [largest, own]

    def paragraph(self) -> str:
        """Tell what was swept, what the budget allows, and which dose does the most."""
        entry, budget = self.shown, self.budget
        best = max(entry.doses, key=lambda dose: dose.own)
        if entry.usable is None:
            verdict = "no dose that was tried stays within it"
        elif entry.usable == entry.doses[-1].dose:
            verdict = f"every dose up to the largest tried, {entry.usable:g}, stays within it"
        else:
            verdict = f"doses up to {entry.usable:g} stay within it"
        text = (
            f"Doses of {len(self.emotions)} emotions' vectors were swept at layers "
            f"{', '.join(str(layer.layer) for layer in self.layers)} while the model read "
            f"{self.n_texts} neutral texts. With a budget of {budget.max_kl:g} nats of KL "
            f"divergence and {budget.max_perplexity_ratio:g} times the unsteered perplexity, at "
            f"layer {entry.layer} {verdict}. The emotion's own word rises most at dose "
            f"{best.dose:g}, by {best.estimates['own']:+.2f} nats"
        )
        if best.random is None:
            return f"{text}."
        return f"{text}; random directions change it by {best.estimates['random']:+.2f} there."

    def limits(self) -> list[str]:
        """Say what was averaged over, and when larger doses are worth a try."""
        limits = [
            f"Dose-response: averaged over {len(self.emotions)} emotions, and costs over "
            f"{self.n_texts} texts; one emotion's own range can differ."
        ]
        if all(entry.usable == entry.doses[-1].dose for entry in self.layers):
            limits.append("Dose-response: the largest dose tried is still usable; try larger ones.")
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the curves."""
        return {"dose_response": dose_response_curves(self)}


def measure(materials: Materials) -> DoseResponse:
    """Sweep doses at a few layers."""
    settings, bundle = materials.config.validation, materials.vectors
    model = materials.subject()
    layers = word_effects.swept_layers(
        bundle.layers, materials.layer, model.n_layers, settings.sweep_layers
    )
    names = spread_words(model, materials.steered_emotions(), settings.sweep_emotions)
    texts = neutral_texts(materials.run, settings.n_budget_texts)
    gauge = SteeringCost(model, texts)
    budget = Budget(settings.max_kl, settings.max_perplexity_ratio)
    heads = torch.tensor([ids[0] for ids in word_effects.first_tokens(model, names)])
    baseline = word_effects.log_probs(
        model, word_effects.last_residuals(model, word_effects.CARRIERS)
    )
    swept, replay = [], hooks.Replay(model)
    total = len(layers) * len(settings.sweep_doses)
    with materials.reporter.task("steering-dose-response", total, "doses") as advance:
        for layer in layers:
            own = torch.stack([bundle.at(layer)[bundle.emotions.index(name)] for name in names])
            random = matched_random(materials, _N_RANDOM, materials.seed + layer, layer)
            directions = torch.cat([own, random])
            doses = []
            for dose in settings.sweep_doses:
                how = {"layers": [layer], "dose": dose, "residual_norm": bundle.norm_by_layer}
                effect = torch.zeros(len(directions), len(heads))
                for carrier, unsteered in zip(word_effects.CARRIERS, baseline, strict=True):
                    did = word_effects.steered(
                        model, directions, carrier, unsteered, heads, replay=replay, **how
                    )
                    effect += did.changes / len(word_effects.CARRIERS)
                response, null = effect[: len(own)].diagonal(), effect[len(own) :]
                doses.append(
                    SweptDose(
                        **vars(gauge.mean_cost(own, **how)),
                        own=float(response.mean()),
                        own_interval=ends(mean_over(response)),
                        random=float(null.mean()) if len(null) else None,
                        random_interval=ends(mean_over_crossed(null)) if len(null) else None,
                    )
                )
                advance(1)
            swept.append(SweptLayer(layer, doses, usable_dose(doses, budget)))
    return DoseResponse(
        model=model.name,
        target_layer=materials.layer,
        emotions=names,
        n_random=_N_RANDOM,
        n_texts=len(gauge.texts),
        n_tokens=gauge.n_tokens,
        budget=budget,
        layers=swept,
    )


EXPERIMENT = Experiment(DoseResponse, measure)


def neutral_texts(run: Run, n: int) -> list[str]:
    """Return up to `n` of the run's neutral texts, spread over its topics."""
    texts = run.neutral_texts()
    return texts[:: max(1, len(texts) // n)][:n]


def spread_words(model: LanguageModel, emotions: Sequence[str], n: int) -> list[str]:
    """Emotions spread over the list, each with a first token that no other's word begins with."""
    heads = [ids[0] if ids else -1 for ids in word_effects.first_tokens(model, emotions)]
    own = [name for name, head in zip(emotions, heads, strict=True) if heads.count(head) == 1]
    return spread_over(own, n)


def spread_over(names: Sequence[_Name], n: int) -> list[_Name]:
    """Choose up to `n` of some names, spread over their list."""
    rows = torch.linspace(0, max(len(names) - 1, 0), min(n, len(names))).round().long().tolist()
    return [names[int(row)] for row in rows]
