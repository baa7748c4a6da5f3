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

from hooks import InvalidInput, LanguageModel
from probes.analysis.findings import Estimate, Finding, RunNumber, strongest
from probes.experiments import Experiment, Result
from probes.experiments.steering.controls import Controls, controls_of
from probes.experiments.steering.doses import PAPER_DOSE, compare_with_paper, judged_dose
from probes.experiments.steering.effects import (
    DoseResult,
    LayerEffects,
    WordEffects,
    beside_controls,
    layer_dose,
)
from probes.experiments.steering.figures import steering_matrix
from probes.experiments.steering.nulls import Resampling
from probes.experiments.steering.word_effects import (
    CARRIERS,
    first_tokens,
    last_residuals,
    log_probs,
    steered_log_probs,
    swept_layers,
)
from probes.figures import Figure
from probes.runs.materials import Materials

CEILING = 0.5
"""An unsteered probability above this leaves a word little room to rise."""
FLOOR = 1e-7
"""An unsteered probability below this is in the noise of the unembedding."""
_DIRECTIONS_AT_ONCE = 64
_PREFILLS = {"he_feels": "He feels", "i_feel": "I feel"}


@dataclass(frozen=True)
class SteeringWords(Result):
    """What the vectors did to the words for emotions.

    `doses` are of the target layer, with its controls, `layers` of every layer tried; `baseline` is
    the unsteered probability of each word, averaged over carriers. `n_not_steered` of the run's
    emotions have no part in it.
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
            "above zero, and so does that of its excess over every control.",
            headline=True,
            section="steering",
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
            f"Each vector was added at layer {self.layer} with a dose of {tried.dose:g} of the "
            f"mean residual norm, after {len(self.carriers)} sentences that end before a feeling "
            "is named. The log-probability of the emotion's own word changed by "
            f"{tried.own:+.2f} nats, that of other emotions' words by {others:+.2f}. "
            f"{len(hardest.beats_all)} of {n} vectors raise their own word more than each of "
            f"{hardest.n_directions} {kind} directions"
            f"{'' if tried.matched is None else ' with the covariance of the stories'}, which "
            f"{bar} the bar of five in six. The own effect exceeds {beyond}, by 95% intervals "
            "over emotions and directions."
        )

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
    swept = swept_layers(bundle.layers, target, model.n_layers, settings.sweep_layers)
    layers = sorted({*swept, target})
    rivals = [controls.matched, controls.shuffled, {*emotions} & {*(controls.valence or {})}]
    n_controls = settings.n_random + sum(len(rival) for rival in rivals if rival is not None)
    total = len(settings.doses) * (len(layers) * len(emotions) + n_controls)
    with materials.reporter.task("steering", total, "directions") as advance:
        result = run(
            model,
            {layer: bundle.at(layer)[columns] for layer in layers},
            emotions,
            target=target,
            residual_norm=bundle.norm_by_layer,
            controls=controls,
            doses=settings.doses,
            n_random=settings.n_random,
            resampling=Resampling(settings.n_bootstrap, materials.seed),
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
    residual_norm: Mapping[int, float],
    controls: Controls,
    doses: Sequence[float],
    n_random: int,
    resampling: Resampling,
    progress: Callable[[int], None] = lambda _count: None,
) -> SteeringWords:
    """Steer with one direction per emotion at each layer, and with the controls at the target.

    The seed of `resampling` draws the random directions too. Raises `InvalidInput` when fewer than
    two words can be told apart by their first token.
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
    generator = torch.Generator().manual_seed(resampling.seed)
    directions = {"random": torch.randn(n_random, model.d_model, generator=generator)}
    for name, null in (("matched", controls.matched), ("shuffled", controls.shuffled)):
        if null is not None:
            directions[name] = null
    axes = {name: axis for name, axis in (controls.valence or {}).items() if name in names}

    def effects_of(directions: Tensor, dose: float, layer: int = target) -> WordEffects:
        how = {"layer": layer, "dose": dose, "residual_norm": residual_norm[layer]}
        effect = torch.zeros(len(CARRIERS), len(directions), len(ids))
        divergence = 0.0
        for rows in torch.arange(len(directions)).split(_DIRECTIONS_AT_ONCE):
            for number, before in enumerate(unsteered):
                steered = steered_log_probs(model, directions[rows], CARRIERS[number], **how)
                change = steered - before
                effect[number, rows] = change[:, ids]
                divergence += float((steered.exp() * change).sum())
            progress(len(rows))
        return WordEffects(effect, divergence / (len(CARRIERS) * len(directions)))

    swept: list[LayerEffects] = []
    results: list[DoseResult] = []
    for layer, of_emotions in vectors.items():
        swept.append(LayerEffects(layer, []))
        for dose in doses:
            effects = effects_of(of_emotions[kept], dose, layer)
            at = layer_dose(dose, effects, list(CARRIERS), resampling)
            swept[-1].doses.append(at)
            if layer != target:
                continue
            nulls = {name: effects_of(null, dose) for name, null in directions.items()}
            valence = {}
            if axes:
                moved = effects_of(torch.stack(list(axes.values())), dose).mean
                columns = [names.index(name) for name in axes]
                valence = dict(zip(axes, moved[:, columns].diagonal().tolist(), strict=True))
            results.append(beside_controls(at, effects, nulls, valence, names, resampling))
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
    )
