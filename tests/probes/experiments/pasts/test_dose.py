"""Dose: a planted slope is seen with its size, that of numbers alone is not credited."""

import json
import math

import numpy as np
import pytest
import torch
from planted_pasts import planted_pasts
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, to_json
from probes.experiments.pasts.dose import EXPERIMENT, log_slopes, measure, weights
from probes.stimuli.pasts import dose_templates

TEMPLATES = dose_templates()
STRENGTH = 0.05


def planted(materials, forms):
    """Measure where each e-fold of the number adds a vector; also returns expected slopes."""
    bundle = materials.vectors
    at = bundle.layer_index(materials.layer)
    unit = bundle.vectors[at].double()
    toward = weights(TEMPLATES, materials.emotions) @ unit
    beginnings, expected = {}, {}
    for it, vector in zip(TEMPLATES, toward, strict=True):
        expected[it.id] = STRENGTH * float(vector.square().sum())
        for form in forms:
            for number in it.numbers:
                text = getattr(it, form).replace("{number}", str(number))
                each = STRENGTH * bundle.residual_norm[at] * math.log(number) * vector
                beginnings[text] = each.float()
    with planted_pasts(materials.subject(), beginnings, layer=materials.layer):
        return measure(materials), expected


@pytest.fixture
def plain(materials):
    return measure(materials)


@pytest.fixture
def graded(materials):
    return planted(materials, ["text"])


def test_a_slope_is_shown_with_its_size_and_the_numbers_alone_have_none(plain, graded):
    result, expected = graded
    for it, before in zip(result.templates, plain.templates, strict=True):
        assert it.slope - before.slope == pytest.approx(expected[it.id], rel=1e-3)
        assert it.control == pytest.approx(before.control, abs=1e-5)
        assert it.rank > 0.9
    assert result.gain.value == pytest.approx(result.slope.value - result.control.value)
    assert result.n_expected == len(result.templates)
    assert result.p_flips == 2 ** -len(result.templates)
    assert result.renamed.p <= 0.01
    assert result.shuffled.p <= 0.01
    [finding] = result.findings()
    assert finding.verdict == "shown"
    at = list(result.layers).index(result.layer)
    assert result.by_layer[at] == result.slope
    assert result.control_by_layer[at] == result.control
    below = plain.by_layer[0].value  # where nothing was planted
    assert result.by_layer[0].value == pytest.approx(below, abs=1e-6)


def test_a_slope_that_numbers_alone_have_too_gains_nothing(materials):
    result, _ = planted(materials, ["text", "control"])
    [finding] = result.findings()
    assert result.largest_p[0] < 0.05
    assert not result.gain.above_zero
    assert finding.verdict == "shown in part"


def test_nothing_planted_is_not_shown(plain):
    """The vectors are random: what the tiny model does after a number lies along none of them."""
    [finding] = plain.findings()
    assert finding.verdict == "not shown"
    assert plain.largest_p[0] > 0.05


def test_line_paragraph_figures_and_json_say_the_same(graded):
    result, _ = graded
    [finding] = result.findings()
    for text in (finding.line, result.paragraph()):
        for number in (result.slope, result.control, result.gain):
            assert f"{1000 * number.value:+.2f}" in text
        assert f"{result.rank.value:+.2f}" in text
    heatmap = result.figures()["dose"]
    means = torch.tensor(heatmap.values).mean(dim=0).tolist()
    assert means == pytest.approx([1000 * result.slope.value, 1000 * result.control.value])
    assert f"{result.n_expected} of {len(result.templates)}" in heatmap.caption
    [panel] = result.figures()["dose_by_layer"].panels
    at = panel.lines[0].x.index(result.layer)
    assert [line.y[at] for line in panel.lines] == pytest.approx(means)
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result


def test_texts_whose_emotions_the_run_lacks_are_left_out_and_said(plain, materials):
    has = [
        it.id
        for it in TEMPLATES
        if all(set(names) & set(materials.emotions) for names in (it.rises, it.falls))
    ]
    assert [it.id for it in plain.templates] == has
    assert set(plain.left_out) == {it.id for it in TEMPLATES} - set(has)
    [limit] = plain.limits()
    assert f"{len(has)} of 12 texts" in limit


def test_too_few_texts_say_so(reading_run):
    run = reading_run(corpus={"emotions": ["happy", "sad", "angry"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    result = measure(materials_of(run))
    assert isinstance(result, NotMeasured)
    assert "has 1" in result.paragraph()


def test_slopes_are_those_of_least_squares():
    numbers = [it.numbers for it in TEMPLATES]
    values = torch.randn(2, 12, 10, 3, generator=torch.Generator().manual_seed(0))
    slopes = log_slopes(values, numbers)
    for form in range(2):
        for row, its in enumerate(numbers):
            fitted = np.polyfit(np.log(its), values[form, row].double().numpy(), 1)[0]
            assert slopes[form, row].tolist() == pytest.approx(fitted.tolist())


def test_weights_are_rises_less_falls():
    emotions = ["afraid", "alarmed", "calm", "proud"]
    stings, *_ = weights(TEMPLATES, emotions)
    assert TEMPLATES[0].id == "stings"
    assert stings.tolist() == [0.5, 0.5, -1.0, 0.0]
    none = weights(TEMPLATES, ["afraid", "alarmed"])
    assert not none.any()
