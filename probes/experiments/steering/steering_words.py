"""Steering: does adding an emotion's vector make the model say that emotion's word.

Vectors are added to sentences that end before a feeling is named (`word_effects`), at a few layers
and doses; the change of every word's log-probability is taken. At the target layer the same is
done with directions that should do nothing of the kind, isotropic random ones and `controls`, and
an emotion's effect on its own word is set beside theirs (`effects`). Words that share a first token
are left out, since no vector could tell them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from probes.analysis.findings import SIGNIFICANT, Estimate, Finding, RunNumber, strongest
from probes.experiments import Experiment, Result
from probes.experiments.steering.controls import Controls, controls_of
from probes.experiments.steering.doses import (
    PAPER_DOSE,
    Dosing,
    compare_with_paper,
    dosing_of,
    judged_dose,
)
from probes.experiments.steering.effects import (
    DoseResult,
    LayerEffects,
    WordEffects,
    beside_controls,
    layer_dose,
)
from probes.experiments.steering.figures import steering_matrix
from probes.experiments.steering.word_effects import (
    CARRIERS,
    first_tokens,
    last_residuals,
    log_probs,
    steered,
    swept_layers,
)
from probes.figures import Figure
from probes.runs.materials import Materials

CEILING = 0.5
"""An unsteered probability above this leaves a word little room to rise."""
FLOOR = 1e-7
"""An unsteered probability below this is in the noise of the unembedding."""
_DIRECTIONS_AT_ONCE = 64
_OFF_PLANE = "off plane"
_PREFILLS = {"he_feels": "He feels", "i_feel": "I feel"}


@dataclass(frozen=True)
class SteeringWords(Result):
    """What the vectors did to the words for emotions.

    `doses` are of the target layer's directions, with their controls, added at `steered_layers`;
    `layers` of every layer tried by itself; `baseline` is the unsteered probability of each word,
    averaged over carriers. `n_not_steered` of the run's emotions have no part in it.
    """

    model: str
    emotions: list[str]
    layer: int
    carriers: list[str]
    n_random: int
    n_single_token: int
    left_out: list[str]
    baseline: Mapping[str, float]
    at_ceiling: list[str]
    at_floor: list[str]
    doses: list[DoseResult]
    layers: list[LayerEffects]
    n_not_steered: int = 0
    steered_layers: Sequence[int] = ()

    @property
    def judged(self) -> DoseResult:
        """The dose that is judged."""
        dose = judged_dose([tried.dose for tried in self.doses])
        return next(tried for tried in self.doses if tried.dose == dose)

    def findings(self) -> list[Finding]:
        """Say what the judged dose did beside controls, and what the other doses did."""
        tried, n = self.judged, f"{len(self.emotions)} emotions"
        findings = [
            Finding(
                f"steering at dose {dose.dose:g}",
                dose.own,
                "described",
                spec="+.2f",
                unit="nats",
                n=n,
                control=strongest(dose.controls()),
            )
            for dose in [tried, *(dose for dose in self.doses if dose is not tried)]
        ]
        findings[0] = replace(
            findings[0],
            name="Steering",
            verdict="shown" if tried.own.above_zero and not _unbeaten(tried) else "not shown",
            n=f"{n} at dose {tried.dose:g}",
            rule="How much adding a vector to the model's inner state raises the log-probability "
            "of that emotion's word (+0.69 doubles it). Called shown when the whole interval lies "
            "above zero, and so does that of its excess over every control. Intervals are over "
            "emotions and directions; the vectors are those of this run's topics.",
            margins=[tried.own, *(it.excess for it in tried.controls() if it.excess is not None)],
            headline=True,
            section="steering",
        )
        return [findings[0], *self._more_than_valence(tried), *findings[1:]]

    def _more_than_valence(self, tried: DoseResult) -> list[Finding]:
        """Say what own vectors do beyond their side, and without valence and arousal."""
        findings = []
        if (side := tried.within_side) is not None:
            others = side.others.control("other vectors of the same side")
            more = others.excess is not None and others.excess.above_zero
            alone = sum(q < SIGNIFICANT for q in tried.q_random.values())
            findings.append(
                Finding(
                    "steering within valence side",
                    Estimate(side.others.own),
                    "shown" if more and side.p < SIGNIFICANT else "not shown",
                    spec="+.2f",
                    unit="nats",
                    n=f"{side.others.n} emotions",
                    control=others,
                    p=side.p,
                    n_null=side.n_permutations,
                    note=f"own vector first of its side for {len(side.first)}; {alone} of "
                    f"{len(tried.q_random)} emotions by themselves exceed random directions "
                    "(q < .05)",
                    margins=[] if others.excess is None else [others.excess],
                    rule="The own word's rise beside what vectors of emotions as pleasant, or as "
                    "unpleasant, do to it. Called shown when the excess lies above zero by its "
                    "interval and p < .05 with labels permuted within sides.",
                )
            )
        if tried.off_plane is not None:
            findings.append(
                Finding(
                    "steering without valence and arousal",
                    tried.off_plane,
                    "shown" if tried.off_plane.above_zero else "not shown",
                    spec="+.2f",
                    unit="nats",
                    n=f"{len(self.emotions)} emotions",
                    note=f"{tried.own.value:+.2f} with them",
                    margins=[tried.off_plane],
                    rule="The own word's rise by the part of each vector that follows no rating of "
                    "valence or arousal. Called shown when the interval lies above zero.",
                )
            )
        return findings

    def paragraph(self) -> str:
        """Tell what was added where, and what no emotion's vector does as well."""
        tried, n = self.judged, len(self.emotions)
        hardest = tried.random if tried.matched is None else tried.matched
        kind = "isotropic random" if tried.matched is None else "random"
        bar = "reaches" if len(hardest.beats_all) * 6 >= n * 5 else "does not reach"
        others = Estimate(tried.other, *tried.other_interval)
        near = _unbeaten(tried)
        beyond = f"all controls but {', '.join(near)}" if near else "every control"
        return (
            f"Each vector was added at {self._where()} with a dose of {tried.dose:g} of the "
            f"mean residual norm, after {len(self.carriers)} sentences that end before a feeling "
            "is named. The log-probability of the emotion's own word changed by "
            f"{tried.own:+.2f} nats, that of other emotions' words by {others:+.2f}. "
            f"{len(hardest.beats_all)} of {n} vectors raise their own word more than each of "
            f"{hardest.n_directions} {kind} directions"
            f"{'' if tried.matched is None else ' with the covariance of the stories'}, which "
            f"{bar} the bar of five in six. The own effect exceeds {beyond}, by 95% intervals "
            "over emotions and directions."
        )

    def _where(self) -> str:
        """Say at which layers; a dose is split over several."""
        if len(self.steered_layers) < 2:
            return f"layer {self.layer}"
        first, *_, last = self.steered_layers
        return f"layers {first} to {last}, in equal parts,"

    def limits(self) -> list[str]:
        """Name the words of which less could be seen."""
        limits, n = [], len(self.emotions)
        if self.n_not_steered:
            limits.append(
                f"Steering: {self.n_not_steered} of the run's emotions were not steered with "
                "(validation.steered_emotions)."
            )
        if self.n_single_token < n:
            limits.append(
                f"Steering: {n - self.n_single_token} of {n} words are several tokens long and "
                "were read by the first."
            )
        if self.left_out:
            limits.append(
                f"Steering: {len(self.left_out)} words share their first token with another "
                f"emotion's and were left out: {', '.join(self.left_out)}."
            )
        for words, likely in ((self.at_ceiling, "likely"), (self.at_floor, "unlikely")):
            if words:
                limits.append(
                    f"Steering: {len(words)} words are so {likely} without steering that little "
                    f"can be seen of a change: {', '.join(words)}."
                )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the matrix of words and vectors."""
        return {"steering_matrix": steering_matrix(self)}

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return effects after the paper's carriers, at the dose nearest to the paper's."""
        nearest = min(self.doses, key=lambda tried: abs(tried.dose - PAPER_DOSE))
        numbers: dict[str, RunNumber | str] = {}
        for prefill, carrier in _PREFILLS.items():
            for which in ("matching", "other"):
                name = f"steering_words.{prefill}.{which}"
                if carrier not in nearest.by_carrier:
                    numbers[name] = f"this run did not steer after {carrier!r}"
                    continue
                effect = getattr(nearest.by_carrier[carrier], which)
                note = compare_with_paper(nearest.dose)
                numbers[name] = RunNumber(effect.value, effect.ends, len(self.emotions), *note)
        return numbers


