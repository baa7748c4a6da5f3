"""Scenarios: vectors planted where the messages lie are seen, and nothing in noise."""

import json
from dataclasses import replace

import pytest
import torch

from probes.analysis.findings import Estimate
from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.messages.reading import read_messages
from probes.experiments.messages.scenarios import EXPERIMENT, Scenarios, measure
from probes.stimuli import scenarios

BEYOND = "implicit scenarios, held-out, beyond"


def test_vectors_that_lie_where_the_messages_do_are_seen(materials, put_vectors):
    held = [s for s in scenarios() if s.emotion in materials.emotions and s.battery == "held-out"]
    residual = read_messages(materials.subject(), [s.text for s in held], materials.layer)
    put_vectors(materials, means_of(residual, held, materials.emotions))
    result = measure(materials)
    battery = result.batteries["held-out"].centered
    assert battery.n == 12
    assert battery.top_1 >= 10
    assert battery.contrast.low > 0.1
    assert result.left_out[:2] == ["afraid", "calm"]


def means_of(residual, messages, emotions):
    """Vectors that lie where each emotion's messages do."""
    apart = residual - residual.mean(dim=0)
    of = [[row for row, s in enumerate(messages) if s.emotion == emotion] for emotion in emotions]
    return torch.stack([apart[rows].mean(dim=0) for rows in of])


def test_neutral_messages_and_readers_of_words_stand_beside(materials):
    result = measure(materials)
    for name, battery in result.batteries.items():
        assert len(battery.centered.neutral) == 6
        assert set(battery.places.words) == {"word counts", "input embeddings"}
        best = max(each.value for each in battery.places.words.values())
        assert battery.places.words[battery.places.better].value == best
        assert battery.places.gain.value == pytest.approx(battery.places.model.value - best)
        [finding] = [each for each in result.findings() if each.name.endswith(name)]
        assert battery.places.better in finding.line
    assert result.figures()["scenarios"].rows[-1] == "neutral"
    assert "messages that imply nothing" in result.paragraph()


def test_few_vectors_are_said_to_tell_no_emotion_by_itself(materials):
    result = measure(materials)
    held = result.batteries["held-out"]
    few = replace(held, beyond=held.beyond or held.centered)
    few = replace(result, batteries={**result.batteries, "held-out": few})
    many = replace(few, emotions=[f"word {number}" for number in range(21)])

    def said(result):
        [note] = [it.note for it in result.findings() if it.name.startswith(BEYOND)]
        return note

    assert "3 vectors are too few to tell emotions one by one" in said(few)
    assert "of 3 emotions by themselves (q < .05)" in said(many)


def test_line_paragraph_and_figures_say_the_same(materials):
    result = measure(materials)
    battery = result.batteries["held-out"].centered
    [line, *_] = [finding.line for finding in result.findings()]
    for text in (line, result.paragraph(), result.figures()["scenarios"].caption):
        assert f"{battery.contrast.value:+.3f}" in text
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result
    number = result.paper_numbers()["scenarios.diagonal"]
    assert (number.value, number.n) == (result.batteries["held-out"].uncentered.own.value, 3)


def test_messages_are_drawn_centered_and_as_they_are(materials):
    result = measure(materials)
    figures = result.figures()
    for name, reading in (("scenarios", "centered"), ("scenarios_uncentered", "uncentered")):
        matrix = getattr(result.batteries["first"], reading).matrix
        order = [materials.emotions.index(emotion) for emotion in figures[name].columns]
        mean = [sum(row[column] for row in matrix[:4]) / 4 for column in order]
        assert figures[name].values[0] == pytest.approx(mean)


def test_the_held_out_battery_is_read_apart_from_the_first(materials):
    batteries = measure(materials).batteries
    assert batteries["first"].centered.matrix != batteries["held-out"].centered.matrix
    assert [len(battery.emotions) for battery in batteries.values()] == [12, 12]


def test_a_run_that_lacks_all_emotions_says_so_and_draws_nothing(of):
    result = measure(of(["smug", "vigilant"]))
    assert isinstance(result, NotMeasured)
    assert [finding.verdict for finding in result.findings()] == ["not measured"]
    assert len(to_json(result)["limits"]) == 1
    assert find_experiment("scenarios").read(to_json(result)).figures() == {}


class TestAllTwelve:
    @pytest.fixture
    def materials(self, of):
        return of(dict.fromkeys(s.emotion for s in scenarios() if s.emotion is not None))

    def test_vectors_planted_for_one_battery_are_found_in_it_alone(self, materials, put_vectors):
        held = [s for s in scenarios() if s.battery == "held-out"]
        residual = read_messages(materials.subject(), [s.text for s in held], materials.layer)
        put_vectors(materials, means_of(residual, held, materials.emotions))
        result = measure(materials)
        assert isinstance(result, Scenarios)
        planted = result.batteries["held-out"].centered
        other = result.batteries["first"].centered
        assert planted.n == 48
        assert planted.top_1 > 20
        assert planted.p < 0.01
        assert planted.p_within is not None and planted.p_within < 0.01
        assert planted.shuffled_contrast is not None
        assert planted.contrast.low > 0.2 > planted.shuffled_contrast
        assert other.p > 0.05
        assert other.contrast.low < 0.1
        beyond = result.batteries["held-out"].beyond
        assert beyond is not None
        assert beyond.contrast.low > 0.1
        assert result.findings()[0].verdict == "shown"
        gain = result.batteries["held-out"].places.gain
        assert gain.low > 0

    def test_where_words_do_as_well_it_is_shown_in_part(self, materials, put_vectors):
        held = [s for s in scenarios() if s.battery == "held-out"]
        residual = read_messages(materials.subject(), [s.text for s in held], materials.layer)
        put_vectors(materials, means_of(residual, held, materials.emotions))
        result = measure(materials)
        batteries = dict(result.batteries)
        place = replace(batteries["held-out"].places, gain=Estimate(0.0, -0.1, 0.1))
        batteries["held-out"] = replace(batteries["held-out"], places=place)
        assert replace(result, batteries=batteries).findings()[0].verdict == "shown in part"

    def test_nothing_is_found_in_noise(self, materials, put_vectors):
        noise = torch.randn(12, 32, generator=torch.Generator().manual_seed(3))
        put_vectors(materials, noise)
        result = measure(materials)
        for battery in result.batteries.values():
            for reading in (battery.centered, battery.uncentered):
                low, high = reading.contrast.ends
                assert low <= 0 <= high
                assert reading.p > 0.05
                assert reading.top_1 <= 12
        assert result.findings()[0].verdict == "not shown"
