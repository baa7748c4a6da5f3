"""What a report opens with: the study in words, and the findings that are headlines."""

from dataclasses import replace

import made_up_analysis
import made_up_report

from probes.analysis.findings import Estimate, Finding
from probes.analysis.results import Ratings
from probes.experiments import NotMeasured
from probes.report import claims

EMOTIONS = ["happy", "sad", "angry"]


def test_a_report_opens_with_the_headlines_of_what_was_measured(analysis):
    measured = [
        analysis["geometry"],
        analysis["lens"],
        made_up_report.accuracy(EMOTIONS),
        made_up_report.ladder(EMOTIONS),
        made_up_report.paper_clusters(EMOTIONS),
    ]
    assert [finding.name for finding in claims.headlines(measured)] == [
        "|r| with human valence",
        "Held-out accuracy",
        "Gain over words",
    ]


def test_every_claim_states_the_rule_of_its_verdict_and_where_more_stands(analysis):
    made = made_up_report.contents(made_up_report.emotions_with(()))
    for claim in made.claims:
        assert "Called shown when" in claim.rule
        assert claim.section
        assert claim.number


def test_what_was_not_measured_is_not_claimed():
    geometry = made_up_analysis.synthetic_geometry(EMOTIONS, clusters=2)
    unrated = replace(geometry, ratings=Ratings())
    too_few = NotMeasured("Clusters", "needs 6 emotions or more, this run has 3")
    assert claims.headlines([unrated, too_few]) == []


def test_the_study_is_told_without_paths():
    summary = made_up_report.summary(EMOTIONS)
    question, _, method = claims.paragraphs(summary, [], EMOTIONS, 12, "/home/me/models/writer", 50)
    study = question + method
    assert "an inner direction for each of 3 emotions?" in question
    assert "Another model, writer, wrote short stories: 36 that convey an emotion" in study
    assert "/home" not in study
    assert "embedded:" not in study
    brought = " ".join(claims.paragraphs(summary, [], EMOTIONS, 12, None, 50))
    assert "Stories were brought by the user" in brought
    ours = {**summary, "way": "both", "stories": {**summary["stories"], "is_reference": True}}
    told = " ".join(claims.paragraphs(ours, [], EMOTIONS, 12, None, 50))
    assert "stories of the corpus that comes with emotion-lens" in told
    assert "brought by the user" not in told
    assert "the sum of both, each of length one" in told
    assert "the sum of both" not in brought


def test_the_answer_says_what_is_shown_and_what_is_not():
    sure = Finding("A", Estimate(1.0, 0.9, 1.1), "shown")
    failed = Finding("B", Estimate(0.1, -0.2, 0.4), "not shown")
    close = Finding("C", Estimate(1.0), "shown", margins=[Estimate(1.0, 0.1, 1.9)])
    assert claims.answer([sure, failed]) == "1 of 2 claims are shown. Not shown: B."
    only_just = "C only just (other draws would often say otherwise)"
    assert claims.answer([sure, close]) == f"2 of 2 claims are shown, {only_just}."
    assert claims.answer([failed]) == "None of 1 claims is shown. Not shown: B."
    assert claims.answer([]) == "Nothing was tested yet."
