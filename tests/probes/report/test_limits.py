"""A weakness is told when it is there, with its number, and not when it is not."""

import made_up_report
import pytest

from probes.report.limits import ALWAYS, weaknesses

GOOD = {
    "n_stories": {"happy": 1200, "sad": 1200},
    "n_topics": 100,
    "writer": "embedded:gemma-3-270m",
    "has_umap": True,
    "not_run": [],
    "has_ladder": True,
}


def told(settings=None, **changes):
    summary = made_up_report.summary(["happy", "sad"])
    for scale in ("valence", "arousal"):
        summary[scale] = {**summary[scale], "n": 45, "p_corrected": 0.001}
    for key, change in changes.items():
        summary[key] = change if change is None else {**summary[key], **change}
    return [
        limit
        for limit in weaknesses(summary, **{**GOOD, **(settings or {})})
        if limit not in ALWAYS
    ]


def test_a_strong_run_has_only_the_limits_of_every_run():
    assert told() == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_stories": {"happy": 1200, "sad": 11}}, "Few stories: 11 "),
        ({"n_topics": 12}, "Few topics: 12;"),
        ({"writer": "org/other"}, "written by other, not by the model under study"),
        ({"writer": None}, "brought by the user"),
        ({"has_umap": False}, "No UMAP"),
        ({"not_run": ["scorecard", "clusters"]}, "not run: scorecard, clusters."),
        ({"has_ladder": False}, "was not measured"),
    ],
)
def test_what_is_missing_is_said(settings, said):
    [limit] = told(settings)
    assert said in limit


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stories": {"missing": 2}}, "Missing texts: 2 of 24 stories"),
        ({"neutral": {"missing": 3}}, "Missing texts: 3 of 24 neutral texts"),
        ({"stories": {"first_attempt_leak_share": 0.41}}, "41% of its first drafts"),
        ({"stories": {"trimmed": 7}}, "Cut stories: 7 of 24"),
        ({"valence": {"n": 24}}, "valence is compared on 24 rated words"),
        ({"arousal": {"p_corrected": 0.39}}, "Arousal is not shown"),
        ({"arousal": None}, "to compare arousal"),
        ({"kmeans": {"stability": 0.21}}, "agree at ARI 0.21"),
        ({"logit_lens": {"own_word_share_interval": [0.04, 0.2]}}, "what 95% of shuffles reach"),
    ],
)
def test_what_is_weak_is_said_with_its_number(changes, said):
    [limit] = told(**changes)
    assert said in limit
