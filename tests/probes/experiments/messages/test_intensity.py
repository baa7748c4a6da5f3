"""Intensity: planted trends with a number are seen, those of numbers alone are not credited."""

import json

import pytest
import torch
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, to_json
from probes.experiments.messages.intensity import EXPERIMENT, measure
from probes.experiments.messages.reading import read_messages
from probes.stimuli import intensity_templates

TEMPLATES = intensity_templates()
N = sum(len(template.expects) for template in TEMPLATES)
EMOTIONS = [
    *("afraid", "calm", "desperate", "sad", "peaceful", "optimistic", "nervous", "hopeful"),
    *("proud", "worried", "relieved", "grateful", "bitter", "lonely", "happy", "annoyed"),
    *("patient", "angry"),
]
"""Emotions of a run that meet every expectation, each of them three at most."""


def chosen(emotions):
    """Yield template, expectation and the emotion that stands for it."""
    for template in TEMPLATES:
        for expectation in template.expects:
            [first, *_] = [name for name in expectation.emotions if name in emotions]
            yield template, expectation, first


def test_line_paragraph_and_figure_say_the_same(materials):
    result = measure(materials)
    [finding] = result.findings()
    for text in (finding.line, result.paragraph()):
        assert f"{result.estimate.value:+.2f}" in text and f"{result.gain.value:+.2f}" in text
    for text in (finding.line, result.figures()["intensity"].caption):
        assert f"{result.n_expected} of {result.n} " in text
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result


def test_fewer_expectations_than_the_papers_are_scaled_to_its_twelve(materials):
    result = measure(materials)
    number = result.paper_numbers()["intensity.expected_signs"]
    assert result.n < N and number.n == result.n
    assert ("scaled to 12" in number.note) == (result.n != 12)
    assert number.value == pytest.approx(12 * result.n_expected / result.n)
    assert number.interval[0] <= number.value <= number.interval[1] <= 12


def test_labels_are_shuffled_as_often_as_the_config_says(finished):
    few, many = (measure(materials_of(finished, validation__n_refits=n)) for n in (5, 20))
    assert (few.shuffled.n, many.shuffled.n) == (5, 20)
    assert few.gain == many.gain


def test_a_run_that_lacks_all_emotions_says_so(of):
    result = measure(of(["smug", "vigilant"]))
    assert isinstance(result, NotMeasured)
    assert len(to_json(result)["limits"]) == 1 and result.figures() == {}


class TestAllExpectations:
    @pytest.fixture
    def materials(self, of):
        return of(EMOTIONS)

    def test_vectors_along_which_the_numbers_rise_are_found_and_no_number_alone(
        self, materials, put_vectors
    ):
        bundle = materials.vectors
        mean = bundle.global_mean[bundle.layer_index(materials.layer)].double()
        steps = torch.arange(10.0, dtype=torch.float64) - 4.5
        own = bundle.at(materials.layer).clone()
        wanted = {}
        for template, expectation, emotion in chosen(EMOTIONS):
            texts = [template.text.format(number=number) for number in template.numbers]
            residual = read_messages(materials.subject(), texts, materials.layer).double() - mean
            level = residual / residual.norm(dim=1, keepdim=True)
            wanted.setdefault(emotion, []).append((level, expectation.sign * steps))
        for emotion, parts in wanted.items():
            level, rising = (torch.cat(each) for each in zip(*parts, strict=True))
            solved = torch.linalg.lstsq(level, rising[:, None]).solution[:, 0]
            own[materials.emotions.index(emotion)] = solved.float()
        put_vectors(materials, own)
        result = measure(materials)
        asked = [(row.template, row.emotion) for row in result.expectations]
        assert asked == [(template.name, first) for template, _, first in chosen(EMOTIONS)]
        assert result.trend == pytest.approx([1.0] * N, abs=0.05)
        assert result.n_expected == result.n == result.n_asked == N
        assert result.gain.low > 0.3
        assert result.renamed.p < 0.01
        assert result.renamed.p_count < 0.05
        assert result.p_flips < 0.001
        assert result.findings()[0].verdict == "shown"

    def test_nothing_is_found_in_noise(self, materials, put_vectors):
        put_vectors(
            materials, torch.randn(len(EMOTIONS), 32, generator=torch.Generator().manual_seed(4))
        )
        result = measure(materials)
        low, high = result.estimate.ends
        assert low <= 0 <= high
        assert result.largest_p[0] > 0.05
        assert result.renamed.p_count > 0.05
        assert result.findings()[0].verdict == "not shown"

    def test_what_stands_in_for_what_is_named(self, materials):
        result = measure(materials)
        pairs = [(first, asked.emotions[0]) for _, asked, first in chosen(EMOTIONS)]
        named = {f"{one} for {first}" for one, first in pairs if one != first}
        assert result.stand_ins == sorted(named)
        limits = [limit for limit in result.limits() if "stands in" in limit]
        assert len(limits) == bool(named)
        assert all(name in limit for limit in limits for name in named)
