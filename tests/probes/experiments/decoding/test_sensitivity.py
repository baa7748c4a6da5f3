"""Sensitivity: the run's own line is what other experiments report; choices that matter show."""

import json

import torch
from planted_runs import D_MODEL, N_LAYERS, directions, materials

from hooks import FromToken, pooled_resid_post
from probes import figures
from probes.corpus.cells import Passage
from probes.experiments import find_experiment, to_json
from probes.experiments.decoding.choice_table import STATISTICS, changes_of
from probes.experiments.decoding.sensitivity import _read, spread_out
from probes.stimuli import human_ratings

EXPERIMENT = find_experiment("sensitivity")


def line_of(measured, name):
    [line] = [each for each in measured.lines if each.name == name]
    return line


def valence_row(text, generator):
    """Valence and the emotion, below an offset that neutral text varies along."""
    loud = directions(["loud"], 5)["loud"]
    value = 0.1 * torch.randn(N_LAYERS, D_MODEL, generator=generator) + 3.0 * loud
    value += 2.0 * torch.randn(1, generator=generator) * loud
    if text.emotion is not None:
        value[:, 0] += human_ratings()[text.emotion].pleasure
        value += (
            0.3 * directions([text.emotion], len(text.emotion) + ord(text.emotion[0]))[text.emotion]
        )
    return value


def test_agreement_with_the_papers_clusters_lies_in_its_interval_and_so_does_its_change(planted):
    run = planted(strength=[0.0, 0.0, 0.0, 0.3], noise=0.2, topic_strength=0.3)
    lines = EXPERIMENT.measure(run).lines
    estimates = [line.clusters for line in lines]
    estimates += [line.change.clusters for line in lines if line.change is not None]
    assert len(estimates) > len(lines)
    for each in estimates:
        assert each.low <= each.value <= each.high


def test_an_offset_shared_by_all_stories_fools_the_readouts_that_do_not_center(planted):
    measured = EXPERIMENT.measure(planted(strength=[0.0, 0.0, 0.0, 1.0], shared=30.0, noise=0.3))
    accuracy = {name: line_of(measured, name).accuracy for name in ("cosine", "dot", "z")}
    assert measured.lines[0].accuracy.value > 0.8
    assert accuracy["z"].value > 0.8
    assert accuracy["cosine"].value < 0.5
    assert accuracy["dot"].value < 0.5
    [limit] = [each for each in measured.limits() if "held-out accuracy would change" in each]
    assert "dot (-" in limit
    assert "cosine (-" in limit


def test_without_neutral_components_a_loud_direction_takes_the_result(planted):
    measured = EXPERIMENT.measure(planted(row=valence_row))
    none, some = line_of(measured, "neutral: none"), line_of(measured, "documents 50%")
    assert none.own
    assert some.accuracy.value > none.accuracy.value + 0.1
    assert measured.no_tokens
    assert any("no single neutral tokens" in limit for limit in measured.limits())


def test_every_choice_has_a_line_and_the_range_spans_them(real):
    measured = EXPERIMENT.measure(real)
    names = [line.name for line in measured.lines]
    assert names[0] == "documents 50%"
    assert {"cosine", "dot", "z", "no unit norm", "neutral: none", "documents 90%"} <= set(names)
    assert {f"tokens {share}%" for share in (25, 50, 75, 90)} <= set(names)
    assert sum(line.own for line in measured.lines) == 1
    values = [line.accuracy.value for line in measured.lines]
    span = measured.range["accuracy"]
    assert (span.low, span.high) == (min(values), max(values))


def test_limits_say_of_how_many_changes_they_name_some(planted):
    measured = EXPERIMENT.measure(planted(strength=[0.0, 0.0, 0.0, 1.0], shared=30.0, noise=0.3))
    lines = [*measured.lines, *measured.offsets]
    tried = sum(len(line.tried()) for line in lines)
    named = sum(map(len, changes_of(lines).values()))
    assert 0 < named < tried
    [limit] = [each for each in measured.limits() if "changes are named" in each]
    assert f"{named} of {tried} changes are named, at q < .05" in limit


def test_row_paragraph_and_limits_name_the_same_numbers(real):
    measured = EXPERIMENT.measure(real)
    span = str(measured.range["accuracy"])
    assert span in measured.findings()[0].line
    assert f"held-out accuracy is {measured.lines[0].accuracy} and ranges from {span}" in (
        measured.paragraph()
    )
    for name, changes in changes_of(measured.lines).items():
        for key, change in changes.items():
            [limit] = [each for each in measured.limits() if f"{STATISTICS[key]} would" in each]
            assert f"{name} ({change:+.2f})" in limit
            assert change.low > 0 or change.high < 0


def test_offsets_are_read_on_a_part_of_the_stories_that_is_said(real):
    measured = EXPERIMENT.measure(real)
    about = measured.about_offsets
    assert [line.name for line in measured.offsets][0] == "offset 3"
    assert (about.n_texts, about.n_topics, about.n_all) == (9, 3, 18)
    assert "9 of 18 stories on 3 topics" in measured.findings()[1].line


def test_no_stories_to_read_again_is_a_limit_and_not_an_error(finished_original):
    run = materials(
        finished_original,
        validation__n_folds=3,
        validation__sensitivity_texts=0,
    )
    measured = EXPERIMENT.measure(run)
    assert measured.offsets == []
    assert any("sensitivity_texts is 0" in limit for limit in to_json(measured)["limits"])


def test_one_reading_gives_the_means_of_every_offset(real):
    model, layer = real.subject(), real.layer
    texts = real.texts(real.stories())[:5]
    for offset, rows in _read(model, list(map(Passage, texts)), layer, [0, 3]).items():
        pooled = pooled_resid_post(model, texts, FromToken(offset), layers=[layer])
        torch.testing.assert_close(rows, pooled.mean[:, 0], rtol=1e-4, atol=1e-5)


def test_stories_are_spread_over_emotions_and_topics(planted):
    stories = planted(strength=[0.0, 0.0, 0.0, 1.0]).stories()
    chosen = spread_out(stories, 8, 30)
    assert len(chosen) == 24
    assert stories.emotion[chosen].bincount().tolist() == [3] * 8
    assert len(stories.topic[chosen].unique()) == 3
    assert len(spread_out(stories, 8, 1000)) == len(stories.topic)


def test_the_figures_mark_the_runs_own_choice(real, tmp_path):
    drawn = EXPERIMENT.read(json.loads(json.dumps(to_json(EXPERIMENT.measure(real))))).figures()
    assert set(drawn) == {"sensitivity", "sensitivity_offsets"}
    own = drawn["sensitivity"].parts[0]
    marked = [c for c, v in zip(drawn["sensitivity"].categories, own.values, strict=True) if v]
    assert all("documents 50%" in category for category in marked)
    assert figures.draw_all(drawn, tmp_path)
