"""What a report opens with, and the rules that call a number shown."""

import made_up_report
import pytest

from probes.report import claims as headline

EMOTIONS = ["happy", "sad", "angry"]
NONE = {"value": 0.0, "low": -0.1, "high": 0.1}


def claim(name, results=None, **changes):
    found = made_up_report.summary(EMOTIONS)
    for key, change in changes.items():
        found[key] = change if change is None else {**found[key], **change}
    return {it.name: it for it in headline.claims(found, results or {})}.get(name)


def test_a_correlation_is_told_without_the_sign_of_its_axis():
    found = claim("Human valence")
    assert found.number == "r = 0.90"
    assert "95% interval 0.77 to 0.95, n = 24 rated words" in found.detail


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "shown"),
        ({"p_corrected": 0.051}, "not shown"),
        ({"r": 0.4, "low": -0.01, "high": 0.7}, "not shown"),
        ({"r": -0.4, "low": -0.7, "high": 0.01}, "not shown"),
    ],
)
def test_a_rating_is_shown_when_its_interval_and_its_p_say_so(change, verdict):
    assert claim("Human valence", valence=change).verdict == verdict


def test_the_own_word_has_to_beat_shuffled_names():
    assert claim("Own word").verdict == "shown"
    wide = {"own_word_share_interval": [0.04, 0.6]}
    assert claim("Own word", logit_lens=wide).verdict == "not shown"
    assert "of 3 vectors" in claim("Own word").detail
    assert "95% interval 30% to 70%" in claim("Own word").detail


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "shown"),
        ({"valence": 0.1}, "not shown"),
        ({"shuffled": 0.1}, "not shown"),
        ({"matched": 0.1}, "not shown"),
        ({"random": 0.1}, "not shown"),
        ({"other_vectors": 0.1}, "not shown"),
        ({"shuffled": None, "matched": None, "valence": None}, "shown"),
        ({"matching_interval": [-0.1, 2.0]}, "not shown"),
    ],
)
def test_steering_has_to_exceed_every_control_with_its_whole_interval(change, verdict):
    found = claim("Steering", {"steering": made_up_report.steering(EMOTIONS, **change)})
    assert found.verdict == verdict
    assert ("valence alone" in found.detail) == (change.get("valence", 0) is not None)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "shown"),
        ({"p": 0.06}, "not shown"),
        ({"low": -0.01}, "not shown"),
        ({"shuffled_upper": 0.41}, "not shown"),
        ({"low": None, "high": None}, "not shown"),
    ],
)
def test_clusters_are_the_papers_when_they_beat_every_null(change, verdict):
    found = claim("Paper's clusters", {"clusters": made_up_report.clusters(EMOTIONS, **change)})
    assert found.verdict == verdict
    assert found.number == "ARI 0.400"


@pytest.mark.parametrize(
    ("change", "number", "verdict"),
    [
        ({}, "40.0%", "shown"),
        ({"permuted": [{"upper": 0.1, "p": 0.06}] * 2}, "40.0%", "not shown"),
        ({"permuted": [{"upper": 0.3, "p": 0.01}] * 2}, "40.0%", "not shown"),
        ({"layer_rule": "held-out topics"}, "20.0%", "shown"),
    ],
)
def test_accuracy_is_that_of_topics_that_chose_nothing(change, number, verdict):
    found = made_up_report.accuracy(EMOTIONS, **change)
    found = claim("Held-out accuracy", {"held-out-topics": found})
    assert (found.number, found.verdict) == (number, verdict)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "shown"),
        ({"clusters": None}, "shown"),
        ({"clusters": {"value": 0.04, "low": -0.05, "high": 0.24}}, "shown in part"),
        (dict.fromkeys(("valence", "accuracy", "clusters"), NONE), "not shown"),
    ],
)
def test_the_gain_over_input_embeddings_is_a_claim_of_its_own(change, verdict):
    found = claim("Gain over input embeddings", {"null-ladder": made_up_report.ladder(**change)})
    assert found.verdict == verdict
    assert found.number == ("+0.0 points" if verdict == "not shown" else "+20.0 points")
    assert ("(ARI)" in found.detail) == (change.get("clusters", 0) is not None)


def test_rungs_of_the_ladder_stand_beside_the_statistic_they_were_taken_of():
    results = made_up_report.results(EMOTIONS)
    results["null-ladder"]["rungs"][0]["clusters"] = None
    beside = {
        name: claim(name, results).rungs
        for name in ("Human valence", "Human arousal", "Held-out accuracy", "Paper's clusters")
    }
    whole = [
        ("random directions", "0.10 [0.00, 0.20]"),
        ("analyzed layer (12)", "0.50 [0.40, 0.60]"),
    ]
    assert beside["Human valence"] == beside["Held-out accuracy"] == whole
    assert beside["Paper's clusters"] == whole[1:]
    assert beside["Human arousal"] == ()


def test_what_was_not_measured_is_not_claimed():
    assert claim("Human valence", valence=None) is None
    unmeasured = {
        "null-ladder": {"rungs": None},
        "held-out-topics": {"layers": None},
        "clusters": {"methods": None},
    }
    for results in ({}, unmeasured):
        told = headline.claims(made_up_report.summary(EMOTIONS), results)
        assert [it.name for it in told] == ["Human valence", "Human arousal", "Own word"]


def test_the_study_is_told_without_paths():
    found = made_up_report.summary(EMOTIONS)
    told = " ".join(headline.paragraphs(found, EMOTIONS, 12, "/home/me/models/writer", 50))
    assert "Another model, writer, wrote short stories: 36 that convey one of 3 emotions" in told
    assert "/home" not in told
    assert "embedded:" not in told
    own = " ".join(headline.paragraphs(found, EMOTIONS, 12, None, 50))
    assert "Stories were brought by the user" in own
