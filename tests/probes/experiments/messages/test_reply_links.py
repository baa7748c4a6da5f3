"""Links of places: a planted correlation has its size, and a stream that looks alike is no gain."""

import pytest
import torch

from probes.experiments.messages.reply_links import link_places, standing

MESSAGES, EMOTIONS, DEALINGS = 40, 60, 30


def noise(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def offsets(seed):
    """What all messages score, and what all emotions of a message share."""
    return 9 * noise(1, EMOTIONS, seed=seed) + 9 * noise(MESSAGES, 1, seed=seed + 1)


def pair(r, *shape, seed):
    """Two tables whose rows correlate by `r`."""
    shared, one, other = (noise(*shape, seed=seed + n) for n in range(3))
    return tuple(r**0.5 * shared + (1 - r) ** 0.5 * each for each in (one, other))


def linked(first, second, shuffled=0.0, dealings=DEALINGS):
    dealt = pair(shuffled, dealings, MESSAGES, EMOTIONS, seed=50)
    return link_places(first, second, *dealt, n_permutations=500, seed=0)


def test_a_planted_correlation_has_its_size_whatever_all_messages_and_emotions_share():
    first, second = pair(0.6, MESSAGES, EMOTIONS, seed=1)
    link = linked(first + offsets(20), second + offsets(30), shuffled=0.3)
    assert link.r.value == pytest.approx(0.6, abs=0.05)
    assert link.r.low > 0.5 and link.r.high < 0.7
    assert link.shuffled.value == pytest.approx(0.3, abs=0.02)
    assert link.gain.value == pytest.approx(link.r.value - link.shuffled.value)
    assert link.gain.low > 0.2
    assert link.p_others < 0.01 and link.p_shuffled < 0.05
    assert abs(link.others) < 0.05
    assert linked(first, second).by_message == pytest.approx(link.by_message)


def test_nothing_is_seen_in_noise_that_shares_offsets():
    shared = offsets(20)
    first, second = pair(0.0, MESSAGES, EMOTIONS, seed=1)
    link = linked(first + shared, second + shared)
    assert link.r.low < 0 < link.r.high
    assert link.p_others > 0.05 and link.p_shuffled > 0.05


def test_a_stream_that_looks_alike_along_any_direction_is_no_gain():
    link = linked(*pair(0.6, MESSAGES, EMOTIONS, seed=1), shuffled=0.6)
    assert link.r.low > 0.5 and link.p_others < 0.01
    assert link.gain.low < 0 < link.gain.high
    assert link.p_shuffled > 0.05


def test_the_interval_holds_the_truth_in_about_95_of_100_runs():
    held = 0
    for seed in range(200):
        r = linked(*pair(0.5, MESSAGES, EMOTIONS, seed=1000 + 7 * seed), dealings=1).r
        held += r.low <= 0.5 <= r.high
    assert held >= 180


def test_one_place_exceeds_another_by_the_difference_message_by_message():
    near, far = (linked(*pair(r, MESSAGES, EMOTIONS, seed=1)) for r in (0.8, 0.2))
    ahead = near.over(far)
    assert ahead.value == pytest.approx(near.r.value - far.r.value)
    assert ahead.low > 0.4
    assert far.over(far).value == 0


def test_chosen_emotions_stand_where_they_were_put_whatever_all_messages_score():
    scores = noise(MESSAGES, EMOTIONS, seed=3)
    chosen = [[n % EMOTIONS, (n + 5) % EMOTIONS] for n in range(MESSAGES)]
    by_chance = standing(scores + offsets(20), chosen)
    assert by_chance.low < 0.5 < by_chance.high
    for row, own in zip(scores, chosen, strict=True):
        row[own] += 6.0
    assert standing(scores + offsets(20), chosen).value > 0.98
    assert standing(-scores, chosen).value < 0.02


def test_messages_without_a_chosen_emotion_are_left_out():
    scores = noise(MESSAGES, EMOTIONS, seed=3)
    scores[0, 0] = 50.0
    only_first = standing(scores, [[0], *[[]] * (MESSAGES - 1)])
    assert (only_first.value, only_first.low) == (1.0, None)
    assert standing(scores, [[]] * MESSAGES) is None
