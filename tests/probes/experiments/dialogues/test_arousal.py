"""Arousal: a planted answer to the other's arousal is seen, with its sign, and none in noise."""

import pytest
import torch

from probes.analysis.agreement import rating_table
from probes.experiments.dialogues.arousal import link_arousal
from probes.stimuli import emotions, human_ratings

NAMES = [
    *("excited", "proud", "grateful", "relaxed", "hopeful", "surprised"),
    *("angry", "terrified", "sad", "bored", "lonely", "embarrassed"),
]
EMOTIONS = list(emotions())
WIDTH = 40


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def vectors(seed=0):
    """Vectors of a run along one axis of arousal, another of valence, and noise."""
    ratings = human_ratings()
    made = 0.1 * draw(seed, len(EMOTIONS), WIDTH)
    for row, name in enumerate(EMOTIONS):
        if name in ratings:
            made[row, 0] += ratings[name].arousal
            made[row, 1] += ratings[name].pleasure
    return made


def along(weight, seed, noise=0.1):
    """Directions of the names that lie on the arousal axis as they are rated."""
    table = rating_table(NAMES)
    made = noise * draw(seed, 12, WIDTH)
    made[:, 0] += weight * torch.tensor([table[name]["arousal"] for name in NAMES]).double()
    made[:, 1] += torch.tensor([table[name]["valence"] for name in NAMES]).double()
    return made


@pytest.mark.parametrize(("weight", "sign"), [(1.0, 1), (-1.0, -1)])
def test_a_planted_answer_is_seen_with_its_sign_and_no_valence(weight, sign):
    link = link_arousal(along(1.0, 1), along(weight, 2), NAMES, vectors(), EMOTIONS, 0)
    assert link.emotions == NAMES and link.n_axis == 45 - 12
    assert link.other_r.value * sign > 0.9 and link.own_r.value > 0.9
    assert link.p < 0.01
    finding = link.finding()
    assert finding.verdict == "shown" and finding.flips < 0.1
    assert f"{link.other_r:+.2f}" in finding.line


def test_nothing_is_seen_in_noise():
    links = [
        link_arousal(along(0, 1), draw(seed, 12, WIDTH), NAMES, vectors(), EMOTIONS, 0)
        for seed in range(10, 30)
    ]
    assert sum(link.finding().verdict == "shown" for link in links) <= 3
    assert abs(sum(link.other_r.value for link in links)) / 20 < 0.2


def test_vectors_of_the_dialogues_own_emotions_have_no_part_in_the_axis():
    planted = vectors()
    changed = planted.clone()
    changed[[EMOTIONS.index(name) for name in NAMES]] += 10 * draw(5, 12, WIDTH)
    one, other = (
        link_arousal(along(1, 1), along(1, 2), NAMES, it, EMOTIONS, 0) for it in (planted, changed)
    )
    assert one == other


def test_too_few_rated_emotions_beside_those_of_the_dialogues_give_no_axis():
    few = [*NAMES, "happy", "kind", "smug"]
    chosen = vectors()[[EMOTIONS.index(name) for name in few]]
    assert link_arousal(along(1, 1), along(1, 2), NAMES, chosen, few, 0) is None
    own = vectors()[[EMOTIONS.index(name) for name in NAMES]]
    assert link_arousal(along(1, 1), along(1, 2), NAMES, own, NAMES, 0) is None