def measure(materials: Materials) -> SteeringWords:
    """Steer toward the words of the emotions that are steered with, beside controls."""
    model, bundle, target = materials.subject(), materials.vectors, materials.layer
    settings, emotions = materials.config.validation, materials.steered_emotions()
    columns = [materials.emotions.index(name) for name in emotions]
    controls = controls_of(materials)
    dosing, swept = dosing_of(materials), [target]
    if not settings.paper:
        swept = swept_layers(bundle.layers, target, model.n_layers, settings.sweep_layers)
    layers = sorted({*swept, target})
    by_emotion = [*controls.rivals.values(), controls.off_plane]
    rivals = [controls.matched, controls.shuffled, *({*emotions} & {*it} for it in by_emotion)]
    n_controls = settings.n_random + sum(len(rival) for rival in rivals if rival is not None)
    total = len(dosing.doses) * (len(layers) * len(emotions) + n_controls)
    with materials.reporter.task("steering", total, "directions") as advance:
        result = run(
            model,
            {layer: bundle.at(layer)[columns] for layer in layers},
            emotions,
            target=target,
            dosing=dosing,
            controls=controls,
            n_random=settings.n_random,
            seed=materials.seed,
            progress=advance,
        )
    return replace(result, n_not_steered=len(materials.emotions) - len(emotions))


