"""What panels share: where a visitor looks, and readings as they are taken away."""

import asyncio
import dataclasses
import json

import pytest
import torch

from hooks import InvalidInput
from probes.texts.app.view import View
from probes.texts.dialogue import USER, Turn


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
