"""Intensity: planted trends with a number are seen, those of numbers alone are not credited."""

import json

import pytest
import torch
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, to_json
from probes.experiments.messages.intensity import EXPERIMENT, measure
from probes.experiments.messages.reading import read_messages
from probes.stimuli import intensity_templates

EXPECTED = {
    "painkiller": ("scared", "serene"),
    "water": ("panicked", "content"),
    "relative": ("grief-stricken", "thankful"),
    "dog": ("unhappy", "happy"),
    "start-up": ("nervous", "relieved"),
    "students": ("proud", "guilty"),
}
"""Emotions of a run that meet each of the twelve expectations once."""


def test_line_paragraph_and_figure_say_the_same(materials):
    result = measure(materials)
    [finding] = result.findings()
    for text in (finding.line, result.paragraph()):
        assert f"{result.mean:+.2f}" in text and f"{result.gain:+.2f}" in text
    for text in (finding.line, result.figures()["intensity"].caption):
        assert f"{result.n_expected} of {result.n} " in text
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result


def test_fewer_expectations_than_the_papers_are_scaled_to_its_twelve(materials):
    result = measure(materials)
    number = result.paper_numbers()["intensity.expected_signs"]
    assert result.n < 12 and number.n == result.n
    assert number.value == pytest.approx(12 * result.n_expected / result.n)
    assert number.interval[0] <= number.value <= number.interval[1] <= 12
    assert "scaled to 12" in number.note


def test_intervals_are_drawn_as_often_as_the_config_says(finished):
    few, many = (measure(materials_of(finished, validation__n_bootstrap=n)) for n in (20, 2000))
    assert few.gain == many.gain
    assert few.gain_interval != many.gain_interval


def test_a_run_that_lacks_all_emotions_says_so(of):
    result = measure(of(["smug", "vigilant"]))
    assert isinstance(result, NotMeasured)
    assert len(to_json(result)["limits"]) == 1 and result.figures() == {}


class TestAllTwelve:
    @pytest.fixture
    def materials(self, of):
        return of([emotion for pair in EXPECTED.values() for emotion in pair])

    def test_vectors_along_which_the_numbers_rise_are_found_and_no_number_alone(
        self, materials, put_vectors
    ):
        bundle = materials.vectors
        mean = bundle.global_mean[bundle.layer_index(materials.layer)].double()
        steps = torch.arange(10.0, dtype=torch.float64) - 4.5
        own = bundle.at(materials.layer).clone()
        for template in intensity_templates():
            forms = [
                form.format(number=number)
                for form in (template.text, template.neutral)
                for number in template.numbers
            ]
            residual = read_messages(materials.subject(), forms, materials.layer).double() - mean
            level = residual / residual.norm(dim=1, keepdim=True)
            for expectation in template.expects:
                [emotion] = set(EXPECTED[template.name]) & set(expectation.emotions)
                # Cosines rise or fall by the same step with the message, and jump with the control.
                jumps = torch.tensor([1.0, -1.0] * 5, dtype=torch.float64)
                wanted = torch.cat([expectation.sign * steps, jumps])
                solved = torch.linalg.lstsq(level, wanted[:, None]).solution[:, 0]
                own[materials.emotions.index(emotion)] = solved.float()
        put_vectors(materials, own)
        result = measure(materials)
        asked = {(row.template, row.emotion) for row in result.expectations}
        assert asked == {(name, e) for name, pair in EXPECTED.items() for e in pair}
        assert result.trend == pytest.approx([1.0] * 12, abs=0.05)
        assert result.n_expected == result.n == result.n_asked == 12
        assert result.gain_interval[0] > 0.5
        assert result.p < 0.01
        assert result.p_count < 0.05
        assert result.findings()[0].verdict == "shown"

    def test_nothing_is_found_in_noise(self, materials, put_vectors):
        put_vectors(materials, torch.randn(12, 32, generator=torch.Generator().manual_seed(4)))
        result = measure(materials)
        low, high = result.mean_interval
        assert low <= 0 <= high
        assert result.p > 0.05
        assert result.p_count > 0.05
        assert result.findings()[0].verdict == "not shown"

    def test_what_stands_in_for_what_is_named(self, materials):
        result = measure(materials)
        pairs = [
            (emotion, expectation.emotions[0])
            for template in intensity_templates()
            for expectation in template.expects
            for emotion in set(EXPECTED[template.name]) & set(expectation.emotions)
        ]
        named = {f"{one} for {first}" for one, first in pairs if one != first}
        assert result.stand_ins == sorted(named)
        limits = [limit for limit in result.limits() if "stands in" in limit]
        assert len(limits) == bool(named)
        assert all(name in limit for limit in limits for name in named)
