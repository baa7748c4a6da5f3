"""Confounds: a planted one is found by name, none is invented, one dimension cannot hide."""

import json
from dataclasses import replace

import pytest
import small_runs
import torch
from planted_runs import D_MODEL, N_LAYERS, directions, plant

from probes import figures
from probes.analysis.findings import Estimate
from probes.experiments import find_experiment, to_json
from probes.experiments.decoding.story_traits import narrator
from probes.stimuli import human_ratings

EXPERIMENT = find_experiment("confounds")
EMOTIONS = ["angry", "sad", "bored", "lonely", "happy", "proud"]
TOPICS = ["a lost key", "a late train", "a new roof", "a letter", "a map"]
TEXTS = ("I shut the gate.", "I sat by my window all day.", "He shut the gate.", "She sat by it.")
OWN = directions(EMOTIONS, 1)


def n_tokens(text) -> int:
    """From 40 to 69, the same for no two neighbors."""
    return 40 + sum(map(ord, f"{text.emotion}{text.topic}{text.index}")) * 7 % 30


def planted_shift(amount):
    """Rows moved in one direction of its own, by `amount(text)`, whatever their emotion."""
    away = directions(["away"], 77)["away"]

    def row(text, generator):
        value = 0.03 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
        if text.emotion is not None:
            value = value + OWN[text.emotion] + amount(text) * away
        return value

    return row


def planted_score(amount):
    """Rows along the own emotion's direction, `amount(text)` times as long."""

    def row(text, generator):
        value = 0.05 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
        if text.emotion is not None:
            wanted = 1.0 + amount(text) + 0.1 * torch.randn(1, generator=generator)
            value = value + wanted * OWN[text.emotion]
        return value

    return row


@pytest.fixture(scope="module")
def confounded(tmp_path_factory, subject):
    """``confounded(amount, named=False)``: what was measured of a run of 6 x 5 x 4 stories."""

    def measure(row, named=False, index=None):
        folder = tmp_path_factory.mktemp("confounded")
        corpus = small_runs.write_corpus(folder, EMOTIONS, TOPICS)
        lines = [
            {"emotion": e, "topic": t, "text": text, "writer": f"writer {place % 2}"}
            for e in EMOTIONS
            for t in TOPICS
            for place, text in enumerate(TEXTS)
        ]
        if named:
            lines = [
                {**line, "text": f"{line['text']} So {line['emotion']}."} if n % 3 == 0 else line
                for n, line in enumerate(lines)
            ]
        with open(corpus["stories"], "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        values = small_runs.small_settings(
            subject,
            folder / "out",
            corpus=corpus,
            generation={"emotions_subset": None},
            model={"target_layer": 3, "name": str(subject)},
            vectors={"neutral_pca": "none"},
            validation={"n_folds": 5, "n_permutations": 60, "n_refits": 5},
        )
        config = small_runs.write_config(folder / "c.yaml", values)
        made = small_runs.SmallRun(config, folder / "out")
        return EXPERIMENT.measure(plant(made, row, n_tokens=n_tokens, index=index))

    return measure


@pytest.mark.parametrize(
    ("factor", "amount"),
    [
        ("length", lambda text: (n_tokens(text) - 55) / 30),
        ("narrator", lambda text: 0.6 * (narrator(text.text) == "first")),
        ("writer", lambda text: 0.6 * (text.index % 2)),
        ("topic", lambda text: 0.3 * TOPICS.index(text.topic)),
    ],
)
def test_a_planted_confound_is_found_and_no_other(confounded, factor, amount):
    measured = confounded(planted_score(amount))
    shares = measured.factors
    assert set(shares) == {"topic", "length", "narrator", "writer"}
    assert shares[factor].value > 0.5
    assert shares[factor].beyond > 0.5
    assert shares[factor].p == pytest.approx(1 / 61)
    [limit] = [each for each in measured.limits() if "explains" in each]
    assert factor in limit
    assert max(share.value for name, share in shares.items() if name != factor) < 0.1


@pytest.mark.parametrize(
    ("factor", "amount"),
    [
        ("length", lambda text: (n_tokens(text) - 55) / 20),
        ("narrator", lambda text: 1.0 * (narrator(text.text) == "first")),
        ("writer", lambda text: 1.0 * (text.index % 2)),
        ("topic", lambda text: 0.5 * TOPICS.index(text.topic)),
    ],
)
def test_what_raises_some_emotions_and_lowers_others_is_found(confounded, factor, amount):
    """Over all emotions it adds up to nothing."""
    measured = confounded(planted_shift(amount))
    shares = measured.factors
    assert shares[factor].value > 0.4
    assert shares[factor].p == pytest.approx(1 / 61)
    assert max(share.value for name, share in shares.items() if name != factor) < 0.15
    assert max(row[factor] for row in measured.by_emotion.values()) > 0.5


def test_taking_out_what_a_factor_adds_gives_back_the_accuracy_that_it_cost(confounded):
    """Every second story is moved toward one emotion, whatever its own."""
    plain = planted_shift(lambda _text: 0.0)

    def row(text, generator):
        moved = text.emotion is not None and text.index % 2
        return plain(text, generator) + 3.0 * moved * OWN["sad"]

    measured = confounded(row)
    accuracy = measured.accuracy["writer"]
    assert accuracy.low > 0.1
    assert abs(measured.accuracy["narrator"].value) < accuracy.value / 2
    written = f"{100 * accuracy.value:+.1f}"
    assert written in measured.paragraph()
    [row] = [each for each in measured.findings() if each.name == "score explained by writer"]
    assert written in row.line


