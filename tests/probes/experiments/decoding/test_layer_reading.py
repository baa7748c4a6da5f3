"""One layer read: balanced accuracy as scikit-learn's, refits that learn nothing new of topics."""

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from probes.analysis.held_out import Design, rank_of
from probes.analysis.intervals import mean_over
from probes.experiments.decoding.coarse_accuracy import CoarseReader
from probes.experiments.decoding.held_out_topics import Accuracies
from probes.experiments.decoding.layer_reading import (
    BALANCED,
    TOP_1,
    TOP_3,
    Dealings,
    LayerReader,
    recall,
    statistics,
)
from probes.experiments.folds import TopicFolds

N_EMOTIONS, N_TOPICS = 4, 6
CELLS = [(e, t) for t in range(N_TOPICS) for e in range(N_EMOTIONS) for _ in range(3)]
EMOTION, TOPIC = (
    torch.tensor(column)[torch.arange(len(CELLS)) % 7 != 0] for column in zip(*CELLS, strict=True)
)
DESIGN = Design(EMOTION, TOPIC, torch.ones_like(EMOTION), torch.arange(N_TOPICS) % 3, N_EMOTIONS)
SCORED = torch.randn(len(EMOTION), N_EMOTIONS, generator=torch.Generator().manual_seed(3))
RANKS = rank_of(SCORED, EMOTION)


def test_accuracies_agree_with_scikit_learn():
    truth, scores = EMOTION.numpy(), SCORED.numpy()
    values, judged = statistics(RANKS, EMOTION), Accuracies.of(RANKS, DESIGN)
    for name, k in ((TOP_1, 1), (TOP_3, 3)):
        expected = top_k_accuracy_score(truth, scores, k=k)
        assert values[name] == pytest.approx(expected)
        assert getattr(judged, name).value == pytest.approx(expected)
    expected = balanced_accuracy_score(truth, scores.argmax(1))
    for value in (values[BALANCED], judged.balanced.value):
        assert value == pytest.approx(expected)
    assert float(recall(RANKS == 0, DESIGN).mean()) == pytest.approx(expected)


def test_refits_widen_an_interval_and_leave_its_number():
    again = {TOP_1: torch.tensor([0.1, 0.5, 0.3], dtype=torch.float64)}
    plain, wider = Accuracies.of(RANKS, DESIGN), Accuracies.of(RANKS, DESIGN, again)
    assert plain.top_1 == mean_over((RANKS == 0).double(), TOPIC, within=(0.0, 1.0))
    assert wider.top_1.value == plain.top_1.value
    assert wider.top_1.high - wider.top_1.low > plain.top_1.high - plain.top_1.low
    assert wider.top_3 == plain.top_3


def test_labels_are_dealt_within_sides_for_what_must_be_more_than_valence(planted):
    run = planted(target_layer=2, strength=[0.0, 0.0, 1.0, 0.0], topic_strength=0.5)
    folds, coarse = TopicFolds(run, 6), CoarseReader(run.emotions)
    dealings = Dealings.of(folds.design, coarse, 12, seed=0)
    side = coarse.groups.side
    for each in dealings.sides:
        assert torch.equal(side[each.emotion], side[folds.design.emotion])
    assert any(
        not torch.equal(side[each.emotion], side[folds.design.emotion]) for each in dealings.topics
    )
    reading = LayerReader(folds, 2, coarse).read(
        dealings.first(5), n_refits=4, ways=list(coarse.chance), n_nested=3
    )
    assert set(reading.null) == {TOP_1, TOP_3, BALANCED, *coarse.chance}
    assert {len(each) for each in reading.null.values()} == {5}
    assert {len(each) for each in reading.refits.values()} == {4}
    assert reading.by_emotion["within_side"].shape == (5, len(run.emotions))
    bare = LayerReader(folds, 2, coarse).read(dealings.first(5).of_topics, n_refits=4)
    assert set(bare.null) == set(bare.refits) == {TOP_1, TOP_3, BALANCED}
    assert torch.equal(bare.nearest, reading.nearest)
    assert reading.nested["sides"].hits.shape == (3, 1 + len(coarse.chance), 96)
