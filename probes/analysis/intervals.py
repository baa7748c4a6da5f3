"""Numbers with intervals; accuracies from ranks, with intervals that draw topics again.

An accuracy is a mean over rows that share topics, so rows are not independent: the interval draws
whole topics with replacement and keeps the predictions as they are (what a reader trained on these
topics does on other topics like them).

Contract: pure; a rank is how many other emotions scored at least as high as the right one.
"""

import math

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.statistics import bootstrap_indices, percentile_interval, spread_interval


def estimate_from_draws(value: float, draws: Float[Tensor, "resample"]) -> Estimate:
    """Return a number with the central 95% of what it was when data were drawn again."""
    low, high = percentile_interval(draws)
    return Estimate(float(value), float(low), float(high))


def estimate_from_spread(
    value: float,
    draws: Float[Tensor, "resample"],
    n_units: int,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Estimate | None:
    """Return a number with an interval around it, as wide as its draws (`spread_interval`).

    The ends are cut at the least and the most that it can be. None with fewer than two draws, or
    than two units to draw from.
    """
    if n_units < 2 or len(draws) < 2:
        return None
    low, high = spread_interval(torch.tensor(value, dtype=torch.float64), draws, n_units)
    # Rounding may leave the number itself outside of what it can be.
    ends = min(value, max(least, float(low))), max(value, min(most, float(high)))
    return Estimate(float(value), *ends)


def mean_of_draws(draws: Float[Tensor, "resample"]) -> Estimate:
    """Return the mean of draws with the central 95% of them; its ends hold the mean."""
    mean = float(draws.double().mean())
    low, high = (float(end) for end in percentile_interval(draws))
    return Estimate(mean, min(low, mean), max(high, mean))


def topic_counts(topic: Int[Tensor, "row"], n_resamples: int, seed: int) -> Float[Tensor, "r t"]:
    """How often each topic is drawn in every resample; topics without a row are never drawn."""
    names, place = topic.unique(return_inverse=True)
    del place
    draws = bootstrap_indices(len(names), n_resamples, seed)
    counts = torch.zeros(n_resamples, int(topic.max()) + 1, dtype=torch.float64)
    counts.scatter_add_(1, names[draws], torch.ones_like(draws, dtype=torch.float64))
    return counts


def mean_by_topics(
    values: Float[Tensor, "row"], topic: Int[Tensor, "row"], n_resamples: int, seed: int
) -> Estimate:
    """Mean over rows, with an interval from topics drawn again."""
    counts = topic_counts(topic, n_resamples, seed)
    sums = torch.zeros(counts.shape[1], dtype=torch.float64)
    sums.index_add_(0, topic, values.double())
    sizes = torch.bincount(topic, minlength=counts.shape[1]).double()
    return estimate_from_draws(float(values.double().mean()), (counts @ sums) / (counts @ sizes))


def top_k(
    ranks: Int[Tensor, "row"], k: int, topic: Int[Tensor, "row"], n_resamples: int, seed: int
) -> Estimate:
    """Share of rows whose own emotion is among the first `k`."""
    return mean_by_topics((ranks < k).double(), topic, n_resamples, seed)


def mean_recall(hits: Bool[Tensor, "row"], emotion: Int[Tensor, "row"]) -> float:
    """Share of right rows of each emotion, averaged over the emotions that have a row."""
    of = torch.bincount(emotion).double()
    right = torch.bincount(emotion, weights=hits.double())
    return float((right / of)[of > 0].mean())


def balanced(
    hits: Bool[Tensor, "row"],
    emotion: Int[Tensor, "row"],
    topic: Int[Tensor, "row"],
    n_resamples: int,
    seed: int,
) -> Estimate:
    """Share of right rows of each emotion, averaged over emotions."""
    n_emotions = int(emotion.max()) + 1
    counts = topic_counts(topic, n_resamples, seed)
    cell = topic * n_emotions + emotion
    size = counts.shape[1] * n_emotions
    right = torch.bincount(cell, weights=hits.double(), minlength=size)
    of = torch.bincount(cell, minlength=size).double()
    right, of = (
        rearrange(each, "(topic emotion) -> topic emotion", emotion=n_emotions)
        for each in (right, of)
    )

    def share(weight: Float[Tensor, "resample topic"]) -> Float[Tensor, "resample"]:
        total = einsum(weight, of, "resample topic, topic emotion -> resample emotion")
        hit = einsum(weight, right, "resample topic, topic emotion -> resample emotion")
        there = total > 0
        recall = torch.where(there, hit / total.clamp(min=1), 0.0)
        shown = reduce(there.double(), "resample emotion -> resample", "sum")
        return reduce(recall, "resample emotion -> resample", "sum") / shown

    value = share(torch.ones(1, counts.shape[1], dtype=torch.float64))
    return estimate_from_draws(float(value), share(counts))