EXPERIMENT = Experiment(SteeringWords, measure)


def _unbeaten(tried: DoseResult) -> list[str]:
    """Name the controls that the own effect does not surely exceed."""
    return [c.name for c in tried.controls() if c.excess is None or not c.excess.above_zero]


def run(
    model: LanguageModel,
    vectors: Mapping[int, Float[Tensor, "emotion d_model"]],
    emotions: Sequence[str],
    *,
    target: int,
    dosing: Dosing,
    controls: Controls,
    n_random: int,
    seed: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> SteeringWords:
    """Steer with one direction per emotion at each layer, and at the target also with controls.

    `dosing` says where the target's directions are added; `seed` draws the random ones. Raises
    `InvalidInput` when fewer than two words can be told apart by their first token.
    """
    tokens = first_tokens(model, emotions)
    heads = [ids[0] if ids else -1 for ids in tokens]
    kept = [i for i, head in enumerate(heads) if head >= 0 and heads.count(head) == 1]
    if len(kept) < 2:
        raise InvalidInput(
            f"steering words: expected at least two words with a first token of their own, got "
            f"{len(kept)} of {len(emotions)}."
        )
    names = [emotions[i] for i in kept]
    ids = torch.tensor([heads[i] for i in kept])
    unsteered = log_probs(model, last_residuals(model, CARRIERS))
    baseline = dict(zip(names, unsteered[:, ids].exp().mean(dim=0).tolist(), strict=True))
    generator = torch.Generator().manual_seed(seed)
    directions = {"random": torch.randn(n_random, model.d_model, generator=generator)}
    for name, null in (("matched", controls.matched), ("shuffled", controls.shuffled)):
        if null is not None:
            directions[name] = null
    by_emotion = {**controls.rivals, _OFF_PLANE: controls.off_plane}
    single = {
        kind: {name: each[name] for name in names if name in each}
        for kind, each in by_emotion.items()
    }

    replay = hooks.Replay(model)

    def effects_of(directions: Tensor, dose: float, layer: int = target) -> WordEffects:
        how = dosing.at(dose) if layer == target else replace(dosing, layers=[layer]).at(dose)
        effect = torch.zeros(len(CARRIERS), len(directions), len(ids))
        divergence = 0.0
        for rows in torch.arange(len(directions)).split(_DIRECTIONS_AT_ONCE):
            for number, before in enumerate(unsteered):
                did = steered(
                    model, directions[rows], CARRIERS[number], before, ids, replay=replay, **how
                )
                effect[number, rows] = did.changes
                divergence += float(did.divergence.sum())
            progress(len(rows))
        return WordEffects(effect, divergence / (len(CARRIERS) * len(directions)))

    swept: list[LayerEffects] = []
    results: list[DoseResult] = []
    for layer, of_emotions in vectors.items():
        swept.append(LayerEffects(layer, []))
        for dose in dosing.doses:
            effects = effects_of(of_emotions[kept], dose, layer)
            at = layer_dose(dose, effects, list(CARRIERS))
            swept[-1].doses.append(at)
            if layer != target:
                continue
            nulls = {name: effects_of(null, dose) for name, null in directions.items()}
            rivals = {}
            for kind, each in single.items():
                columns = [names.index(name) for name in each]
                of_each = []
                if each:
                    moved = effects_of(torch.stack(list(each.values())), dose).mean
                    of_each = moved[:, columns].diagonal().tolist()
                rivals[kind] = dict(zip(each, of_each, strict=True))
            off_plane = rivals.pop(_OFF_PLANE)
            results.append(beside_controls(at, effects, nulls, rivals, off_plane, names))
    return SteeringWords(
        model=model.name,
        emotions=names,
        layer=target,
        carriers=list(CARRIERS),
        n_random=n_random,
        n_single_token=sum(len(tokens[i]) == 1 for i in kept),
        left_out=[name for name in emotions if name not in names],
        baseline=baseline,
        at_ceiling=[name for name, probability in baseline.items() if probability > CEILING],
        at_floor=[name for name, probability in baseline.items() if probability < FLOOR],
        doses=results,
        layers=swept,
        steered_layers=dosing.layers,
    )
