"""Coarser ways to be right: exact on tables made by hand, chance for noise, silent where empty."""

from dataclasses import replace

import pytest
import torch

from probes.analysis.findings import Estimate
from probes.experiments.decoding.coarse_accuracy import CoarseAccuracy, CoarseReader
from probes.experiments.decoding.shuffled_labels import Null
from probes.stimuli import emotions

# Clusters: exuberant joy (2), hostile anger (2), despair and shame (1).
NAMES = ["happy", "joyful", "angry", "enraged", "sad"]


@pytest.fixture
def reader():
    return CoarseReader(NAMES)


def hits(reader, scored, emotion):
    right = reader.hits(torch.tensor([scored]), torch.tensor([NAMES.index(emotion)]))
    return dict(zip(reader.chance, right[:, 0].tolist(), strict=True))


def test_chances_are_those_of_guessing_among_all_and_among_the_own_side(reader):
    assert reader.chance["clusters"] == pytest.approx((2 + 2 + 2 + 2 + 1) / 5 / 5)
    assert reader.chance["within_side"] == pytest.approx((1 / 2 + 1 / 2 + 3 * 1 / 3) / 5)
    assert reader.n_groups == {"clusters": 3, "within_side": 2}


def test_a_neighbor_of_the_own_cluster_is_right_by_cluster_alone(reader):
    assert hits(reader, [0.5, 0.9, 0.1, 0.0, 0.0], "happy") == {
        "clusters": True,
        "within_side": False,
    }


def test_rivals_of_the_other_side_do_not_count_within_a_side(reader):
    scored = [0.9, 0.8, 0.1, 0.2, 0.3]
    assert hits(reader, scored, "sad") == {"clusters": False, "within_side": True}
    assert hits(reader, scored, "enraged") == {"clusters": False, "within_side": False}


def test_a_tie_counts_against_the_reader(reader):
    assert not any(hits(reader, [0.5, 0.5, 0.1, 0.0, 0.0], "happy").values())


def test_noise_is_at_chance_in_both_ways_over_all_171():
    reader = CoarseReader(emotions())
    emotion = torch.arange(171).repeat(100)
    noise = torch.randn(len(emotion), 171, generator=torch.Generator().manual_seed(0))
    shares = reader.hits(noise, emotion).double().mean(dim=1).tolist()
    assert reader.n_groups["clusters"] == 10
    assert shares == pytest.approx(list(reader.chance.values()), abs=0.01)


def test_one_who_knows_nothing_but_the_side_is_at_chance_within_it_and_not_by_cluster():
    reader = CoarseReader(emotions())
    emotion, side = torch.arange(171).repeat(100), reader.groups.side
    noise = torch.randn(len(emotion), 171, generator=torch.Generator().manual_seed(1))
    by_cluster, within = (
        reader.hits(noise + 10.0 * side[emotion][:, None] * side, emotion).double().mean(dim=1)
    )
    assert float(within) == pytest.approx(reader.chance["within_side"], abs=0.005)
    assert float(by_cluster) > 1.5 * reader.chance["clusters"]


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["angry", "happy", "sad"], []),  # clusters of one, a side of one
        (["happy", "joyful", "thrilled"], []),  # one cluster, one side
        (["happy", "joyful", "angry"], ["clusters"]),
        (["happy", "grateful", "angry", "sad"], ["within_side"]),  # clusters of one
        ([*NAMES, "homesick"], []),  # in none of the paper's clusters
    ],
)
def test_what_would_be_top_1_by_another_name_is_not_reported(names, allowed):
    reader = CoarseReader(names)
    assert list(reader.chance) == allowed
    assert reader.hits(torch.zeros(2, len(names)), torch.tensor([0, 1])).shape == (len(allowed), 2)


def test_a_finding_names_interval_control_and_chance_and_is_shown_above_shuffled_labels():
    null = Null(mean=0.2, upper=0.3, p=0.01, n=100)
    accuracy = CoarseAccuracy(Estimate(0.5, 0.4, 0.6), 0.21, 3, null)
    finding = accuracy.finding("clusters", "48 stories", "layer 2")
    assert (finding.verdict, finding.headline) == ("shown", False)
    for part in ("50.0% [40.0%, 60.0%]", "at most 30.0%", "3 clusters, chance 21.0%", "layer 2"):
        assert part in finding.line
    for weak in (
        replace(accuracy, null=replace(null, upper=0.45)),
        replace(accuracy, null=replace(null, p=0.2)),
    ):
        assert weak.finding("within_side", "48 stories", "layer 2").verdict == "not shown"
