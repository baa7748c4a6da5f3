"""Headline statistics: what a search for the best component gains is not counted as found."""

import pytest
import torch

from probes.analysis.agreement import (
    RatingMatch,
    gain_in_rating,
    interval_of,
    match_ratings,
    reference,
)
from probes.analysis.statistics import pearson

WORDS = [
    "angry",
    "sad",
    "bored",
    "lonely",
    "happy",
    "proud",
    "kind",
    "relaxed",
    "excited",
    "hopeful",
]


def sample(correlations, seed, n=24):
    """The best of several components that correlate with a rating as given, in `n` emotions."""
    generator = torch.Generator().manual_seed(seed)
    return best_of(
        correlations, torch.randn(n, dtype=torch.float64, generator=generator), generator
    )


def paired(first, second, seed, n=24):
    """Two such searches for the same ratings."""
    generator = torch.Generator().manual_seed(seed)
    rating = torch.randn(n, dtype=torch.float64, generator=generator)
    return best_of(first, rating, generator), best_of(second, rating, generator)


def best_of(correlations, rating, generator):
    noise = torch.randn(len(correlations), len(rating), dtype=torch.float64, generator=generator)
    rho = torch.tensor(correlations, dtype=torch.float64)[:, None]
    searched = rho * rating + (1 - rho**2).sqrt() * noise
    r = torch.tensor([pearson(each, rating).r for each in searched])
    best = int(r.abs().argmax())
    sign = 1.0 if r[best] >= 0 else -1.0
    return RatingMatch(abs(float(r[best])), best, searched[best] * sign, searched.T, rating)


@pytest.mark.parametrize(
    "correlations",
    [
        [0.95, 0.0, 0.0, 0.0, 0.0],
        [0.7, 0.3, 0.0, 0.0, 0.0],
        [0.5, 0.4, 0.3, 0.0, 0.0],
        [0.4, 0.0, 0.0, 0.0, 0.0],
        [0.3] * 5,
        [0.0] * 5,
    ],
)
def test_intervals_of_the_best_component_hold_the_truth_as_often_as_they_say(correlations):
    held = []
    for seed in range(400):
        match = sample(correlations, seed)
        found = interval_of(match)
        assert found.low <= match.r <= found.high
        held.append(found.low <= correlations[match.component] <= found.high)
    assert sum(held) / len(held) >= 0.92


def test_where_one_component_stands_out_the_interval_is_fishers():
    match = sample([0.97, 0.0, 0.0], seed=1)
    found, plain = interval_of(match), pearson(match.coordinate, match.rating)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_where_others_might_have_been_the_best_the_interval_is_wider():
    match = sample([0.5, 0.45, 0.4, 0.4, 0.4], seed=1)
    found, plain = interval_of(match), pearson(match.coordinate, match.rating)
    assert found.low < plain.low - 0.05
    assert found.high > plain.high + 0.02


def test_a_gain_over_another_search_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(120):
        first, second = paired([0.9, 0, 0, 0, 0], [0.6, 0.4, 0, 0, 0], seed)
        found = gain_in_rating(first, second, 100, seed)
        held.append(found.low <= 0.3 <= found.high)
    assert sum(held) / len(held) >= 0.9


def test_arousal_is_searched_among_what_valence_left():
    known = reference(WORDS)
    vectors = torch.randn(len(WORDS), 12, generator=torch.Generator().manual_seed(0))
    found = match_ratings(vectors, known)
    assert found["valence"].component != found["arousal"].component
    assert found["arousal"].searched.shape[1] == found["valence"].searched.shape[1] - 1


def test_too_few_rated_emotions_match_nothing():
    assert match_ratings(torch.randn(3, 12), reference(["angry", "sad", "happy"])) == {}
