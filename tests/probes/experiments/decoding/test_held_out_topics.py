"""Held-out topics: the planted layer is found with its accuracy, and noise is called noise."""

import json
from dataclasses import replace

import pytest
import small_runs
import torch
from planted_runs import D_MODEL, directions
from scipy import stats

from hooks.errors import InvalidInput
from probes import figures
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import Estimate
from probes.analysis.held_out import Design, held_out_ranks, inner_hits, permute_within_topics
from probes.analysis.resampling import permutation_p_value
from probes.experiments import find_experiment, to_json
from probes.experiments.decoding.shuffled_labels import nested_null
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent

DIRECTIONS = directions(["valence"], 5)
EMPTY = torch.zeros(0, 6)
MEASURE = find_experiment("held-out-topics").measure
PLANTED = {"strength": [0.0, 0.0, 1.0, 0.0], "topic_strength": 0.5}


@pytest.fixture(scope="module")
def measured(planted):
    return MEASURE(planted(target_layer=2, **PLANTED))


def test_the_planted_layer_is_named_right_and_the_others_are_at_chance(measured):
    top = [each.top_1.value for each in measured.nearest]
    assert top[2] > 0.9
    assert max(top[:2] + top[3:]) < 0.35
    assert measured.permuted[2].p == pytest.approx(1 / 41)
    assert min(measured.permuted[i].p for i in (0, 1, 3)) > 0.02
    assert measured.logistic[2].top_1.value > 0.8


def test_single_stories_are_named_where_they_are_kept_and_cells_at_every_layer(measured, planted):
    index = {"per_cell": True, "single": {"layers": [1, 2, 3]}}
    kept = MEASURE(planted(target_layer=2, index=index, **PLANTED))
    assert (kept.rows_are, kept.layers, kept.cell_layers) == ("stories", [1, 2, 3], [0, 1, 2, 3])
    assert kept.nearest == measured.nearest[1:]
    assert [each.value > 0.9 for each in kept.of_cells] == [False, False, True, False]
    [panel] = kept.figures()["held_out_accuracy"].panels
    assert panel.lines[-1].name == "nearest vector, means of cells"
    assert not any("per cell" in limit for limit in kept.limits())


def test_every_fold_chooses_the_planted_layer_without_its_own_stories(measured):
    nested = measured.nested
    assert set(nested.layers_of_folds) == {2}
    assert nested.top_1.value == measured.nearest[2].top_1.value
    assert nested.p_of_largest == pytest.approx(1 / 9)
    assert (nested.p, nested.n_permutations) == (None, 0), "the layer was set, not chosen"


def test_every_statistic_and_reader_has_a_control_of_its_own(measured):
    null = measured.permuted
    for statistic in ("top_3", "balanced"):
        assert getattr(null[2], statistic).p == pytest.approx(1 / 41)
        assert getattr(null[0], statistic).p > 0.02
    assert null[2].top_3.mean == pytest.approx(3 / 8, abs=0.08)
    assert null[2].balanced.mean == pytest.approx(1 / 8, abs=0.05)
    assert measured.logistic_permuted.p == pytest.approx(1 / 9)


def test_coarser_accuracies_are_findings_of_their_own_beside_shuffled_labels(measured):
    assert list(measured.coarse) == ["clusters", "within_side", "beyond_ratings"]
    for each, finding in zip(measured.coarse.values(), measured.findings()[1:], strict=True):
        assert each.null.p == pytest.approx(1 / 41)
        if each.n_groups > 1:
            assert each.null.mean == pytest.approx(each.chance, abs=0.06)
        assert (finding.verdict, finding.estimate) == ("shown", each.accuracy)
        assert "at layer 2" in finding.line


def test_coarser_accuracies_of_a_chosen_layer_are_nested_too(planted):
    result = MEASURE(planted(target_layer="held-out", **PLANTED))
    for each, finding in zip(result.coarse.values(), result.findings()[1:], strict=True):
        assert (each.null.n, each.null.p) == (8, pytest.approx(1 / 9))
        assert "layers chosen on other topics" in finding.line
        # Eight permutations are too few for p < .05.
        assert finding.verdict == "not shown"


def test_a_valence_that_is_all_there_is_shows_nothing_within_side(planted):
    def row(text, generator):
        noise = 0.3 * torch.randn(4, D_MODEL, generator=generator)
        side = EmotionGroups.of([text.emotion]).side if text.emotion else 0
        return noise + side * DIRECTIONS["valence"]

    result = MEASURE(planted(row=row))
    clusters, within = result.coarse["clusters"], result.coarse["within_side"]
    assert clusters.null.p == pytest.approx(1 / 41)
    assert within.null.p > 0.05
    assert within.null.mean == pytest.approx(within.chance, abs=0.06)
    assert [finding.verdict for finding in result.findings()][-2:] == ["not shown"] * 2
    assert not any(each.q < 0.05 for each in within.by_emotion.values())


def test_what_is_more_than_valence_is_named_emotion_by_emotion(measured):
    within = measured.coarse["within_side"].by_emotion
    assert list(within) == list(measured.emotions)
    # 41 permutations of 8 emotions: the floor of q is 1/41 where all are named.
    assert all(each.q < 0.05 for each in within.values() if each.share > 0.9)
    assert sum(each.q < 0.05 for each in within.values()) >= 6


