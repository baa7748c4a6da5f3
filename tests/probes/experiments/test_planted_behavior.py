"""Experiments that run the model find what was planted in it, and nothing in noise.

A tiny model with random weights has no emotions: here they are words. Stories "convey" one by
using its word, so vectors made from them, and judges fitted to them, are about that word.
"""

import json
import random

import pytest
import tiny_models
import torch
from small_runs import SmallRun, small_settings, write_config

from probes.experiments import find_experiment
from probes.experiments.preferences.bradley_terry import balanced_pairs, fit
from probes.experiments.preferences.forced_choice import (
    Steer,
    activity_residuals,
    preferences,
    steered_changes,
)
from probes.experiments.steering.word_effects import first_tokens
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stimuli import activities

MEANING = {
    "angry": "hands", "bored": "street", "happy": "valley", "kind": "letter",
    "lonely": "window", "proud": "hill", "relaxed": "train", "sad": "rain",
}  # fmt: skip
TOPICS = ["a lost key", "a late train", "a new roof", "a letter"]


def given(made, **settings):
    run = made.run(**settings)
    return Materials(run, Models(run.config), Silent())


def plant(materials, vectors):
    """Put vectors at every layer in place of the run's own."""
    materials.vectors.vectors[:] = vectors


class TestDoseResponse:
    @pytest.fixture
    def materials(self, finished):
        return given(
            finished,
            validation__sweep_doses=[0.1, 0.4],
            validation__max_kl=1e6,
            validation__max_perplexity_ratio=1e6,
        )

    def test_planted_words_rise_with_the_dose_and_random_directions_do_not(self, materials):
        model = materials.subject()
        ids = [tokens[0] for tokens in first_tokens(model, materials.emotions)]
        columns = model.W_U.T[ids].float()
        plant(materials, columns - columns.mean(dim=0))
        found = find_experiment("steering-dose-response").measure(materials).values
        [last] = [entry for entry in found["layers"] if entry["layer"] == max(materials.layers)]
        low, high = last["doses"]
        assert low["own_interval"][0] > 0
        assert high["own"] > 2 * low["own"]
        assert abs(high["random"]) < high["own"] / 2

    def test_noise_raises_no_word_more_than_random_directions_do(self, materials):
        noise = torch.randn(3, 32, generator=torch.Generator().manual_seed(5))
        plant(materials, noise)
        found = find_experiment("steering-dose-response").measure(materials).values
        for entry in found["layers"]:
            dose = entry["doses"][0]
            assert abs(dose["own"] - dose["random"]) < 1.0


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
            return find_experiment("free-text").measure(given(made)).values

        return run

    def test_judges_hear_the_planted_words_where_they_were_steered_to(self, measured):
        values = measured(planted=True)
        assert values["classifier_accuracy"] == 1.0
        for judged in values["judges"].values():
            assert judged["gain_interval"][0] > 0
            assert judged["excess_interval"][0] > 0
            assert judged["percentile"] > 0.8
        # These stories convey an emotion by nothing but a word of their own.
        assert values["leak"]["n_words"] == len(MEANING)
        assert values["leak"]["in_stories"] > 0.8

    def test_where_nothing_was_planted_no_judge_hears_anything(self, measured):
        values = measured(planted=False)
        for judged in values["judges"].values():
            low, high = judged["excess_interval"]
            assert low <= 0 <= high
        assert values["leak"]["n_words"] <= 1


@pytest.fixture
def planted_emotions(reading_run):
    """A small run of eight emotions, up to its vectors.

    It is analyzed below the last layer, where what is added to one token still reaches the next.
    """
    run = reading_run(corpus={"emotions": list(MEANING)}, model={"target_layer": 2})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return run


