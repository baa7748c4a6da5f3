"""Coarser ways to be right: exact on tables made by hand, chance for noise, silent where empty."""

from dataclasses import replace

import pytest
import torch

from probes.analysis.findings import Estimate
from probes.analysis.rating_plane import rating_plane
from probes.experiments.decoding.coarse_accuracy import (
    CoarseAccuracy,
    CoarseReader,
    EmotionShare,
    emotion_shares,
)
from probes.experiments.decoding.shuffled_labels import Null
from probes.stimuli import emotions, human_ratings

# Clusters: exuberant joy (2), hostile anger (2), despair and shame (1).
NAMES = ["happy", "joyful", "angry", "enraged", "sad"]


@pytest.fixture
def reader():
    return CoarseReader(NAMES)


def hits(reader, scored, emotion, ways=("clusters", "within_side")):
    scored = torch.tensor([scored])
    right = reader.hits(scored, -scored, torch.tensor([NAMES.index(emotion)]), ways)
    return {way: bool(each) for way, each in right.items()}


def shares(reader, scored, emotion):
    """Of rows that are right in each of the two ways that need no ratings."""
    right = reader.hits(scored, scored, emotion, ["clusters", "within_side"])
    return [float(each.double().mean()) for each in right.values()]


def test_chances_are_those_of_guessing_among_all_and_among_the_own_side(reader):
    assert reader.chance["clusters"] == pytest.approx((2 + 2 + 2 + 2 + 1) / 5 / 5)
    assert reader.chance["within_side"] == pytest.approx((1 / 2 + 1 / 2 + 3 * 1 / 3) / 5)
    assert reader.n_groups["clusters"] == 3


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
    assert reader.n_groups["clusters"] == 10
    chances = [reader.chance[way] for way in ("clusters", "within_side")]
    assert shares(reader, noise, emotion) == pytest.approx(chances, abs=0.01)


def test_one_who_knows_nothing_but_the_side_is_at_chance_within_it_and_not_by_cluster():
    reader = CoarseReader(emotions())
    emotion, side = torch.arange(171).repeat(100), reader.groups.side
    noise = torch.randn(len(emotion), 171, generator=torch.Generator().manual_seed(1))
    by_cluster, within = shares(reader, noise + 10.0 * side[emotion][:, None] * side, emotion)
    assert within == pytest.approx(reader.chance["within_side"], abs=0.005)
    assert by_cluster > 1.5 * reader.chance["clusters"]


def test_off_the_plane_rows_are_read_by_scores_that_lack_it(reader):
    ways = ["beyond_ratings"]
    assert hits(reader, [0.9, 0.1, 0.2, 0.3, 0.4], "happy", ways) == {"beyond_ratings": False}
    assert hits(reader, [0.0, 0.1, 0.2, 0.3, 0.4], "happy", ways) == {"beyond_ratings": True}
    names = sorted(human_ratings())[:12]
    rated = CoarseReader(names)
    assert rated.of_sides == ["within_side", "beyond_ratings"]
    vectors = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    plane = rating_plane(vectors, names)
    assert (rated.off_plane(vectors) @ plane.T).abs().max() < 1e-5


def test_each_emotion_is_set_beside_shuffled_labels_and_corrected_for_how_many_there_are():
    generator = torch.Generator().manual_seed(0)
    null = torch.rand(999, 20, generator=generator, dtype=torch.float64) * 0.3
    observed = null[0].clone()
    observed[:2], observed[5] = 0.9, float("nan")
    names = [f"emotion {n}" for n in range(20)]
    by_emotion = emotion_shares(observed, null, names)
    assert list(by_emotion) == [name for name in names if name != "emotion 5"]
    known = [name for name, each in by_emotion.items() if each.q < 0.05]
    assert known == ["emotion 0", "emotion 1"]
    # Two of 19 at the floor of 1/1,000: 19 / 2 times that.
    assert by_emotion["emotion 0"].q == pytest.approx(19 / 2 / 1000)


def test_chance_alone_names_hardly_any_emotion():
    """20 emotions, 200 times: uncorrected, one of them would be named in most of these."""
    named = 0
    for seed in range(200):
        drawn = torch.rand(200, 20, generator=torch.Generator().manual_seed(seed)).double()
        shares = emotion_shares(drawn[0], drawn[1:], [str(n) for n in range(20)])
        named += any(each.q < 0.05 for each in shares.values())
    assert named / 200 < 0.1


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["angry", "happy", "sad"], []),  # clusters of one, a side of one
        (["happy", "joyful", "thrilled"], []),  # one cluster, one side
        (["happy", "joyful", "angry"], ["clusters"]),
        (["happy", "joyful", "angry", "sad"], ["clusters", "within_side"]),
        (["happy", "grateful", "angry", "sad"], ["within_side"]),  # clusters of one
        ([*NAMES, "homesick"], []),  # in none of the paper's clusters
    ],
)
def test_what_would_be_top_1_by_another_name_is_not_reported(names, allowed):
    reader = CoarseReader(names)
    assert list(reader.chance) == allowed
    nothing = torch.zeros(2, len(names))
    assert list(reader.hits(nothing, nothing, torch.tensor([0, 1]), allowed)) == allowed


def test_a_finding_names_interval_control_and_chance_and_is_shown_above_shuffled_labels():
    null = Null(mean=0.2, upper=0.3, p=0.01, n=100)
    accuracy = CoarseAccuracy(Estimate(0.5, 0.4, 0.6), 0.21, 3, null)
    finding = accuracy.finding("clusters", "48 stories", "layer 2")
    assert (finding.verdict, finding.headline) == ("shown", False)
    for part in ("50.0% [40.0%, 60.0%]", "at most 30.0%", "3 clusters, chance 21.0%", "layer 2"):
        assert part in finding.line
    alone = {"sad": EmotionShare(0.5, 0.01), "angry": EmotionShare(0.2, 0.4)}
    said = replace(accuracy, by_emotion=alone).finding("within_side", "48 stories", "layer 2")
    assert "1 of 2 emotions by themselves (q < .05)" in said.line
    for weak in (
        replace(accuracy, null=replace(null, upper=0.45)),
        replace(accuracy, null=replace(null, p=0.2)),
    ):
        assert weak.finding("within_side", "48 stories", "layer 2").verdict == "not shown"
