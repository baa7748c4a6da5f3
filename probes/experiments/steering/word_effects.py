"""Steering words: does adding an emotion's vector make the model say that emotion's word.

1. Carrier sentences that end before a feeling is named ("He feels") give the unsteered
   log-probability of every emotion's word as the next token.
2. Each emotion's vector is added at a few layers and doses, and the change of every word's
   log-probability is taken: [carrier vector word] for each layer and dose.
3. At the target layer the same is done with directions that should do nothing of the kind, at the
   same coefficient: isotropic random ones, and those of `steering_controls`. The other emotions'
   vectors are a control too: a column of the matrix but its diagonal.
4. An emotion's effect on its own word is set beside every control's effect on that word
   (`steering_effects`); what all vectors share (any push changes text) cancels in diagonal against
   rest.

A word's first token stands for the word; how many words are a single token is reported, and words
that share a first token are left out, since no vector could tell them apart.

Contract: pure apart from running the model; the caller brings the vectors and the controls.
Source: the paper's steering of emotion words; carriers are our own.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.generation.last_token import batch_at_end
from probes.experiments.steering.controls import Controls
from probes.experiments.steering.effects import (
    DoseResult,
    Found,
    Layer,
    beside_controls,
    layer_dose,
)

CARRIERS = (
    "He feels",
    "I feel",
    "When the door closed behind her, she felt",
    "Asked how the day had been, they said they were",
)
CEILING = 0.5
"""An unsteered probability above this leaves a word little room to rise."""
_DIRECTIONS_AT_ONCE = 64
FLOOR = 1e-7
"""An unsteered probability below this is in the noise of the unembedding."""


@dataclass(frozen=True)
class SteeringWords:
    """Result of the experiment.

    `doses` has the target layer with its controls, `layers` the effects at every layer tried.
    """

    emotions: list[str]
    layer: int
    carriers: list[str]
    n_random: int
    n_single_token: int
    left_out: list[str]
    baseline: dict[str, float]
    """Unsteered probability of each word, averaged over carriers."""
    at_ceiling: list[str]
    at_floor: list[str]
    doses: list[DoseResult]
    layers: list[Layer]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def last_residuals(model: LanguageModel, texts: Sequence[str]) -> Float[Tensor, "text d_model"]:
    """Residual stream after the last block at each text's last token."""
    last = [model.n_layers - 1]
    pooled = hooks.pooled_resid_post(model, texts, hooks.Last(), layers=last)
    return rearrange(pooled.mean, "text 1 d_model -> text d_model")


def log_probs(
    model: LanguageModel, residuals: Float[Tensor, "text d_model"]
) -> Float[Tensor, "text d_vocab"]:
    """Log-probabilities of the next token."""
    return model.unembed(residuals).log_softmax(dim=-1).cpu()


def steered_log_probs(
    model: LanguageModel,
    directions: Float[Tensor, "direction d_model"],
    text: str,
    *,
    layer: int,
    dose: float,
    residual_norm: float,
) -> Float[Tensor, "direction d_vocab"]:
    """Log-probabilities of what follows a text, each direction added to all of its tokens."""
    prompts = [model.encode(text)] * len(directions)
    with hooks.steer_each(model, directions, layer=layer, dose=dose, residual_norm=residual_norm):
        ends = batch_at_end(model, prompts, [model.n_layers - 1])
    return log_probs(model, rearrange(ends, "direction 1 d_model -> direction d_model"))


def random_directions(n: int, d_model: int, seed: int) -> Float[Tensor, "direction d_model"]:
    """Isotropic random directions; `hooks.steer` gives them the coefficient of any other."""
    return torch.randn(n, d_model, generator=torch.Generator().manual_seed(seed))


def first_tokens(model: LanguageModel, words: Sequence[str]) -> list[list[int]]:
    """Token ids of each word as it follows a sentence."""
    n_before = len(model.encode(CARRIERS[0]))
    return [model.encode(f"{CARRIERS[0]} {word}")[n_before:] for word in words]


