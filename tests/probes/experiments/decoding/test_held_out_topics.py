"""Held-out topics: the planted layer is found with its accuracy, and noise is called noise."""

import json

import pytest
import small_runs
import torch
from scipy import stats

from hooks.errors import InvalidInput
from probes import figures
from probes.analysis.held_out import Design, inner_hits, permute_within_topics, permuted_ranks
from probes.analysis.statistics import permutation_p_value
from probes.experiments import find_experiment
from probes.experiments.decoding.held_out_topics import _limits, nested_null
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent

EMPTY = torch.zeros(0, 6)
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
    assert (nested["p"], nested["n_permutations"]) == (pytest.approx(1 / 9), 8)


def test_every_statistic_and_reader_has_a_control_of_its_own(found):
    null = found.values["permuted"]
    for statistic in ("top_3", "balanced"):
        assert null[2][statistic]["p"] == pytest.approx(1 / 41)
        assert null[0][statistic]["p"] > 0.02
    assert null[2]["top_3"]["mean"] == pytest.approx(3 / 8, abs=0.08)
    assert null[2]["balanced"]["mean"] == pytest.approx(1 / 8, abs=0.05)
    assert found.values["logistic_permuted"]["p"] == pytest.approx(1 / 9)


def test_noise_is_said_to_show_nothing(planted):
    measured = MEASURE(planted(strength=[0.0] * 4, topic_strength=0.5))
    assert measured.values["nested"]["p_of_largest"] > 0.02
    assert measured.values["logistic_permuted"]["p"] > 0.12
    assert measured.values["nested"]["top_1"]["value"] < 0.3
    assert any("no better" in limit for limit in measured.limits)


def test_the_nested_p_of_noise_is_uniform():
    topic = torch.arange(6).repeat_interleave(8)
    emotion = torch.arange(4).repeat(12)
    design = Design(emotion, topic, torch.ones_like(topic), torch.arange(6) % 3, 4)
    p = []
    for dataset in range(40):
        noise = torch.randn(2, 48, 6, generator=torch.Generator().manual_seed(dataset))
        dealt = torch.cat([emotion[None], permute_within_topics(design, 19, seed=dataset)])
        hits = torch.stack([
            torch.stack([permuted_ranks(rows, design, [EMPTY] * 3, each) for each in dealt])
            for rows in noise
        ]) == 0  # fmt: skip
        inner = torch.stack([
            torch.stack([inner_hits(rows, design, lambda *_: EMPTY, each) for each in dealt])
            for rows in noise
        ])  # fmt: skip
        observed, *null = nested_null(hits, inner, design).tolist()
        # A tie is broken by chance, so that a statistic of few values has a uniform p.
        shift = torch.rand(20, generator=torch.Generator().manual_seed(dataset)) * 1e-6
        null = torch.tensor(null) + shift[1:]
        p.append(permutation_p_value(observed + float(shift[0]), null, "greater"))
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_target_layer_held_out_selects_the_planted_layer_and_says_so(planted):
    materials = planted(target_layer="held-out", **PLANTED)
    assert materials.layer == 2
    assert materials.vectors.provenance.target_layer_rule == "held-out topics"
    measured = MEASURE(materials)
    assert measured.rows[0][0] == "held-out topics, layer chosen on others"
    assert measured.rows[1][0] == "held-out topics, layer 2, chosen by this number"
    assert any("chosen by its own accuracy" in limit for limit in measured.limits)
    counts = materials.run.record("compute-vectors").counts
    assert (
        max(counts["target_layer"]["accuracy"], key=counts["target_layer"]["accuracy"].get) == "2"
    )


def test_the_row_has_n_interval_and_control(found):
    [(label, value), _] = found.rows
    assert label == "held-out topics, layer 2"
    for part in ("8-way top-1", "n=96 stories on 6 topics", "shuffled labels", "p=", "["):
        assert part in value


def test_the_figure_says_whose_null_its_lines_are_and_where_the_other_reader_was_tested(found):
    [figure] = find_experiment("held-out-topics").figures(found.to_json()).values()
    [panel] = figure.panels
    names = [line.name for line in panel.lines]
    nulls = [name for name in names if "shuffled" in name]
    assert nulls == ["nearest, shuffled labels: mean", "nearest, shuffled labels: 95%"]
    null = found.values["logistic_permuted"]
    said = f"at layer 2 only, where it names {null['mean']:.1%} of them"
    assert said in figure.caption
    assert f"({null['n']} permutations)" in " ".join(found.limits)


def test_one_layer_leaves_no_reader_without_a_null(planted):
    run = planted(target_layer=2, **PLANTED)
    values = MEASURE(run).values
    assert len(values["layers"]) > 1
    assert not any(
        "logistic" in limit
        for limit in _limits(
            {
                **values,
                "layers": [2],
                **{key: values[key][2:3] for key in ("nearest", "logistic", "permuted")},
            }
        )
    )


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
