"""The lens beyond valence: own words are found, words of a whole side are not."""

import pytest
import torch

from probes.analysis.lens_beyond import lens_within_side

N, VOCAB = 24, 200
SIDE = torch.tensor([1, -1]).repeat(N // 2)
IDS = [[number] for number in range(N)]
READABLE = torch.ones(VOCAB, dtype=torch.bool)


def judged(logits, side=SIDE, seed=0):
    how = {"top_k": 5, "n_shuffles": 200, "seed": seed}
    return lens_within_side(logits, READABLE, IDS, side, **how)


def noise(seed=0):
    return torch.randn(N, VOCAB, generator=torch.Generator().manual_seed(seed))


def test_a_vector_that_promotes_its_own_word_is_found_also_by_itself():
    lens = judged(noise() + 8 * torch.eye(N, VOCAB))
    assert lens is not None
    assert lens.share.value == 1.0
    assert lens.p == pytest.approx(1 / 201)
    assert lens.shuffled < 0.3
    # First of twelve on each side: 1/12 is no q below .05, however clear.
    assert (lens.n, lens.alone) == (N, 0)
    many = torch.randn(171, 400, generator=torch.Generator().manual_seed(1))
    clear = lens_within_side(
        many + 8 * torch.eye(171, 400),
        torch.ones(400, dtype=torch.bool),
        [[number] for number in range(171)],
        torch.tensor([1, -1, 1]).repeat(57),
        top_k=5,
        n_shuffles=50,
        seed=0,
    )
    assert clear is not None and clear.alone == 171


def test_vectors_that_promote_all_words_of_their_side_name_nothing_within_it():
    by_side = torch.zeros(N, VOCAB)
    by_side[:, :N] = 8.0 * (SIDE[:, None] == SIDE)
    p = []
    for seed in range(40):
        lens = judged(noise(seed) + by_side, seed=seed)
        assert lens is not None
        assert lens.alone == 0
        p.append(lens.p)
    assert sum(each <= 0.05 for each in p) <= 6
    assert lens.share.value > 0.2, "by side alone many are among the first"


def test_one_side_with_a_single_emotion_has_nothing_to_be_dealt():
    side = torch.zeros(N, dtype=torch.long)
    side[:3] = torch.tensor([1, 1, -1])
    assert judged(noise(), side) is None
