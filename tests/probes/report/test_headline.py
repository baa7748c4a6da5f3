"""What a report opens with, and the rules that call a number shown."""

import made_up_report
import pytest

from probes.report import headline

EMOTIONS = ["happy", "sad", "angry"]


def claim(name, steering=None, **changes):
    found = made_up_report.summary(EMOTIONS)
    for key, change in changes.items():
        found[key] = change if change is None else {**found[key], **change}
    return {it.name: it for it in headline.claims(found, steering)}.get(name)


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
    equal = {"own_word_share": 0.04, "own_word_share_shuffled_95": 0.04}
    assert claim("Own word", logit_lens=equal).verdict == "not shown"


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
    found = claim("Steering", made_up_report.steering(EMOTIONS, **change))
    assert found.verdict == verdict
    assert ("valence alone" in found.detail) == (change.get("valence", 0) is not None)


def test_clusters_have_to_come_out_again():
    assert claim("4 clusters").verdict == "shown"
    assert claim("4 clusters", kmeans={"stability": 0.74}).verdict == "not shown"


def test_what_was_not_measured_is_not_claimed():
    assert claim("Human valence", valence=None) is None
    assert claim("Steering") is None
    assert claim("4 clusters", kmeans={"stability": None}) is None


def test_the_study_is_told_without_paths():
    found = made_up_report.summary(EMOTIONS)
    told = " ".join(headline.paragraphs(found, EMOTIONS, 12, "/home/me/models/writer", 50))
    assert "Another model, writer, wrote short stories: 36 that convey one of 3 emotions" in told
    assert "/home" not in told
    assert "embedded:" not in told
    own = " ".join(headline.paragraphs(found, EMOTIONS, 12, None, 50))
    assert "Stories were brought by the user" in own