def test_row_paragraph_and_limit_name_the_same_share(confounded):
    measured = confounded(planted_score(lambda text: 0.6 * (text.index % 2)))
    share = measured.factors["writer"]
    [row] = [each for each in measured.findings() if each.name == "score explained by writer"]
    [limit] = [each for each in measured.limits() if "writer explains" in each]
    written = f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
    assert written in row.line
    assert f"writer explains {written}" in measured.paragraph()
    assert f"{share.value:.1%}" in limit
    assert "120 stories on 5 topics" in row.line


def test_no_confound_is_invented(confounded):
    measured = confounded(planted_score(lambda _text: 0.0))
    assert all(share.value < 0.1 for share in measured.factors.values())
    assert not [limit for limit in measured.limits() if "explains" in limit]


def test_stories_that_name_their_emotion_are_counted_and_their_effect_is_found(confounded):
    measured = confounded(planted_score(lambda text: 0.6 * (text.emotion in text.text)), named=True)
    assert measured.counts.leaked == 40
    assert measured.factors["leaked words"].value > 0.5
    assert any("40 of 120 stories name" in limit for limit in measured.limits())


def test_what_a_corpus_does_not_have_is_said(planted):
    measured = EXPERIMENT.measure(planted(strength=[0.0, 0.0, 0.0, 1.0]))
    missing = measured.missing
    assert missing["writer"] == "no writer is named"
    assert missing["leaked words"] == "in 0 stories"
    assert missing["length"] == "does not vary"
    [others] = [each for each in measured.findings() if each.name == "score explained by others"]
    assert "no writer is named" in others.line


def test_valence_that_lives_in_one_large_dimension_falls_when_it_is_dropped(planted):
    def row(text, generator):
        value = 0.02 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
        value[:, 7] += 50.0
        if text.emotion is not None:
            value += 0.1 * OWN.get(text.emotion, torch.zeros(D_MODEL))
            value[:, 7] += human_ratings()[text.emotion].pleasure
        return value

    measured = EXPERIMENT.measure(planted(row=row))
    before, dropped = measured.robust[:2]
    assert before.valence.value > 0.9
    assert dropped.change.valence.value < -0.1
    assert dropped.change.valence.high < 0
    # With eight rated words the interval is wide; of many it would be narrow.
    sure = replace(dropped, change=replace(dropped.change, valence=Estimate(-0.3, -0.4, -0.2)))
    limits = replace(measured, robust=[before, sure]).limits()
    assert any("valence |r| falls by 0.30" in limit for limit in limits)
    largest = measured.dimensions["1"]
    assert largest.norm_dimensions == largest.variance_dimensions == [7]
    assert largest.norm > 0.99
    assert largest.variance > 0.8
    aniso = measured.anisotropy
    assert aniso.before > 0.99
    assert abs(aniso.after) < 0.1


def test_a_result_spread_over_all_dimensions_survives_the_robust_options(planted):
    measured = EXPERIMENT.measure(planted(strength=[0.0, 0.0, 0.0, 1.0]))
    accuracies = [line.accuracy.value for line in measured.robust]
    assert min(accuracies) > 0.9
    assert not any("falls" in limit for limit in measured.limits())


def test_a_pleasant_topic_is_named(confounded):
    valence = {name: human_ratings()[name].pleasure for name in EMOTIONS}
    axis = sum(
        (value > 0) * OWN[name] / 2 - (value < 0) * OWN[name] / 4 for name, value in valence.items()
    )

    def row(text, generator):
        value = 0.03 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
        if text.emotion is not None:
            value = value + OWN[text.emotion] + 0.5 * (text.topic == "a map") * axis
        return value

    measured = confounded(row)
    assert max(measured.tilt, key=lambda topic: measured.tilt[topic].value) == "a map"
    assert measured.tilt["a map"].value == pytest.approx(0.4, abs=0.1)
    [said] = [it for it in measured.findings() if it.name == "topics, tilt of valence"]
    assert "most: a map" in said.note


def test_cell_means_are_tested_for_topic_and_length_only(confounded):
    row = planted_score(lambda _text: 0.0)
    measured = confounded(row, index={"per_cell": True})
    assert measured.missing["narrator"] == "activations were kept per cell"
    assert any("per cell" in limit for limit in measured.limits())


@pytest.mark.slow
def test_single_stories_beside_cell_means_are_tested_for_everything(confounded):
    row = planted_score(lambda _text: 0.0)
    by_story = confounded(row)
    measured = confounded(row, index={"per_cell": True, "single": {"layers": [2, 3]}})
    rounded = {"tilt": measured.tilt, "by_emotion": measured.by_emotion}
    assert measured == replace(by_story, **rounded)
    for emotion, shares in measured.by_emotion.items():
        assert shares == pytest.approx(by_story.by_emotion[emotion], abs=1e-6)
    for topic, tilt in measured.tilt.items():  # vectors of sums over cells round otherwise
        assert tilt.value == pytest.approx(by_story.tilt[topic].value, abs=1e-4)
    assert not any("per cell" in limit for limit in measured.limits())


@pytest.mark.slow
def test_the_figures_have_every_factor_and_option(confounded, tmp_path):
    drawn = confounded(planted_score(lambda _text: 0.0)).figures()
    assert set(drawn["confounds_by_emotion"].rows) == {"topic", "length", "narrator", "writer"}
    assert drawn["confounds_by_emotion"].columns == ("all", *EMOTIONS)
    assert "|r|: as it is" in drawn["robust_options"].categories
    assert figures.draw_all(drawn, tmp_path)


def test_a_result_that_was_kept_gives_the_same_figures_as_before(confounded):
    measured = confounded(planted_score(lambda _text: 0.0))
    again = EXPERIMENT.read(json.loads(json.dumps(to_json(measured))))
    assert again == measured
    assert [line.own for line in again.robust] == [True, *[False] * (len(again.robust) - 1)]
