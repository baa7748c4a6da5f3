"""What two models' residuals become along a run's vectors: an `EmotionShift`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from hooks.errors import DataError
from probes.analysis.agreement import MIN_RATED, rating_table
from probes.analysis.findings import Estimate
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value
from probes.analysis.similarity import own_cosines
from probes.analysis.statistics import correlate, pearson
from probes.experiments.steering.controls import matched_random
from probes.experiments.training.emotion_shift import (
    BEYOND,
    SETS,
    ByOwnVectors,
    EmotionShift,
    WithRatings,
)
from probes.experiments.training.random_sets import RandomSets, random_sets
from probes.experiments.training.shifted_scores import (
    Along,
    SetShift,
    alike,
    correlate_means,
    draw_texts,
    project,
    set_shift,
)
from probes.runs.materials import Materials
from probes.vectors.emotion_vectors import EmotionVectors

N_DIRECTIONS = 4000
"""So that one emotion of 171 can stand out alone: its q is then 171 / 4001."""


@dataclass(frozen=True)
class TwoReadings:
    """Residuals of the run's model and the other at the last token before the reply.

    Sets are challenging and neutral prompts; the n-th of both are a pair.
    """

    residual: Float[Tensor, "model set prompt d_model"]
    other: str
    template: str
    same_tokens: bool
    same_weights: bool


@dataclass(frozen=True)
class OtherRun:
    """A run of the other model: its name, and its vectors."""

    name: str
    vectors: EmotionVectors


def measure(
    materials: Materials,
    readings: TwoReadings,
    vectors: EmotionVectors,
    layer: int,
    other_run: OtherRun | None = None,
    *,
    n_directions: int = N_DIRECTIONS,
) -> EmotionShift:
    """Judge what was read of both models at one layer.

    `vectors` are the run's, of the way of expression asked for; DataError where no emotion has two
    stories, from which random directions are made.
    """
    random = matched_random(materials, n_directions, materials.seed + 1, layer)
    if not len(random):
        raise DataError(
            "expected an emotion with two stories or more, whose differences make the random "
            "directions that a shift is set beside; each emotion of this run has one."
        )
    place, n_pairs = vectors.layer_index(layer), readings.residual.shape[2]
    center, norm = vectors.global_mean[place], float(vectors.residual_norm[place])
    draws = draw_texts(n_pairs, materials.seed)
    sets = random_sets(vectors.at(layer), random, materials.seed + 2)
    scores = {
        name: [
            Along(*(project(it, center, norm, along) for along in (vectors.at(layer), random)))
            for it in readings.residual[:, number]
        ]
        for number, name in enumerate(SETS)
    }
    # What a model does at a challenge beyond what it does at any request.
    scores[BEYOND] = [one.less(two) for one, two in zip(*scores.values(), strict=True)]
    apart = {name: other.less(own) for name, (own, other) in scores.items()}
    challenging, neutral, _ = apart.values()
    shifts = {name: set_shift(it, draws, sets) for name, it in apart.items()}
    lengths = torch.linalg.vector_norm(readings.residual.double(), dim=-1)
    own, other = reduce(lengths, "model set prompt -> model", "mean").tolist()
    ratings = _with_ratings(challenging, shifts[SETS[0]], vectors.emotions, sets)
    return EmotionShift(
        model=vectors.provenance.model,
        other=readings.other,
        layer=layer,
        way=vectors.way,
        template=readings.template,
        n_pairs=n_pairs,
        n_directions=len(random),
        emotions=list(vectors.emotions),
        shifts=shifts,
        profiles={
            name: [reduce(it.emotions, "prompt e -> e", "mean").tolist() for it in scores[name]]
            for name in SETS
        },
        shift_r=alike(challenging, neutral, draws, sets),
        profile_r={name: alike(*both, draws=draws, sets=sets) for name, both in scores.items()},
        ratings=ratings,
        n_rated=len(rating_table(vectors.emotions)),
        own=None
        if other_run is None
        else _by_own(readings, scores[SETS[0]], vectors, other_run, layer, draws),
        length_ratio=other / own,
        same_tokens=readings.same_tokens,
        same_weights=readings.same_weights,
    )


def _with_ratings(
    apart: Along, shift: SetShift, emotions: Sequence[str], sets: RandomSets
) -> dict[str, WithRatings]:
    """Correlate emotions' shifts with people's ratings of the words, where enough are rated."""
    table = rating_table(emotions)
    if len(table) < MIN_RATED or shift.is_zero:
        return {}
    rated = [emotions.index(name) for name in table]
    shifts = torch.tensor([shift.shift[number].value for number in rated])
    of_sets = sets.along(reduce(apart.random, "prompt direction -> direction", "mean"))[:, rated]
    correlations = {}
    for scale in ("valence", "arousal"):
        ratings = torch.tensor([rating[scale] for rating in table.values()])
        it = pearson(shifts, ratings)
        p = permutation_p_value(abs(it.r), correlate(of_sets, ratings).abs(), "greater")
        correlations[scale] = WithRatings(Estimate(it.r, it.low, it.high), p)
    return correlations


def _by_own(
    readings: TwoReadings,
    scores: Sequence[Along],
    vectors: EmotionVectors,
    other_run: OtherRun,
    layer: int,
    draws: Float[Tensor, "draw prompt"],
) -> ByOwnVectors:
    """Read the other model by its own vectors, center and norm, and set that beside the run's."""
    others, place = other_run.vectors, other_run.vectors.layer_index(layer)
    shared = [name for name in vectors.emotions if name in others.emotions]
    ours, theirs = ([it.emotions.index(name) for name in shared] for it in (vectors, others))
    first, second = (it.emotions[:, ours] for it in scores)
    norm = float(others.residual_norm[place])
    along = others.at(layer)[theirs]
    by_own = project(readings.residual[1, 0], others.global_mean[place], norm, along)
    return ByOwnVectors(
        run=other_run.name,
        n_emotions=len(shared),
        cosine=mean_over(own_cosines(vectors.at(layer)[ours], along)),
        shift_r=correlate_means(second - first, by_own - first, draws),
        profile_r=correlate_means(first, by_own, draws),
    )
