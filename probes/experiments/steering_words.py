"""Steering words: does adding an emotion's vector make the model say that emotion's word.

1. Carrier sentences that end before a feeling is named ("He feels") give the unsteered
   log-probability of every emotion's word as the next token.
2. Each emotion's vector is added at one layer, at several doses, and the change of every word's
   log-probability is taken: a matrix [dose vector word], averaged over carriers.
3. The same is done with directions that should do nothing of the kind, at the same coefficient:
   isotropic random ones, random ones with the covariance of the stories (`matched`), vectors made
   from stories with shuffled labels, and the valence axis alone. The other emotions' vectors are a
   control too: a column of the matrix but its diagonal.
4. An emotion's effect on its own word is set beside the effects of both kinds of random directions
   on that word (`null_effects`); what all vectors share (any push changes text) cancels in
   diagonal against rest.

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
from hooks.endings import batch_at_end
from probes.experiments.null_effects import NullComparison, compare, mean_interval

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
class DoseResult:
    """What one dose did.

    Attributes
    ----------
    matrix
        Change of log-probability, in nats: row = vector, column = word.
    matching, matching_interval
        Mean of the diagonal, with a 95% bootstrap interval over emotions.
    other, other_interval
        Mean off the diagonal.
    random_matching
        Mean effect of the random directions on the same words.
    shuffled_matching
        Mean effect of shuffled-label vectors on "their" words.
    valence_matching
        Mean effect of the valence axis, signed by each rated word's human valence, on that word.
    matching_rated
        Mean of the diagonal over the same rated words.
    top_3
        Share of vectors whose own word is among the three that rise the most.
    other_vectors_matching
        Mean effect of the *other* emotions' vectors on each word.
    beats_all_others
        Emotions whose vector raises its own word more than every other emotion's vector does.
    beats_all_random
        Emotions whose vector raises its own word more than every random direction does.
    random, matched
        Own effects beside isotropic directions, and beside those with the stories' covariance.
    kl
        Mean KL divergence of the steered from the unsteered next token, in nats.
    """

    dose: float
    matrix: list[list[float]]
    matching: float
    matching_interval: tuple[float, float]
    other: float
    other_interval: tuple[float, float]
    random_matching: float
    shuffled_matching: float | None
    valence_matching: float | None
    matching_rated: float | None
    top_3: float
    other_vectors_matching: float
    beats_all_others: list[str]
    beats_all_random: list[str]
    random: NullComparison
    matched: NullComparison | None
    kl: float
    random_kl: float


@dataclass(frozen=True)
class SteeringWords:
    """Result of the experiment."""

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

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Controls:
    """Directions that should not name the emotion.

    Attributes
    ----------
    shuffled
        Vectors made from stories whose labels were shuffled, one per emotion; or None.
    valence_axis
        One direction from unpleasant to pleasant; or None.
    valence
        Human valence of each emotion, NaN where nobody rated it.
    matched
        Random directions with the covariance of the stories' activations; or None.
    """

    shuffled: Float[Tensor, "emotion d_model"] | None
    valence_axis: Float[Tensor, "d_model"] | None
    valence: Float[Tensor, "emotion"]
    matched: Float[Tensor, "direction d_model"] | None = None


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


def run(
    model: LanguageModel,
    vectors: Float[Tensor, "emotion d_model"],
    emotions: Sequence[str],
    *,
    layer: int,
    residual_norm: float,
    controls: Controls,
    doses: Sequence[float],
    n_random: int,
    seed: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> SteeringWords:
    """Run the experiment at one layer; see the module's text.

    Parameters
    ----------
    model
        The model the vectors were made from.
    vectors
        One direction per emotion, of `layer`.
    residual_norm
        Mean residual norm at `layer`; a dose is a fraction of it.
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
    random = random_directions(n_random, model.d_model, seed)

    def effects(
        directions: Float[Tensor, "direction d_model"], dose: float
    ) -> tuple[Float[Tensor, "direction word"], float]:
        effect = torch.zeros(len(directions), len(ids))
        divergence = torch.zeros(len(directions))
        for rows in torch.arange(len(directions)).split(_DIRECTIONS_AT_ONCE):
            for carrier, unsteered in zip(CARRIERS, baseline, strict=True):
                steered = steered_log_probs(
                    model,
                    directions[rows],
                    carrier,
                    layer=layer,
                    dose=dose,
                    residual_norm=residual_norm,
                )
                change = steered - unsteered
                effect[rows] += change[:, ids] / len(CARRIERS)
                kl = reduce(steered.exp() * change, "direction d_vocab -> direction", "sum")
                divergence[rows] += kl / len(CARRIERS)
            progress(len(rows))
        return effect, float(divergence.mean())

    results = [
        _dose_result(dose, effects, vectors[kept], names, random, _subset(controls, kept), seed)
        for dose in doses
    ]
    return SteeringWords(
        emotions=names,
        layer=layer,
        carriers=list(CARRIERS),
        n_random=n_random,
        n_single_token=sum(len(tokens[i]) == 1 for i in kept),
        left_out=[name for name in emotions if name not in names],
        baseline=dict(zip(names, probabilities, strict=True)),
        at_ceiling=[n for n, p in zip(names, probabilities, strict=True) if p > CEILING],
        at_floor=[n for n, p in zip(names, probabilities, strict=True) if p < FLOOR],
        doses=results,
    )


