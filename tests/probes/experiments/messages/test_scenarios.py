"""Scenarios: vectors planted where the messages lie are seen, and nothing in noise."""

import json

import pytest
import torch
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.messages.reading import read_messages
from probes.experiments.messages.scenarios import EXPERIMENT, Scenarios, measure
from probes.stimuli import scenarios


def test_vectors_that_lie_where_the_messages_do_are_seen(materials, put_vectors):
    held = [s for s in scenarios() if s.emotion in materials.emotions and s.battery == "held-out"]
    residual = read_messages(materials.subject(), [s.text for s in held], materials.layer)
    order = [[s.emotion for s in held].index(emotion) for emotion in materials.emotions]
    put_vectors(materials, (residual - residual.mean(dim=0))[order])
    result = measure(materials)
    battery = result.batteries["held-out"].centered
    assert battery.ranks == [1, 1, 1]
    assert battery.contrast_interval[0] > 0.2
    assert result.left_out[:2] == ["afraid", "calm"]


def test_line_paragraph_and_figures_say_the_same(materials):
    result = measure(materials)
    battery = result.batteries["held-out"].centered
    [line, *_] = [finding.line for finding in result.findings()]
    for text in (line, result.paragraph(), result.figures()["scenarios"].caption):
        assert f"{battery.contrast:+.3f}" in text
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result
    number = result.paper_numbers()["scenarios.diagonal"]
    assert (number.value, number.n) == (result.batteries["held-out"].uncentered.own, 3)


def test_messages_are_drawn_centered_and_as_they_are(materials):
    result = measure(materials)
    figures = result.figures()
    for name, reading in (("scenarios", "centered"), ("scenarios_uncentered", "uncentered")):
        matrix = getattr(result.batteries["first"], reading).matrix
        order = [materials.emotions.index(emotion) for emotion in figures[name].columns]
        assert figures[name].values[0] == pytest.approx([matrix[0][column] for column in order])


def test_the_held_out_battery_is_read_apart_from_the_first(materials):
    batteries = measure(materials).batteries
    assert batteries["first"].centered.matrix != batteries["held-out"].centered.matrix
    assert [len(battery.emotions) for battery in batteries.values()] == [3, 3]


def test_intervals_are_drawn_as_often_as_the_config_says(finished):
    few, many = (
        measure(materials_of(finished, validation__n_bootstrap=n)).batteries["first"].centered
        for n in (20, 2000)
    )
    assert few.contrast == many.contrast
    assert few.contrast_interval != many.contrast_interval


def test_a_run_that_lacks_all_emotions_says_so_and_draws_nothing(of):
    result = measure(of(["smug", "vigilant"]))
    assert isinstance(result, NotMeasured)
    assert [finding.verdict for finding in result.findings()] == ["not measured"]
    assert len(to_json(result)["limits"]) == 1
    assert find_experiment("scenarios").read(to_json(result)).figures() == {}


class TestAllTwelve:
    @pytest.fixture
    def materials(self, of):
        return of(dict.fromkeys(scenario.emotion for scenario in scenarios()))

    def test_vectors_planted_for_one_battery_are_found_in_it_alone(self, materials, put_vectors):
        held = {s.emotion: s.text for s in scenarios() if s.battery == "held-out"}
        texts = [held[emotion] for emotion in materials.emotions]
        residual = read_messages(materials.subject(), texts, materials.layer)
        put_vectors(materials, residual - residual.mean(dim=0))
        result = measure(materials)
        assert isinstance(result, Scenarios)
        planted = result.batteries["held-out"].centered
        other = result.batteries["first"].centered
        assert planted.n == planted.top_1 == 12
        assert planted.p < 0.01
        assert planted.p_within is not None and planted.p_within < 0.01
        assert planted.shuffled_contrast is not None
        assert planted.contrast_interval[0] > 0.3 > planted.shuffled_contrast
        assert other.p > 0.05
        assert other.contrast_interval[0] < 0.1
        assert result.findings()[0].verdict == "shown"

    def test_nothing_is_found_in_noise(self, materials, put_vectors):
        noise = torch.randn(12, 32, generator=torch.Generator().manual_seed(3))
        put_vectors(materials, noise)
        result = measure(materials)
        for battery in result.batteries.values():
            for reading in (battery.centered, battery.uncentered):
                low, high = reading.contrast_interval
                assert low <= 0 <= high
                assert reading.p > 0.05
                assert reading.top_1 <= 4
        assert result.findings()[0].verdict == "not shown"
