"""Stories of one run read by vectors of another: exact, fooled neither by offsets nor by topics."""

import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from probes.analysis.cross_reading import cross_reading

N_EMOTIONS, N_TOPICS, D = 8, 10, 20
EMOTION = torch.arange(N_EMOTIONS).repeat(N_TOPICS * 2)
TOPIC = torch.arange(N_TOPICS).repeat_interleave(N_EMOTIONS * 2)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows(strength, seed=3):
    """Rows with an offset that all share, a topic's direction, the emotion's, and noise."""
    own = noise(N_EMOTIONS, D, seed=1)
    about = 3 * noise(N_TOPICS, D, seed=2)
    return 50 + about[TOPIC] + strength * own[EMOTION] + noise(len(EMOTION), D, seed=seed)


def read(some, vectors, n_resamples=400):
    return cross_reading(some, EMOTION, TOPIC, vectors, n_resamples=n_resamples, seed=0)


def test_the_nearest_is_that_of_the_largest_cosine_with_centered_rows():
    some, vectors = rows(0.7).double(), noise(N_EMOTIONS, D, seed=1).double()
    means = torch.stack([some[each == EMOTION].mean(dim=0) for each in range(N_EMOTIONS)])
    cosines = cosine_similarity(some - means.mean(dim=0), vectors - vectors.mean(dim=0))
    expected = float((torch.from_numpy(cosines).argmax(dim=1) == EMOTION).double().mean())
    assert 0.2 < expected < 0.95
    assert read(some, vectors).top_1.value == pytest.approx(expected)


def test_the_emotions_own_directions_name_it_with_an_interval_above_chance():
    result = read(rows(1.5), noise(N_EMOTIONS, D, seed=1))
    assert result.top_1.value > 0.6
    assert result.top_1.ends[0] > result.chance == 1 / N_EMOTIONS
    assert result.top_1.ends[0] > result.null_bound
    assert result.p == pytest.approx(1 / 401)
    assert (result.n, result.n_topics, result.n_emotions) == (160, N_TOPICS, N_EMOTIONS)


def test_unrelated_directions_stay_at_chance():
    results = [read(rows(1.5), noise(N_EMOTIONS, D, seed=seed)) for seed in range(10, 40)]
    mean = sum(each.top_1.value for each in results) / len(results)
    assert mean == pytest.approx(1 / N_EMOTIONS, abs=0.05)
    assert sum(each.p < 0.05 for each in results) <= 5


def test_what_all_vectors_share_and_their_lengths_are_no_emotions():
    vectors = noise(N_EMOTIONS, D, seed=1)
    assert read(rows(0.7), vectors + 30).top_1.value == read(rows(0.7), vectors).top_1.value
    assert read(rows(0.7), 5 * vectors).top_1.value == read(rows(0.7), vectors).top_1.value


def test_more_stories_of_one_emotion_do_not_pull_the_center():
    some = rows(1.5)
    more = torch.cat([torch.arange(len(EMOTION)), *[(EMOTION == 2).nonzero()[:, 0]] * 20])
    heavy = cross_reading(
        some[more], EMOTION[more], TOPIC[more], noise(N_EMOTIONS, D, seed=1), seed=0
    )
    of_others = EMOTION[more] != 2
    assert heavy.n == len(EMOTION) + 20 * int((EMOTION == 2).sum())
    assert of_others.sum() < heavy.n / 2
    own = read(some, noise(N_EMOTIONS, D, seed=1))
    share_of_2 = (heavy.top_1.value * heavy.n - own.top_1.value * own.n) / (heavy.n - own.n)
    # Only what was added counts: 20 times the same rows, each named as before.
    assert share_of_2 * 20 == pytest.approx(round(share_of_2 * 20))


def test_the_interval_pays_for_topics_that_differ():
    few = torch.tensor([0, 1, 2])
    some, vectors = rows(0.7), noise(N_EMOTIONS, D, seed=1)
    chosen = torch.isin(TOPIC, few)
    small = cross_reading(some[chosen], EMOTION[chosen], TOPIC[chosen], vectors, seed=0)
    low, high = small.top_1.ends
    all_low, all_high = read(some, vectors).top_1.ends
    assert high - low > all_high - all_low


def test_a_single_topic_has_no_interval():
    chosen = TOPIC == 0
    one = cross_reading(
        rows(1.5)[chosen], EMOTION[chosen], TOPIC[chosen], noise(N_EMOTIONS, D, seed=1), seed=0
    )
    assert one.top_1.low is None
    assert one.n_topics == 1