def n_conditions(n_emotions: int, controls: Controls, doses: Sequence[float], n_random: int) -> int:
    """How many steered passes `run` makes; what `progress` counts up to."""
    shuffled = 0 if controls.shuffled is None else n_emotions
    valence = 0 if controls.valence_axis is None else 2
    matched = 0 if controls.matched is None else len(controls.matched)
    return len(doses) * (n_emotions + n_random + shuffled + valence + matched)


def _subset(controls: Controls, kept: list[int]) -> Controls:
    shuffled = None if controls.shuffled is None else controls.shuffled[kept]
    return Controls(shuffled, controls.valence_axis, controls.valence[kept], controls.matched)


def _dose_result(
    dose: float,
    effects: Callable[[Tensor, float], tuple[Tensor, float]],
    vectors: Tensor,
    names: list[str],
    random: Tensor,
    controls: Controls,
    seed: int,
) -> DoseResult:
    matrix, kl = effects(vectors, dose)
    null, random_kl = effects(random, dose)
    diagonal = matrix.diagonal()
    n = len(names)
    others = (matrix.sum(dim=1) - diagonal) / (n - 1)
    shuffled = None
    if controls.shuffled is not None:
        shuffled = float(effects(controls.shuffled, dose)[0].diagonal().mean())
    matched = None
    if controls.matched is not None:
        effect, matched_kl = effects(controls.matched, dose)
        matched = compare(diagonal, effect, names, kl=matched_kl, seed=seed)
    against_random = compare(diagonal, null, names, kl=random_kl, seed=seed)
    valence, rated_diagonal = _valence_effect(dose, effects, controls, diagonal)
    off_diagonal = matrix.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    best_other = off_diagonal.max(dim=0).values
    from_others = (matrix.sum(dim=0) - diagonal) / (n - 1)
    return DoseResult(
        dose=dose,
        matrix=matrix.tolist(),
        matching=float(diagonal.mean()),
        matching_interval=mean_interval(diagonal, seed),
        other=float(others.mean()),
        other_interval=mean_interval(others, seed),
        random_matching=float(null.mean()),
        shuffled_matching=shuffled,
        valence_matching=valence,
        matching_rated=rated_diagonal,
        top_3=float((_rank(matrix) < 3).float().mean()),
        other_vectors_matching=float(from_others.mean()),
        beats_all_others=[
            name
            for name, own, other in zip(names, diagonal.tolist(), best_other.tolist(), strict=True)
            if own > other
        ],
        beats_all_random=against_random.beats_all,
        random=against_random,
        matched=matched,
        kl=kl,
        random_kl=random_kl,
    )


def _valence_effect(
    dose: float,
    effects: Callable[[Tensor, float], tuple[Tensor, float]],
    controls: Controls,
    diagonal: Tensor,
) -> tuple[float | None, float | None]:
    """Effect of the valence axis on each rated word, pushed toward the word's own side."""
    rated = controls.valence.isfinite() & (controls.valence != 0)
    if controls.valence_axis is None or not rated.any():
        return None, None
    both, _ = effects(torch.stack([controls.valence_axis, -controls.valence_axis]), dose)
    toward = torch.where(controls.valence > 0, both[0], both[1])
    return float(toward[rated].mean()), float(diagonal[rated].mean())


def _rank(matrix: Float[Tensor, "vector word"]) -> Int[Tensor, "vector"]:
    """How many words rise more than the vector's own."""
    own = rearrange(matrix.diagonal(), "vector -> vector 1")
    return reduce((matrix > own).long(), "vector word -> vector", "sum")
