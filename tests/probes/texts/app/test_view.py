"""What panels share: where a visitor looks, and readings as they are taken away."""

import asyncio
import dataclasses
import json

import pytest
import torch

from hooks import InvalidInput
from probes.texts.app.view import View
from probes.texts.dialogue import USER, Turn
from probes.vectors.activations import Shard, save_shard
from probes.vectors.neutral_tokens import NeutralTokens


@pytest.fixture
def view(microscope):
    return View(microscope(), {2: 0.2})


def test_a_view_begins_at_the_target_layer(view):
    assert (view.layer, view.place, view.emotion) == (2, 1, "sad")


def test_a_look_is_for_the_emotion_and_layer_chosen(view):
    view.layer, view.emotion = 3, "at ease"
    look = view.look(view.microscope.read("Rain."))
    assert (look.place, look.emotion, look.name) == (2, 2, "at ease")
    assert look.where.endswith(", layer 3")


def test_a_reading_is_taken_away_with_its_scores_at_the_layer_looked_at(view):
    reading = view.microscope.read("Rain fell.")
    content = json.loads(json.dumps(view.described(reading, [Turn(USER, "Rain fell.")])))
    assert content["layer"] == 2
    assert content["turns"] == [{"speaker": "user", "text": "Rain fell."}]
    inside = [token for token in content["tokens"] if token["turn"] == 0]
    assert "".join(token["text"] for token in inside) == "Rain fell."
    assert [token["scores"] for token in content["tokens"]] == reading.scores[1].tolist()


def test_a_reading_is_taken_away_with_its_z_where_it_has_one(view, microscope):
    turns = [Turn(USER, "Rain fell.")]
    assert "z" not in view.described(view.microscope.read("Rain fell."), turns)
    other = View(microscope(zero=True), {})
    reading = other.microscope.read("Rain fell.")
    assert other.described(reading, turns)["z"] == reading.z[1].tolist()
    nothing = dataclasses.replace(reading, z=torch.full_like(reading.z, torch.nan))
    assert other.described(nothing, turns)["z"] == [None] * 3


@pytest.fixture
def neutral(microscope, tmp_path) -> NeutralTokens:
    """Forty made-up neutral tokens at the microscope's layers."""
    vectors = microscope().vectors
    shape = (len(vectors.layers), vectors.vectors.shape[-1])
    tokens = torch.randn(40, *shape, generator=torch.Generator().manual_seed(1))
    none, norm = torch.zeros(0, dtype=torch.long), torch.zeros(0, shape[0])
    counts = {"n_tokens": none, "n_texts": none, "n_apart": None, "dropped": 0}
    shard = Shard(rows=[], **counts, mean=tokens[:0], norm=norm, tokens=tokens)
    save_shard(tmp_path / "neutral.safetensors", shard)
    return NeutralTokens.of_files([tmp_path / "neutral.safetensors"], vectors.layers, vectors)


def test_scores_are_z_where_the_run_kept_neutral_tokens_until_cosines_are_wanted(
    view, microscope, neutral
):
    seen = View(microscope(), {}, neutral)
    reading = seen.microscope.read("Rain fell.")
    cosines, zero = view.look(reading).scores, neutral.at(2)
    assert torch.equal(cosines, reading.scores[1])
    assert "kept no neutral tokens" in view.explained
    assert seen.explained.endswith("The run kept 40.")
    torch.testing.assert_close(seen.look(reading).scores, (cosines - zero.mean) / zero.sd)
    seen.layer = 3
    assert not torch.equal(seen.zero.mean, zero.mean)
    seen.as_z = False
    assert torch.equal(seen.look(reading).scores, reading.scores[2])
    assert seen.explained.startswith("Scores are cosines")


def test_a_reading_is_taken_away_with_what_neutral_tokens_score(microscope, neutral):
    seen = View(microscope(), {}, neutral)
    reading = seen.microscope.read("Rain fell.")
    content = json.loads(json.dumps(seen.described(reading, [])))
    assert content["neutral_tokens"]["n"] == 40
    assert content["neutral_tokens"]["sd"] == neutral.at(2).sd[0].tolist()
    assert [token["scores"] for token in content["tokens"]] == reading.scores[1].tolist()


def test_an_error_of_the_model_is_shown_and_others_are_not_hidden(view, monkeypatch):
    shown = []
    monkeypatch.setattr("probes.texts.app.view.ui.notify", lambda text, **_: shown.append(text))

    async def directly(work):
        return work()

    monkeypatch.setattr("probes.texts.app.view.run.io_bound", directly)

    def fails():
        raise InvalidInput("too long")

    assert asyncio.run(view.in_thread(fails)) is None
    assert shown == ["too long"]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(view.in_thread(lambda: 1 / 0))
    assert asyncio.run(view.in_thread(lambda: 3)) == 3
