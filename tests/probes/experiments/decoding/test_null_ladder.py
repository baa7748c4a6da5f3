"""Null ladder: what the model adds is a gain, what its words hold already is none."""

import json
import random
from dataclasses import replace

import pytest
import small_runs
import torch
from planted_runs import emotion_rows, plant

import hooks
from hooks.reading.embeddings import mean_input_embedding
from probes.analysis.findings import Estimate
from probes.experiments import find_experiment, to_json
from probes.experiments.decoding.ladder_rungs import Gain, Rung

EXPERIMENT = find_experiment("null-ladder")


WORDS = {
    "angry": "hands", "bored": "street", "happy": "valley", "kind": "letter",
    "lonely": "window", "proud": "hill", "relaxed": "train", "sad": "rain",
}  # fmt: skip
TOPICS = ["a lost key", "a late train", "a new roof", "a letter", "a map", "a bell"]


@pytest.fixture
def climbed(subject, tmp_path):
    """``climbed(in_words=..., row=...)``: rungs and gain of stories that say their emotion's own
    word, or any of the words, and of rows that may hold the emotion whatever the words say."""

    def climb(*, in_words, row=None, n_refits=6):
        def story(emotion, topic, number):
            drawn = random.Random(f"{emotion}, {topic}, {number}")
            words = [WORDS[emotion]] if in_words else list(WORDS.values())
            return "He thought of " + " ".join(drawn.choices(words, k=10))

        rows = {
            "stories": [
                {"emotion": emotion, "topic": topic, "text": story(emotion, topic, number)}
                for topic in TOPICS
                for emotion in WORDS
                for number in range(2)
            ],
            "neutral": [{"topic": topic, "text": f"It was about {topic}."} for topic in TOPICS],
        }
        corpus = {}
        for name, lines in rows.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            corpus[name] = str(path)
        values = small_runs.small_settings(
            subject,
            tmp_path / "out",
            corpus=corpus,
            generation={"emotions_subset": None},
            vectors={"neutral_pca": "none"},
            validation={"n_folds": 3, "n_refits": n_refits},
        )
        config = small_runs.write_config(tmp_path / "c.yaml", values)
        model = hooks.load(subject, backend="huggingface", dtype="float32", device="cpu")

        def embedded(text, generator):
            mean = mean_input_embedding(model, [text.text], hooks.FromToken(3))[0]
            return mean.expand(4, -1) + 1e-4 * torch.randn(4, len(mean), generator=generator)

        about = {"model": model.name, "fingerprint": model.fingerprint}
        made = plant(small_runs.SmallRun(config, tmp_path / "out"), row or embedded, index=about)
        result = EXPERIMENT.measure(made)
        return {rung.name.split(" (")[0]: rung for rung in result.rungs}, result.gain

    return climb


def test_what_the_layer_adds_to_words_that_say_nothing_is_a_gain(climbed):
    row = emotion_rows(list(WORDS), TOPICS, strength=[0.0, 0.0, 1.0, 1.0])
    rungs, gain = climbed(in_words=False, row=row)
    assert gain.accuracy.low > 0.5
    assert rungs["analyzed layer"].accuracy.value > 0.9
    lower = ("random directions", "shuffled labels", "word counts", "input embeddings")
    for name in (*lower, "early layer"):
        assert rungs[name].accuracy.value < 0.35, name


def test_agreement_with_the_papers_clusters_lies_in_its_interval_and_so_does_its_gain(climbed):
    row = emotion_rows(list(WORDS), TOPICS, strength=[0.3] * 4, noise=0.3)
    rungs, gain = climbed(in_words=False, row=row)
    words = max(rungs[name].clusters.value for name in ("word counts", "input embeddings"))
    assert gain.clusters.value == pytest.approx(rungs["analyzed layer"].clusters.value - words)
    alone = rungs.pop("name embedding").clusters
    assert (alone.low, alone.high) == (None, None)
    for each in (*(rung.clusters for rung in rungs.values()), gain.clusters):
        assert each.low <= each.value <= each.high


def test_what_the_words_hold_already_is_no_gain(climbed):
    rungs, gain = climbed(in_words=True)
    assert rungs["word counts"].accuracy.value > 0.9
    assert rungs["input embeddings"].accuracy.value > 0.9
    assert rungs["analyzed layer"].accuracy.value > 0.9
    assert gain.accuracy.low <= 0 <= gain.accuracy.high
    assert rungs["shuffled labels"].accuracy.value < 0.35


def test_the_setting_of_refits_reaches_the_ladder(climbed):
    row = emotion_rows(list(WORDS), TOPICS, strength=[0.3] * 4, noise=0.3)
    gains = [climbed(in_words=False, row=row, n_refits=n)[1] for n in (5, 30)]
    assert gains[0].accuracy.ends != gains[1].accuracy.ends


@pytest.fixture(scope="module")
def measured(real):
    return EXPERIMENT.measure(real)


def test_row_claim_and_paragraph_name_the_same_gain_which_is_the_difference_of_its_rungs(measured):
    reached = {name.split(" (")[0]: it.value for name, it in measured.rungs_of("accuracy")}
    gain = measured.gain.accuracy
    words = max(reached["word counts"], reached["input embeddings"])
    assert gain.value == pytest.approx(reached["analyzed layer"] - words)
    assert gain.low <= gain.value <= gain.high
    claim = measured.findings()[0]
    assert (claim.headline, claim.section) == (True, "null-ladder")
    written = f"{100 * gain.value:+.1f}"
    assert claim.number == f"{written} points"
    assert written in claim.line
    assert f"The gain in accuracy is {written}" in measured.paragraph()


ABOVE, NONE = Estimate(0.2, 0.1, 0.3), Estimate(0.0, -0.1, 0.1)


def gain_of(valence, accuracy, clusters):
    over = dict.fromkeys(("valence", "arousal", "accuracy", "clusters"), "input embeddings")
    return Gain(valence, accuracy, clusters, None, over)


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (gain_of(ABOVE, ABOVE, ABOVE), "shown"),
        (gain_of(None, ABOVE, None), "shown"),
        (gain_of(ABOVE, ABOVE, NONE), "shown in part"),
        (gain_of(NONE, NONE, NONE), "not shown"),
    ],
)
def test_a_gain_that_may_be_none_is_a_limit(measured, gain, verdict):
    result = replace(measured, gain=gain)
    claim = result.findings()[0]
    assert claim.verdict == verdict
    limits = [limit for limit in to_json(result)["limits"] if "Gain over words" in limit]
    assert bool(limits) == (verdict != "shown")


def test_the_strongest_control_is_the_rung_below_the_model_that_comes_nearest(measured):
    rungs = [
        Rung("random directions", None, Estimate(0.1), None),
        Rung("input embeddings", None, Estimate(0.3), None),
        Rung("early layer (1)", None, Estimate(0.4), None),
        Rung("analyzed layer (2)", None, Estimate(0.5), None),
    ]
    _, climbed = replace(measured, rungs=rungs, gain=gain_of(None, ABOVE, None)).findings()
    assert climbed.estimate.value == 0.5
    assert climbed.control.name == "input embeddings"


def test_the_figure_has_a_bar_for_every_rung_and_statistic(measured):
    [figure] = EXPERIMENT.read(to_json(measured)).figures().values()
    assert {"accuracy: word counts", "accuracy: input embeddings"} <= {*figure.categories}
    assert all(len(name) <= 27 for name in figure.categories)
