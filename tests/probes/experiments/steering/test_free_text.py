"""Free text: what was planted is heard in steered texts, and nothing is heard where nothing was.

A tiny model with random weights has no emotions: here they are words. Stories "convey" one by
using its word, so vectors made from them, and judges fitted to them, are about that word.
"""

import json
import random

import pytest
import tiny_models
import torch
from planted_runs import materials
from small_runs import SmallRun, small_settings, write_config

from hooks import DataError
from probes.experiments import find_experiment, to_json
from probes.experiments.steering.free_text import PROMPTS, other_layer

EMOTIONS = ["angry", "happy", "sad"]
MEANING = {
    "angry": "hands", "bored": "street", "happy": "valley", "kind": "letter",
    "lonely": "window", "proud": "hill", "relaxed": "train", "sad": "rain",
}  # fmt: skip
QUICK = {"tokens": 4, "random": 1, "dose": 0.3}
TOPICS = ["a lost key", "a late train", "a new roof", "a letter"]


def test_the_judges_layer_is_not_the_steered_one():
    assert other_layer(range(18), 12) == 15
    assert other_layer([11, 12], 12) == 11
    with pytest.raises(DataError, match="one layer only"):
        other_layer([12], 12)


def test_a_finished_run_is_written_judged_and_compared(finished, judge_server):
    base_url, _ = judge_server
    experiment = find_experiment("free-text")
    heard = experiment.measure(
        materials(
            finished,
            validation__free_text_tokens=4,
            validation__free_text_random=1,
            validation__free_text_dose=0.3,
            validation__judge_base_url=base_url,
            validation__judge_model="a-judge",
        )
    )
    assert heard.judge_layer != heard.layer
    assert list(heard.texts.steered) == heard.emotions
    assert len(heard.texts.unsteered) == len(PROMPTS)
    assert heard.texts.steered["sad"] != heard.texts.unsteered
    for judged in heard.judges.values():
        assert judged.gain_interval[0] <= judged.gain <= judged.gain_interval[1]
        assert 0 <= judged.percentile <= 1
    assert heard.judge_model is not None
    assert heard.judge_model.model == "a-judge"
    assert heard.judge_model.n == len(PROMPTS) * len(heard.emotions)
    assert heard.leak is not None and 0 <= heard.leak.steered <= 1
    names = [finding.name for finding in heard.findings()]
    assert names[-2:] == ["free text: a-judge", "free text: content leak"]
    for key, judged in heard.judges.items():
        figure = heard.figures()[f"free_text_{key}"]
        assert figure.totals[:3] == pytest.approx(
            [judged.gain, judged.gain_in_others, judged.gain_in_random]
        )
        assert sorted(figure.categories[3:]) == EMOTIONS
        assert figure.intervals[0] == judged.gain_interval
    assert experiment.read(json.loads(json.dumps(to_json(heard)))) == heard


def words_of(emotion, topic, number, planted):
    """A story that says the emotion's word again and again, or any of the words."""
    any_word = random.Random(f"{emotion}, {topic}, {number}")
    own = [MEANING[emotion]] if planted else list(MEANING.values())
    return f"The old man by {topic} saw " + " ".join(any_word.choices(own, k=8))


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """A tiny model whose blocks hardly write, so that it repeats what its stream holds."""
    folder, tokenizer = tmp_path_factory.mktemp("echo"), tiny_models.tiny_tokenizer()
    model = tiny_models.tiny_model("gpt2", d_vocab=len(tokenizer))
    with torch.no_grad():
        for block in model.transformer.h:
            for layer in (block.attn.c_proj, block.mlp.c_proj):
                layer.weight.mul_(0.02)
                layer.bias.zero_()
        model.transformer.wpe.weight.mul_(0.05)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class TestFreeText:
    @pytest.fixture
    def measured(self, echo, tmp_path):
        """``measured(planted=True)``: stories on each emotion say its own word."""

        def run(*, planted):
            corpus = {}
            stories = [
                {"emotion": emotion, "topic": topic, "text": words_of(emotion, topic, n, planted)}
                for topic in TOPICS
                for emotion in MEANING
                for n in range(3)
            ]
            neutral = [{"topic": topic, "text": f"It was about {topic}."} for topic in TOPICS]
            for name, lines in (("stories", stories), ("neutral", neutral)):
                path = tmp_path / f"{name}.jsonl"
                path.write_text("".join(json.dumps(line) + "\n" for line in lines))
                corpus[name] = str(path)
            values = small_settings(
                echo, tmp_path / "out", corpus=corpus, generation={"emotions_subset": None},
                validation={"free_text_dose": 2.0, "free_text_tokens": 6, "free_text_random": 3},
                vectors={"neutral_pca": "none"},
            )  # fmt: skip
            made = SmallRun(write_config(tmp_path / "c.yaml", values), tmp_path / "out")
            made.run().prepare()
            made.stages("generate-stories", "generate-neutral")
            made.stages("extract-activations", "compute-vectors")
            return find_experiment("free-text").measure(materials(made))

        return run

    def test_judges_hear_the_planted_words_where_they_were_steered_to(self, measured):
        heard = measured(planted=True)
        assert heard.classifier_accuracy == 1.0
        assert [it.verdict for it in heard.findings()[:2]] == ["shown", "shown"]
        for judged in heard.judges.values():
            assert judged.gain_interval[0] > 0
            assert judged.excess_interval[0] > 0
            assert judged.percentile > 0.8
        # These stories convey an emotion by nothing but a word of their own.
        assert heard.leak.n_words == len(MEANING)
        assert heard.leak.in_stories > 0.8

    def test_where_nothing_was_planted_no_judge_hears_anything(self, measured):
        heard = measured(planted=False)
        for judged in heard.judges.values():
            low, high = judged.excess_interval
            assert low <= 0 <= high
        assert [it.verdict for it in heard.findings()[:2]] == ["not shown", "not shown"]
        assert heard.leak.n_words <= 1
