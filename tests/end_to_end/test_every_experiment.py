"""A tiny random model goes through every experiment, the scorecard and the report."""

import json

import pytest

from probes.experiments import EXPERIMENTS, NAMES
from probes.report.markdown import escape
from probes.report.scorecard import DIFFERENT, NOT_COMPARABLE, SAME
from probes.storage import read_json


@pytest.fixture(scope="module")
def results(validated):
    return {entry.name: read_json(validated.folder / entry.file) for entry in EXPERIMENTS}


def test_every_experiment_leaves_rows_a_paragraph_and_figures(validated, results):
    for entry in EXPERIMENTS:
        result = results[entry.name]
        assert result["rows"], entry.name
        assert all(len(row) == 2 for row in result["rows"])
        assert len(result["paragraph"]) > 100, entry.name
        assert "not measured" not in result["paragraph"], entry.name
        json.dumps(result, allow_nan=False)
    drawn = {path.stem for path in (validated.folder / "figures").glob("*.png")}
    assert {"null_ladder", "scenarios", "intensity", "steering_matrix"} <= drawn


def test_random_weights_name_no_emotion_of_unseen_topics(results):
    result = results["held-out-topics"]
    row = result["layers"].index(result["layer"])
    accuracy = result["nearest"][row]["top_1"]
    assert accuracy["low"] <= result["permuted"][row]["upper"]


def test_the_scorecard_reads_every_experiment_that_speaks_to_the_paper(validated):
    lines = read_json(validated.folder / "analysis" / "scorecard.json")["lines"]
    by_name = {line["name"]: line for line in lines}
    measured = [name for name, line in by_name.items() if line["ours"] is not None]
    assert {name.split(".")[0] for name in measured} == {
        "geometry",
        "scenarios",
        "intensity",
        "steering_words",
        "preferences",
        "reply_token",
        "replications",
    }
    for name in measured:
        line = by_name[name]
        assert line["verdict"] in (SAME, DIFFERENT, NOT_COMPARABLE)
        if name != "geometry.kmeans_k":
            low, high = line["interval"]
            assert low <= line["ours"] <= high, name
            assert line["n"] >= 2
    prefills = [
        by_name[f"steering_words.{name}.matching"]["ours"] for name in ("he_feels", "i_feel")
    ]
    assert prefills[0] != prefills[1]


def test_the_report_has_a_section_for_every_experiment(validated, results):
    page = (validated.folder / "report.html").read_text(encoding="utf-8")
    text = (validated.folder / "report.md").read_text(encoding="utf-8")
    for name in NAMES:
        title = name.replace("-", " ").capitalize()
        assert f"Results: {title}" in page, name
    claims = validated.run().record("report").counts["claims"]
    assert set(claims) == {
        "|r| with human valence",
        "Held-out accuracy",
        "Gain over words",
        "Same words, other past",
        "Steering",
    }
    for name in ("Held-out accuracy", "Steering"):
        assert claims[name] in ("not shown", "not shown, borderline")
    for result in results.values():
        for limit in result["limits"]:
            assert escape(limit.split(":")[0]) in text
