"""Headline statistics: what a search for the best component gains is no finding."""

import pytest
import torch

from probes.analysis.agreement import (
    MIN_RATED,
    RatingMatch,
    gain_in_rating,
    interval_of,
    match_component,
    match_ratings,
    rated_words,
    rating_table,
    reference,
)
from probes.analysis.statistics import correlate, pearson
from probes.stimuli import emotions, human_ratings

RATED = sorted(human_ratings())
UNRATED = [word for word in emotions() if word not in human_ratings()]

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
    r = correlate(searched, rating)
    best = int(r.abs().argmax())
    sign = 1.0 if r[best] >= 0 else -1.0
    return RatingMatch(abs(float(r[best])), best, searched[best] * sign, searched.T, rating)


@pytest.mark.slow
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
        interval = interval_of(match)
        assert interval.low <= match.r <= interval.high
        held.append(interval.low <= correlations[match.component] <= interval.high)
    assert sum(held) / len(held) >= 0.92


def test_where_one_component_stands_out_the_interval_is_fishers():
    match = sample([0.97, 0.0, 0.0], seed=1)
    interval, plain = interval_of(match), pearson(match.coordinate, match.rating)
    assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high))


def test_where_others_might_have_been_the_best_the_interval_is_wider():
    match = sample([0.5, 0.45, 0.4, 0.4, 0.4], seed=1)
    interval, plain = interval_of(match), pearson(match.coordinate, match.rating)
    assert interval.low < plain.low - 0.05
    assert interval.high > plain.high + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("n", [12, 24, 45])
@pytest.mark.parametrize("correlations", [(0.95, 0.71), (0.8, 0.3), (0.6, 0.6)])
def test_a_gain_holds_the_truth_as_often_as_it_says(correlations, n):
    one, other = correlations
    held = []
    for seed in range(300):
        first, second = paired([one], [other], seed, n)
        interval = gain_in_rating(first, second)
        held.append(interval.low <= one - other <= interval.high)
    assert 0.92 <= sum(held) / len(held) <= 0.98


@pytest.mark.slow
def test_a_gain_over_another_search_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(200):
        first, second = paired([0.9, 0, 0, 0, 0], [0.6, 0.4, 0, 0, 0], seed)
        interval = gain_in_rating(first, second)
        held.append(interval.low <= 0.3 <= interval.high)
    assert sum(held) / len(held) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n", [12, 24])
def test_a_gain_over_nearly_the_same_is_as_narrow_as_it_says(n):
    held = []
    for seed in range(300):
        first, _ = paired([0.8], [0.8], seed, n)
        noise = torch.randn(n, generator=torch.Generator().manual_seed(seed + 999)).double()
        along = first.searched[:, 0] + 0.15 * noise
        r = pearson(along, first.rating).r
        second = RatingMatch(r, 0, along, along[:, None], first.rating)
        interval = gain_in_rating(first, second)
        truth = 0.8 - 0.8 / (1 + 0.15**2) ** 0.5
        held.append(interval.low <= truth <= interval.high)
        assert interval.high - interval.low < 0.45
    assert 0.92 <= sum(held) / len(held) <= 0.98


def test_no_gain_over_itself_is_nothing():
    match = sample([0.7, 0.1], seed=0)
    assert gain_in_rating(match, match).ends == pytest.approx((0.0, 0.0), abs=1e-6)


def test_arousal_is_searched_among_what_valence_left():
    known = reference(WORDS)
    vectors = torch.randn(len(WORDS), 12, generator=torch.Generator().manual_seed(0))
    matches = match_ratings(vectors, known)
    assert matches["valence"].component != matches["arousal"].component
    assert matches["arousal"].searched.shape[1] == matches["valence"].searched.shape[1] - 1


def test_too_few_rated_emotions_match_nothing():
    assert match_ratings(torch.randn(3, 12), reference(["angry", "sad", "happy"])) == {}


def noise(n: int, components: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, components, generator=torch.Generator().manual_seed(seed))


def planted(names: list[str], scale: str, component: int, sign: int) -> torch.Tensor:
    coordinates = noise(len(names), 6)
    for row, name in enumerate(names):
        rating = human_ratings().get(name)
        if rating is not None:
            value = rating.pleasure if scale == "valence" else rating.arousal
            coordinates[row, component] = sign * value + 0.1 * coordinates[row, component]
    return coordinates


def match(coordinates, names, scale="valence", **changes):
    options = {"n_searched": 5, "n_permutations": 200, "seed": 0}
    return match_component(coordinates, names, scale, **{**options, **changes})


class TestMatching:
    @pytest.mark.parametrize("scale", ["valence", "arousal"])
    @pytest.mark.parametrize(("component", "sign"), [(0, 1), (3, -1)])
    def test_a_planted_scale_is_found_with_its_sign(self, scale, component, sign):
        names = [name for pair in zip(RATED, UNRATED, strict=False) for name in pair]
        best = match(planted(names, scale, component, sign), names, scale)
        assert (best.component, best.sign) == (component, sign)
        assert best.r > 0.9
        assert best.low < best.r < best.high
        assert best.n == len(RATED)
        assert best.p_corrected < 0.01
        assert best.n_searched == 5

    def test_noise_is_not_significant_after_the_search(self):
        best = match(noise(len(RATED), 5, seed=3), RATED)
        assert best.r > 0
        assert best.p_corrected > 0.05

    def test_a_component_beyond_the_search_is_not_found(self):
        best = match(planted(RATED, "valence", 5, 1), RATED)
        assert best.component != 5

    def test_a_component_already_taken_is_left_out_and_numbers_stay(self):
        coordinates = planted(RATED, "valence", 1, 1)
        coordinates[:, 4] = coordinates[:, 1]
        best = match(coordinates, RATED, exclude=(1,))
        assert (best.component, best.n_searched) == (4, 4)

    def test_unrated_words_have_no_say(self):
        names = [*RATED, *UNRATED[:20]]
        coordinates = planted(names, "valence", 2, 1)
        moved = coordinates.clone()
        moved[len(RATED) :] += 100
        assert match(coordinates, names) == match(moved, names)


class TestTooLittle:
    def test_fewer_rated_words_than_the_minimum_are_not_compared(self):
        names = [*RATED[: MIN_RATED - 1], *UNRATED[:20]]
        assert match(noise(len(names), 5), names) is None
        names = [*RATED[:MIN_RATED], *UNRATED[:20]]
        assert match(noise(len(names), 5), names).n == MIN_RATED

    def test_no_component_left_is_no_match(self):
        assert match(noise(len(RATED), 1), RATED, exclude=(0,)) is None


def test_the_table_holds_the_rated_words_only_between_minus_one_and_one():
    table = rating_table(["sad", UNRATED[0], "happy"])
    assert list(table) == ["sad", "happy"]
    assert table["sad"]["valence"] < 0 < table["happy"]["valence"]
    assert rated_words(["sad", UNRATED[0], "happy"]) == [0, 2]
    assert all(-1 <= value <= 1 for row in rating_table(RATED).values() for value in row.values())
