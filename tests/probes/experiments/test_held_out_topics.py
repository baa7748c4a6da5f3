"""Held-out topics: the planted layer is found with its accuracy, and noise is called noise."""

import json

import pytest
import small_runs

from hooks.errors import InvalidInput
from probes import figures
from probes.experiments import find_experiment
from probes.materials import Materials
from probes.models import Models
from probes.reporting import Silent

MEASURE = find_experiment("held-out-topics").measure
PLANTED = {"strength": [0.0, 0.0, 1.0, 0.0], "topic_strength": 0.5}


@pytest.fixture(scope="module")
def found(planted):
    return MEASURE(planted(target_layer=2, **PLANTED))


def test_the_planted_layer_is_named_right_and_the_others_are_at_chance(found):
    top = [each["top_1"]["value"] for each in found.values["nearest"]]
    assert top[2] > 0.9
    assert max(top[:2] + top[3:]) < 0.35
    assert found.values["permuted"][2]["p"] == pytest.approx(1 / 41)
    assert min(found.values["permuted"][i]["p"] for i in (0, 1, 3)) > 0.02
    assert found.values["logistic"][2]["top_1"]["value"] > 0.8


def test_every_fold_chooses_the_planted_layer_without_its_own_stories(found):
    nested = found.values["nested"]
    assert set(nested["layers_of_folds"]) == {2}
    assert nested["top_1"]["value"] == found.values["nearest"][2]["top_1"]["value"]
    assert nested["p_of_largest"] == pytest.approx(1 / 41)


def test_noise_is_said_to_show_nothing(planted):
    measured = MEASURE(planted(strength=[0.0] * 4, topic_strength=0.5))
    assert measured.values["nested"]["p_of_largest"] > 0.02
    assert measured.values["nested"]["top_1"]["value"] < 0.3
    assert any("no better" in limit for limit in measured.limits)


def test_target_layer_held_out_selects_the_planted_layer_and_says_so(planted):
    materials = planted(target_layer="held-out", **PLANTED)
    assert materials.layer == 2
    assert materials.vectors.provenance.target_layer_rule == "held-out topics"
    counts = materials.run.record("compute-vectors")["counts"]
    assert (
        max(counts["target_layer"]["accuracy"], key=counts["target_layer"]["accuracy"].get) == "2"
    )


def test_the_row_has_n_interval_and_control(found):
    [(label, value), _] = found.rows
    assert label == "held-out topics, layer 2"
    for part in ("8-way top-1", "n=96 stories on 6 topics", "shuffled labels", "p=", "["):
        assert part in value


def test_a_brought_corpus_has_held_out_accuracy_with_an_interval(reading_run, tmp_path):
    made = reading_run(
        corpus={
            "emotions": [f"feeling {n}" for n in range(20)],
            "topics": [f"topic {n}" for n in range(30)],
            "per_cell": 1,
            "n_sentences": 3,
        },
        activation={"layers": [3]},
        validation={
            "n_folds": 2,
            "n_permutations": 20,
            "n_bootstrap": 50,
        },
    )
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    run = made.run()
    result = MEASURE(Materials(run, Models(run.config), Silent())).to_json()
    top = result["nearest"][0]["top_1"]
    assert (result["n_rows"], result["n_topics"], len(result["emotions"])) == (600, 30, 20)
    assert 0 <= top["low"] <= top["value"] <= top["high"] < 0.3
    drawn = find_experiment("held-out-topics").figures(result)
    assert figures.draw_all(drawn, tmp_path / "figures")


def test_two_topics_are_said_to_be_too_few(reading_run):
    made = reading_run(corpus={"topics": small_runs.TOPICS[:2]}, model={"target_layer": "held-out"})
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral")
    with pytest.raises(InvalidInput, match="at least 3 topics"):
        made.stage("extract-activations")


def test_what_is_measured_survives_json(found):
    again = json.loads(json.dumps(found.to_json()))
    assert again["rows"] == [list(row) for row in found.rows]