def swept_layers(
    available: Sequence[int], target: int, n_layers: int, wanted: Sequence[int] | None
) -> list[int]:
    """Layers to try: those asked for, or the target and its surroundings."""
    if wanted is not None:
        missing = [layer for layer in wanted if layer not in available]
        if missing:
            raise InvalidInput(
                f"validation.sweep_layers: no vectors at layer {missing[0]}; there are vectors at "
                f"{', '.join(map(str, available))}."
            )
        return sorted(set(wanted))
    step = max(1, n_layers // 6)
    return [layer for layer in (target - step, target, target + step) if layer in available]


def run(
    model: LanguageModel,
    vectors: Float[Tensor, "layer emotion d_model"],
    emotions: Sequence[str],
    *,
    layers: Sequence[int],
    target: int,
    residual_norm: Float[Tensor, "layer"],
    controls: Controls,
    doses: Sequence[float],
    n_random: int,
    seed: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> SteeringWords:
    """Run the experiment; see the module's text.

    Parameters
    ----------
    model
        The model the vectors were made from.
    vectors
        One direction per emotion, of each of `layers`.
    target
        The one of `layers` at which the controls are tried.
    residual_norm
        Mean residual norm at each of `layers`; a dose is a fraction of it.
    doses
        Positive fractions.
    n_random
        Random directions, at least 2.

    Raises
    ------
    InvalidInput
        When fewer than two words can be told apart by their first token.
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
    baseline = log_probs(model, last_residuals(model, CARRIERS))
    probabilities = reduce(baseline[:, ids].exp(), "carrier word -> word", "mean").tolist()
    directions = {"random": random_directions(n_random, model.d_model, seed)}
    for name, null in (("matched", controls.matched), ("shuffled", controls.shuffled)):
        if null is not None:
            directions[name] = null
    axes = {name: axis for name, axis in (controls.valence or {}).items() if name in names}
    norms = dict(zip(layers, residual_norm.tolist(), strict=True))

    def effects(directions: Tensor, dose: float, layer: int = target) -> Found:
        how = {"layer": layer, "dose": dose, "residual_norm": norms[layer]}
        return _effects(model, directions, baseline, ids, how, progress)

    swept: list[Layer] = []
    results: list[DoseResult] = []
    for place, layer in enumerate(layers):
        own = [effects(vectors[place, kept], dose, layer) for dose in doses]
        summed = [
            layer_dose(dose, found, list(CARRIERS), seed)
            for dose, found in zip(doses, own, strict=True)
        ]
        swept.append(Layer(layer, summed))
        if layer != target:
            continue
        for at, found in zip(summed, own, strict=True):
            nulls = {name: effects(null, at.dose) for name, null in directions.items()}
            valence = {}
            if axes:
                moved = effects(torch.stack(list(axes.values())), at.dose).mean
                columns = [names.index(name) for name in axes]
                valence = dict(zip(axes, moved[:, columns].diagonal().tolist(), strict=True))
            results.append(beside_controls(at, found, nulls, valence, names, seed))
    return SteeringWords(
        emotions=names,
        layer=target,
        carriers=list(CARRIERS),
        n_random=n_random,
        n_single_token=sum(len(tokens[i]) == 1 for i in kept),
        left_out=[name for name in emotions if name not in names],
        baseline=dict(zip(names, probabilities, strict=True)),
        at_ceiling=[n for n, p in zip(names, probabilities, strict=True) if p > CEILING],
        at_floor=[n for n, p in zip(names, probabilities, strict=True) if p < FLOOR],
        doses=results,
        layers=swept,
    )


def _effects(
    model: LanguageModel,
    directions: Float[Tensor, "direction d_model"],
    baseline: Float[Tensor, "carrier d_vocab"],
    ids: Int[Tensor, "word"],
    how: dict[str, Any],
    progress: Callable[[int], None],
) -> Found:
    effect = torch.zeros(len(CARRIERS), len(directions), len(ids))
    divergence = 0.0
    for rows in torch.arange(len(directions)).split(_DIRECTIONS_AT_ONCE):
        for place, unsteered in enumerate(baseline):
            steered = steered_log_probs(model, directions[rows], CARRIERS[place], **how)
            change = steered - unsteered
            effect[place, rows] = change[:, ids]
            divergence += float((steered.exp() * change).sum())
        progress(len(rows))
    return Found(effect, divergence / (len(CARRIERS) * len(directions)))


def n_conditions(
    n_emotions: int, n_layers: int, controls: Controls, doses: Sequence[float], n_random: int
) -> int:
    """How many steered passes `run` makes at most; what `progress` counts up to."""
    rivals = [controls.matched, controls.shuffled, controls.valence]
    n_controls = sum(len(rival) for rival in rivals if rival is not None)
    return len(doses) * (n_layers * n_emotions + n_random + n_controls)
