"""Sample size: vectors of planted emotions are reliable, those of noise are not."""

import math

import torch
from planted_runs import D_MODEL, N_LAYERS

from probes.experiments import find_experiment, to_json

EXPERIMENT = find_experiment("sample-size")


def noise_row(text, generator):
    return torch.randn(N_LAYERS, D_MODEL, generator=generator)


def test_reliable_vectors_need_no_more_stories(planted):
    measured = EXPERIMENT.measure(planted(strength=[2.0] * 4))
    assert measured.sizes == [1, 2, 3]
    assert measured.mean_reliability > 0.95
    needed = measured.needed["0.9"]
    assert needed.low <= needed.value <= (needed.high or math.inf)
    assert needed.value < 12
    assert not measured.limits()


def test_noise_is_said_to_need_more_than_there_is(planted):
    measured = EXPERIMENT.measure(planted(row=noise_row))
    assert measured.mean_reliability < 0.4
    assert "reliability" in measured.limits()[0]
    figures = EXPERIMENT.read(to_json(measured)).figures()
    lines = figures["sample_size"].panels[0].lines
    assert [line.name for line in lines] == ["same emotion", "different emotions"]
    low, high = measured.mean_reliability_interval
    assert 0.0 <= low <= measured.mean_reliability <= high <= 1.0
    assert measured.findings()[1].name == "stories needed, on more topics at 2.0 a topic"
    assert len(figures["reliability_by_emotion"].intervals) == 8
    [part] = figures["reliability_by_emotion"].parts
    assert list(part.values) == sorted(measured.reliability.values())


def test_row_and_paragraph_name_the_same_reliability(planted):
    measured = EXPERIMENT.measure(planted(row=noise_row))
    reliability, needed = measured.findings()
    for text in (reliability.line, measured.paragraph()):
        assert f"{measured.mean:.2f}" in text
    for wanted, stories in measured.needed.items():
        assert f"for {wanted}: {stories}" in needed.line
        assert f"{wanted} would take {stories}" in measured.paragraph()
