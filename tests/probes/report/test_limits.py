"""A weakness is told when it is there, with its number, and not when it is not."""

import made_up_report
import pytest

from probes.experiments import NAMES
from probes.report.limits import ALWAYS, ALWAYS_OF_TEXTS, text_weaknesses, weaknesses
from probes.report.summary import analysis_of

DONE = {name: {} for name in NAMES}


def limits_with(**changes):
    summary = made_up_report.summary(["happy", "sad"])
    summary["stories"] |= {"fewest": 1200, "topics": 100, "writer": "embedded:gemma-3-270m"}
    for scale in ("valence", "arousal"):
        summary[scale] = {**summary[scale], "n": 45, "p_corrected": 0.001, "low": 0.25, "r": 0.4}
    summary |= {"experiments": DONE, "failed": {}}
    for key, change in changes.items():
        mapping = isinstance(change, dict) and key not in ("experiments", "failed")
        summary[key] = {**summary[key], **change} if mapping else change
    return [limit for limit in weaknesses(summary) if limit not in ALWAYS]


def without(*names):
    return {name: {} for name in NAMES if name not in names}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stories": {"fewest": 11}}, "Few stories: 11 "),
        ({"stories": {"topics": 12}}, "Few topics: 12;"),
        ({"stories": {"writer": "org/other"}}, "written by other, not by the model under study"),
        ({"stories": {"writer": None}}, "brought by the user"),
        ({"stories": {"writer": None, "is_reference": True}}, "no person has rated them"),
        ({"way": "both"}, "sentences that name their emotion"),
        ({"umap": False}, "No UMAP"),
        (
            {"experiments": without("intensity", "clusters")},
            "not run: clusters, intensity (validation",
        ),
        ({"experiments": {}}, "Nothing was validated"),
        ({"logit_lens": None}, "not read through the unembedding"),
        ({"stories": {"missing": 2}}, "Missing texts: 2 of 24 stories"),
        ({"neutral": {"missing": 3}}, "Missing texts: 3 of 24 neutral texts"),
        ({"stories": {"first_attempt_leak_share": 0.41}}, "41% of its first drafts"),
        ({"stories": {"duplicates": 7}}, "Repeated stories: 7 of "),
        ({"stories": {"trimmed": 7}}, "Cut stories: 7 of 24"),
        ({"valence": {"n": 24}}, "valence is compared on 24 rated words"),
        ({"arousal": {"p_corrected": 0.39}}, "human arousal: not shown (0.40; 95% interval"),
        ({"arousal": {"low": -0.01}}, "human arousal: not shown"),
        ({"arousal": None}, "human arousal: not measured (too few of the words were rated"),
        ({"kmeans": {"stability": 0.21}}, "agree at ARI 0.21"),
        (
            {"logit_lens": {"own_word_share_interval": [0.04, 0.2]}},
            "Own word in the lens' top 10: not shown, borderline (50%; 95% interval 4% to 20%",
        ),
    ],
)
def test_what_is_weak_is_said_with_its_number(changes, words):
    [limit] = limits_with(**changes)
    assert words in limit


def test_a_test_that_failed_is_not_called_not_run():
    [limit] = limits_with(experiments=without("clusters"), failed={"clusters": "no memory"})
    assert limit == "A test failed and shows nothing: clusters (no memory)"


def test_the_null_that_every_claim_needs_is_missed():
    assert any(
        "beside such a null" in limit for limit in limits_with(experiments=without("null-ladder"))
    )


def test_what_was_not_come_to_is_said():
    limits = weaknesses({"seconds": {}})
    assert "Nothing was validated: whether the vectors do anything is not known." in limits
    assert "The geometry of the vectors was not analyzed." in limits


def test_readers_of_the_texts_are_told_what_the_texts_lack_alone():
    summary = made_up_report.summary(["happy", "sad"])
    limits = text_weaknesses(summary)
    assert set(limits) <= set(weaknesses(summary))
    assert any("Few stories: 12 " in limit for limit in limits)
    assert not any("valence" in limit or "validated" in limit for limit in limits)
    assert set(ALWAYS_OF_TEXTS) <= set(limits)


def test_a_limit_of_the_analysis_is_what_its_finding_says():
    summary = made_up_report.summary(["happy", "sad"])
    geometry, lens = analysis_of(summary)
    assert geometry is not None and lens is not None
    findings = [*geometry.findings(), *lens.findings()]
    assert [finding.verdict for finding in findings].count("not shown") == 1
    of_findings = {finding.limit for finding in findings} - {None}
    assert of_findings < set(weaknesses(summary))
