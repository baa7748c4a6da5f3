"""Negation: a planted denial is seen, a model that does not care for "not" is told so."""

import json

import pytest
import torch
from planted_pasts import planted_pasts

from probes.corpus.reference import phrase_of
from probes.experiments import to_json
from probes.experiments.pasts.negation import EXPERIMENT, measure
from probes.stimuli.pasts import negations


def _planted(materials, *, affirmed, negated, filled):
    """How much of an emotion's vector follows each kind of frame, in mean residual norms."""
    bundle = materials.vectors
    norm, planted = float(bundle.residual_norm[-1]), {}
    for frame in negations():
        for number, emotion in enumerate(materials.emotions):
            feel = phrase_of(emotion)["feel"]
            vector = norm * bundle[emotion][-1]
            filler = frame.fillers[number % len(frame.fillers)]
            for text, size in (
                (frame.affirmed(feel), affirmed),
                (frame.negated(feel), negated),
                (frame.filled(filler, feel), filled),
            ):
                beginning = text[: text.rindex(feel) + len(feel)]
                planted[beginning] = size * vector
    return planted


@pytest.fixture
def measured(materials):
    model = materials.subject()

    def measure_planted(**sizes):
        with planted_pasts(model, _planted(materials, **sizes), layer=model.n_layers - 1):
            return measure(materials)

    return measure_planted


def test_a_planted_denial_is_shown_with_its_size(materials, measured):
    plain, result = measure(materials), measured(affirmed=0.5, negated=0.0, filled=0.5)
    [finding] = result.findings()
    assert finding.verdict == "shown"
    assert result.n_right == len(materials.emotions)
    at = list(result.layers).index(result.layer)
    gained = result.drop[at].value - plain.drop[at].value
    own = torch.stack([materials.vectors[name][-1] for name in materials.emotions])
    others = (own @ own.T).fill_diagonal_(0).sum() / len(own) / (len(own) - 1)
    assert gained == pytest.approx(0.5 * (1 - float(others)), rel=0.05)
    assert abs(result.filler_drop[at].value - plain.filler_drop[at].value) < 0.01


def test_what_any_adverb_does_is_no_denial(measured):
    result = measured(affirmed=0.5, negated=0.0, filled=0.0)
    [finding] = result.findings()
    assert finding.verdict == "shown in part"


def test_nothing_planted_is_not_shown(materials):
    [finding] = measure(materials).findings()
    assert finding.verdict == "not shown"


def test_line_paragraph_figure_and_json_say_the_same(measured):
    result = measured(affirmed=0.5, negated=0.0, filled=0.5)
    [finding] = result.findings()
    at = list(result.layers).index(result.layer)
    number = f"{1000 * result.drop[at].value:+.1f}"
    assert number in finding.line and number in result.paragraph()
    assert f"{result.n_right} of {len(result.by_emotion)}" in result.paragraph()
    [lines] = result.figures().values()
    assert lines.panels[0].lines[0].y[at] == pytest.approx(1000 * result.drop[at].value)
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result