def test_noise_is_said_to_show_nothing(planted):
    measured = MEASURE(planted(strength=[0.0] * 4, topic_strength=0.5))
    assert measured.nested.p_of_largest > 0.02
    assert measured.logistic_permuted.p > 0.12
    assert measured.nested.top_1.value < 0.3
    assert {finding.verdict for finding in measured.findings()} == {"not shown"}
    assert any("Held-out accuracy: not shown" in limit for limit in to_json(measured)["limits"])


@pytest.mark.slow
def test_the_nested_p_of_noise_is_uniform():
    topic = torch.arange(6).repeat_interleave(8)
    emotion = torch.arange(4).repeat(12)
    design = Design(emotion, topic, torch.ones_like(topic), torch.arange(6) % 3, 4)
    p = []
    for dataset in range(40):
        noise = torch.randn(2, 48, 6, generator=torch.Generator().manual_seed(dataset))
        dealt = [design, *permute_within_topics(design, 19, seed=dataset)]
        hits = torch.stack([
            torch.stack([held_out_ranks(rows, each, [EMPTY] * 3) for each in dealt])
            for rows in noise
        ]) == 0  # fmt: skip
        inner = torch.stack([
            torch.stack([inner_hits(rows, each, lambda *_: EMPTY) for each in dealt])
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
    claim, *_ = measured.findings()
    nested = measured.nested
    assert (nested.p, nested.n_permutations) == (pytest.approx(1 / 9), 8)
    assert claim.estimate == nested.top_1
    assert "layers chosen on other topics" in claim.line
    [limit] = [limit for limit in measured.limits() if "chosen by its own accuracy" in limit]
    assert f"{measured.here.top_1.value:.1%}" in limit
    assert claim.number in limit
    counts = materials.run.record("compute-vectors").counts
    assert (
        max(counts["target_layer"]["accuracy"], key=counts["target_layer"]["accuracy"].get) == "2"
    )


def test_row_claim_and_paragraph_name_the_same_accuracy_with_n_interval_and_control(measured):
    claim, *_ = measured.findings()
    top_1 = measured.nearest[2].top_1
    assert (claim.headline, claim.statistic) == (True, "accuracy")
    assert claim.number == f"{top_1.value:.1%}"
    for text in (claim.line, measured.paragraph()):
        assert f"{top_1:.1%}" in text
        assert "96 stories on 6 topics" in text
        assert f"at most {measured.permuted[2].upper:.1%}" in text
    assert "at layer 2" in claim.line
    assert "the floor of 40 permutations" in claim.line


@pytest.mark.parametrize(
    ("low", "p", "verdict"),
    [(0.35, 0.01, "shown"), (0.2, 0.01, "not shown"), (0.35, 0.1, "not shown")],
)
@pytest.mark.parametrize("rule", ["2/3 of depth", "held-out topics"])
def test_an_accuracy_is_shown_when_p_and_interval_clear_shuffled_labels(
    measured, low, p, verdict, rule
):
    top_1 = Estimate(0.4, low, 0.5)
    null = [replace(each, upper=0.3, p=p) for each in measured.permuted]
    result = replace(measured, permuted=null, layer_rule=rule)
    if rule == "held-out topics":
        # The other number would give another verdict.
        result = replace(result, nested=replace(measured.nested, top_1=top_1, p=p))
    else:
        result = replace(result, nearest=[replace(each, top_1=top_1) for each in measured.nearest])
    assert result.findings()[0].verdict == verdict


def test_the_figure_says_whose_null_its_lines_are_and_where_the_other_reader_was_tested(measured):
    [figure] = measured.figures().values()
    [panel] = figure.panels
    names = [line.name for line in panel.lines]
    nulls = [name for name in names if "shuffled" in name]
    assert nulls == ["nearest, shuffled labels: mean", "nearest, shuffled labels: 95%"]
    null = measured.logistic_permuted
    assert f"at layer 2 only, where it names {null.mean:.1%} of them" in figure.caption
    assert f"({null.n} permutations)" in " ".join(measured.limits())


def test_one_layer_leaves_no_reader_without_a_null(measured):
    lists = ("nearest", "logistic", "permuted")
    one = replace(measured, layers=[2], **{key: getattr(measured, key)[2:3] for key in lists})
    assert any("logistic" in limit for limit in measured.limits())
    assert not any("logistic" in limit for limit in one.limits())


@pytest.mark.slow
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
        },
    )
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    run = made.run()
    result = MEASURE(Materials(run, Models(run.config), Silent()))
    top = result.nearest[0].top_1
    assert (result.n_rows, result.n_topics, len(result.emotions)) == (600, 30, 20)
    assert 0 <= top.low <= top.value <= top.high < 0.3
    assert figures.draw_all(result.figures(), tmp_path / "figures")


def test_two_topics_are_said_to_be_too_few(reading_run):
    made = reading_run(corpus={"topics": small_runs.TOPICS[:2]}, model={"target_layer": "held-out"})
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral")
    with pytest.raises(InvalidInput, match="at least 3 topics"):
        made.stage("extract-activations")


def test_what_is_measured_survives_json(measured):
    again = json.loads(json.dumps(to_json(measured)))
    assert find_experiment("held-out-topics").read(again) == measured
