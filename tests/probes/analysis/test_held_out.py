"""Reading on held-out topics: agrees with scikit-learn, is fooled neither by topics nor by luck."""

import pytest
import torch
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from hooks.errors import InvalidInput
from probes.analysis.held_out import (
    Design,
    centered,
    choose_nested,
    held_out_ranks,
    held_out_scores,
    inner_hits,
    logistic_ranks,
    permute_within_topics,
    rank_of,
    sum_cells,
    topic_folds,
    topics_drawn_again,
    whitened,
)
from probes.analysis.resampling import permutation_p_value
from probes.vectors.denoising import fit_vectors

N_EMOTIONS, N_TOPICS, D = 4, 6, 16
EMPTY = torch.zeros(0, D)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def design(per_cell: int = 2, n_folds: int = 3) -> Design:
    cells = [(e, t) for t in range(N_TOPICS) for e in range(N_EMOTIONS) for _ in range(per_cell)]
    emotion, topic = (torch.tensor(column) for column in zip(*cells, strict=True))
    return Design(
        emotion, topic, torch.ones_like(emotion), topic_folds(N_TOPICS, n_folds, 0), N_EMOTIONS
    )


def rows(of: Design, emotion: float = 0.0, topic: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Rows made of an emotion's direction, a topic's direction and noise."""
    own, about = noise(N_EMOTIONS, D, seed=90), noise(N_TOPICS, D, seed=91)
    return emotion * own[of.emotion] + topic * about[of.topic] + noise(len(of.topic), D, seed=seed)


def test_folds_are_even_and_hold_every_topic_once():
    folds = topic_folds(11, 4, seed=0)
    assert sorted(torch.bincount(folds).tolist()) == [2, 3, 3, 3]
    assert torch.equal(folds, topic_folds(11, 4, seed=0))
    assert topic_folds(3, 10, seed=0).sort().values.tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput, match="at least two topics"):
        topic_folds(1, 5, seed=0)


def test_agrees_with_the_nearest_neighbor_under_cosine_fold_by_fold():
    of = design()
    data = rows(of, emotion=0.7)
    nearest_vector = held_out_scores(data, of, [EMPTY] * 3).argmax(dim=1)
    for fold in range(3):
        inside, outside = of.fold == fold, of.fold != fold
        means = torch.stack([data[outside & (of.emotion == e)].mean(dim=0) for e in range(4)])
        center = means.mean(dim=0)
        unit = torch.nn.functional.normalize(means - center, dim=1)
        shifted = torch.nn.functional.normalize(data[inside] - center, dim=1)
        nearest = KNeighborsClassifier(1, metric="cosine").fit(unit.numpy(), range(4))
        assert nearest_vector[inside].tolist() == nearest.predict(shifted.numpy()).tolist()


def test_neutral_components_are_projected_out_of_the_vectors():
    of = design()
    data = rows(of, emotion=1.0)
    basis = torch.linalg.qr(noise(D, 2, seed=5)).Q.T
    trained = fit_vectors(sum_cells(data, of), torch.ones(N_TOPICS), basis)
    assert (trained.vectors @ basis.T).abs().max() < 1e-5


def test_what_a_topic_alone_carries_is_worth_nothing_on_held_out_topics():
    # Within topics every emotion's stories are alike; a random split would find them.
    of = design(per_cell=4)
    own = noise(N_EMOTIONS, N_TOPICS, D, seed=7)
    data = own[of.emotion, of.topic] * 3 + 0.1 * noise(len(of.topic), D)
    held = (held_out_ranks(data, of, [EMPTY] * 3) == 0).double().mean()
    within = sum_cells(data, of)
    means = within.sums / within.counts[..., None]
    same_topic = torch.cdist(data, means.reshape(-1, D)).argmin(dim=1) % N_EMOTIONS
    assert (same_topic == of.emotion).double().mean() == 1.0
    assert held < 0.45


def test_planted_emotions_are_found_in_spite_of_strong_topics_and_a_large_offset():
    of = design()
    data = centered(rows(of, emotion=3.0, topic=3.0).double() + 1e4)
    assert (held_out_ranks(data, of, [EMPTY] * 3) == 0).double().mean() > 0.6
    assert (logistic_ranks(whitened(data, of), of) == 0).double().mean() > 0.6


def test_an_emotion_known_from_the_held_out_topic_alone_is_never_named():
    of = design()
    emotion = of.emotion.clone()
    emotion[of.emotion == 3] = 2
    emotion[(of.emotion == 3) & (of.topic == 0)] = 3
    alone = Design(emotion, of.topic, of.weight, of.fold_of_topic, N_EMOTIONS)
    ranks = held_out_ranks(rows(alone, emotion=3.0), alone, [EMPTY] * 3)
    assert (ranks[emotion == 3] == N_EMOTIONS - 1).all()


def test_a_reader_that_cannot_decide_is_never_right():
    assert (rank_of(torch.zeros(5, 4), torch.tensor([0, 1, 2, 3, 0])) == 3).all()


def test_shuffling_keeps_every_topics_emotions():
    of = design()
    dealt = permute_within_topics(of, 20, seed=0)
    for topic in range(N_TOPICS):
        members = of.topic == topic
        own = of.emotion[members].sort().values
        assert all(torch.equal(each.emotion[members].sort().values, own) for each in dealt)
    assert not torch.equal(dealt[0].emotion, dealt[1].emotion)


def test_whole_cells_change_their_emotion_together_and_within_a_side_where_asked():
    of, side = design(per_cell=3), torch.tensor([1, -1, 1, -1])
    for dealt in permute_within_topics(of, 10, seed=0, side=side):
        cells = dealt.emotion.reshape(N_TOPICS, N_EMOTIONS, 3)
        assert (cells == cells[..., :1]).all()
        assert torch.equal(side[dealt.emotion], side[of.emotion])


@pytest.mark.slow
def test_stories_of_a_cell_that_are_alike_do_not_make_p_small():
    """Plots of a topic differ, emotions do not; dealing single stories calls 10% significant."""
    of, small = design(per_cell=6, n_folds=3), 0
    for dataset in range(60):
        plots = 2 * noise(N_EMOTIONS, N_TOPICS, D, seed=1000 + dataset)
        data = plots[of.emotion, of.topic] + noise(len(of.topic), D, seed=dataset)
        held = (held_out_ranks(data, of, [EMPTY] * 3) == 0).double().mean()
        null = torch.stack([
            (held_out_ranks(data, each, [EMPTY] * 3) == 0).double().mean()
            for each in permute_within_topics(of, 19, seed=dataset)
        ])  # fmt: skip
        small += permutation_p_value(float(held), null, "greater") <= 0.05
    assert small / 60 <= 0.1


def test_permutation_p_values_of_null_data_are_uniform():
    of, p = design(per_cell=3, n_folds=2), []
    for dataset in range(40):
        data = rows(of, topic=2.0, seed=dataset)
        hits = (held_out_ranks(data, of, [EMPTY] * 2) == 0).double().mean()
        dealt = permute_within_topics(of, 19, seed=dataset)
        ranks = torch.stack([held_out_ranks(data, each, [EMPTY] * 2) for each in dealt])
        null = (ranks == 0).double().mean(dim=1)
        # Accuracies are whole counts: ties are broken at random to compare with a uniform law.
        jitter = noise(20, seed=dataset) * 1e-6
        p.append(permutation_p_value(float(hits + jitter[0]), null + jitter[1:], "greater"))
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_layer_is_chosen_without_the_fold_that_is_judged():
    of = design()
    # Fold 0 alone would choose layer 1; the others choose layer 0.
    hits = torch.zeros(2, 3, 3, dtype=torch.float64)
    hits[0, 1, 2] = hits[0, 2, 1] = hits[0, 0, 1] = hits[0, 0, 2] = 5
    hits[1, 1, 0] = hits[1, 2, 0] = 9
    assert choose_nested(hits).tolist() == [0, 1, 1]
    data = rows(of, emotion=2.0)
    inner = inner_hits(data, of, lambda *_: EMPTY)
    assert inner.diagonal().sum() == 0
    held = (of.fold != 0) & (of.fold != 1)
    means = torch.stack([data[held & (of.emotion == e)].mean(dim=0) for e in range(4)])
    vectors = torch.nn.functional.normalize(means - means.mean(dim=0), dim=1)
    judged = of.fold == 1
    named = ((data[judged] - means.mean(dim=0)) @ vectors.T).argmax(dim=1)
    assert inner[0, 1] == (named == of.emotion[judged]).sum()


def test_a_topic_that_is_not_drawn_teaches_nothing():
    of = design()
    data = rows(of, emotion=1.0)
    counts = topics_drawn_again(of, 20, seed=0)
    assert (counts.sum(dim=1) == N_TOPICS).all()
    left = of.topic != 0
    weight = torch.ones(N_TOPICS)
    weight[0] = 0
    without = Design(of.emotion[left], of.topic[left], of.weight[left], of.fold_of_topic, 4)
    scored = held_out_scores(data, of, [EMPTY] * 3, weight)[left]
    torch.testing.assert_close(scored, held_out_scores(data[left], without, [EMPTY] * 3))


def test_vectors_are_changed_before_they_read():
    of = design()
    data = rows(of, emotion=1.0)
    scored = held_out_scores(data, of, [EMPTY] * 3, changed=lambda vectors: -vectors)
    torch.testing.assert_close(scored, -held_out_scores(data, of, [EMPTY] * 3))