class TestPreferences:
    def test_a_vector_along_what_the_model_prefers_is_found_and_noise_is_not(self, finished):
        materials = given(
            finished, validation__preference_pairs=96, validation__preference_steered_pairs=2
        )
        model, place = materials.subject(), materials.vectors.layer_index(materials.layer)
        texts = [activity.text for activity in activities()]
        pairs = balanced_pairs(len(texts), 96, materials.seed)
        share = preferences(model, texts, pairs).mean(dim=0).sigmoid()
        elo = fit(pairs, share, len(texts)).elo.double()
        residual, _ = activity_residuals(model, texts, materials.layer)
        level = residual.double() - materials.vectors.global_mean[place].double()
        directions = level / level.norm(dim=1, keepdim=True)
        planted = torch.randn(3, 32, generator=torch.Generator().manual_seed(3))
        # The direction whose cosines with the activities are as close to Elo as they can be.
        happy = materials.emotions.index("happy")
        planted[happy] = torch.linalg.lstsq(directions, elo[:, None]).solution[:, 0]
        plant(materials, planted)
        found = find_experiment("preferences").measure(materials).values["emotions"]
        assert found["happy"]["low"] > 0.5
        assert found["happy"]["p_corrected"] < 0.01
        assert all(found[name]["p_corrected"] > 0.05 for name in ("angry", "sad"))


class TestCoupling:
    """Vectors that read what the model prefers, and push it, or do each without the other."""

    PUSHED = 3

    @pytest.fixture
    def materials(self, planted_emotions):
        return given(
            planted_emotions,
            validation__preference_pairs=96,
            validation__preference_steered_pairs=self.PUSHED,
        )

    def axes(self, materials):
        """A direction whose cosines follow Elo and that pushes nothing, and one the other way."""
        model, place = materials.subject(), materials.vectors.layer_index(materials.layer)
        texts = [activity.text for activity in activities()]
        pairs = balanced_pairs(len(texts), 96, materials.seed)
        share = preferences(model, texts, pairs).mean(dim=0).sigmoid()
        elo = fit(pairs, share, len(texts)).elo.double()
        residual, _ = activity_residuals(model, texts, materials.layer)
        level = residual.double() - materials.vectors.global_mean[place].double()
        level = level / level.norm(dim=1, keepdim=True)
        read = torch.linalg.lstsq(level, (elo - elo.mean())[:, None]).solution[:, 0]
        steered = balanced_pairs(len(texts), self.PUSHED, materials.seed + 1)
        settings = materials.config.validation
        dose = settings.doses[len(settings.doses) // 2]
        how = Steer(materials.layer, dose, float(materials.vectors.residual_norm[place]))
        basis = torch.eye(len(read))
        up, down = (steered_changes(model, texts, steered, side * basis, how) for side in (1, -1))
        push = (up - down).double().mean(dim=1)
        read, push = read / read.norm(), push / push.norm()
        alone = push - (push @ read) * read
        return read, alone / alone.norm()

    def measured(self, materials, reading, pushing):
        read, push = self.axes(materials)
        noise = torch.randn(8, 32, generator=torch.Generator().manual_seed(6)).double()
        noise = noise - (noise @ read)[:, None] * read - (noise @ push)[:, None] * push
        own = reading[:, None] * read + pushing[:, None] * push
        plant(materials, (own + 0.05 * noise).float())
        return find_experiment("preferences").measure(materials).values

    def test_what_reads_and_pushes_alike_is_coupled(self, materials):
        amount = torch.tensor([-1.0, -0.7, -0.4, -0.1, 0.1, 0.4, 0.7, 1.0]).double()
        values = self.measured(materials, amount, amount)
        assert values["coupling"]["r"] > 0.8
        assert values["coupling"]["p"] < 0.01
        assert values["coupling"]["low"] > values["coupling_shuffled"]["low"]

    def test_what_reads_one_way_and_pushes_another_is_not(self, materials):
        reading = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]).double()
        pushing = torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0]).double()
        values = self.measured(materials, reading, pushing)
        assert values["coupling"]["p"] > 0.05
        assert values["coupling"]["low"] < 0 < values["coupling"]["high"]
