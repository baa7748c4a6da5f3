"""Binding: a planted fate of the mentioned one is seen with its size, that told last is not."""

import json

import pytest
import torch
from planted_pasts import planted_pasts
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, to_json
from probes.experiments.pasts.axes import has_axis, ratings_of, valence_axes
from probes.experiments.pasts.binding import EXPERIMENT, measure
from probes.experiments.pasts.crossed import versions
from probes.stimuli.pasts import binding_scenes

SCENES = binding_scenes()
STRENGTH = 0.1


def pleasant(materials):
    """``pleasant(scene)``: along the scene's valence axis, in the target layer's stream."""
    bundle, emotions = materials.vectors, materials.emotions
    at = bundle.layer_index(materials.layer)

    def vector(scene):
        rest = ratings_of(emotions, {name for names in scene.implies.values() for name in names})
        axes = valence_axes(bundle.vectors, rest if has_axis(rest) else ratings_of(emotions))
        return STRENGTH * bundle.residual_norm[at] * axes[at]

    return vector


def planted(materials, of, vector):
    """Measure where ``of(last, mentioned)`` times a vector follows the names; 1 is lucky."""
    beginnings = {}
    for scene in SCENES:
        tail = scene.mention.partition("{name}")[2]
        for number, text in enumerate(versions(scene)):
            last, mentioned = ((1, -1)[number // size % 2] for size in (2, 1))
            beginnings[text.removesuffix(tail)] = of(last, mentioned) * vector(scene) / 2
    with planted_pasts(materials.subject(), beginnings, layer=materials.layer):
        return measure(materials)


@pytest.fixture
def plain(materials):
    return measure(materials)


@pytest.fixture
def bound(materials):
    return planted(materials, lambda _last, mentioned: mentioned, pleasant(materials))


def test_a_fate_that_follows_the_name_is_shown_with_its_size(plain, bound):
    for scene, effect in bound.effects.items():
        assert effect - plain.effects[scene] == pytest.approx(STRENGTH, rel=1e-3)
    assert bound.recency.value == pytest.approx(plain.recency.value, abs=1e-4)
    assert bound.names.value == pytest.approx(plain.names.value, abs=1e-4)
    assert bound.n_positive == bound.n_scenes == len(SCENES)
    assert bound.p_shuffled <= 0.001
    valence, *_ = bound.findings()
    assert valence.verdict == "shown"
    at = [it.layer for it in bound.by_layer].index(bound.layer)
    assert bound.by_layer[at].binding == bound.binding
    assert bound.binding.value > bound.by_layer[at].null_upper
    below = plain.by_layer[0].binding.value  # where nothing was planted
    assert bound.by_layer[0].binding.value == pytest.approx(below, abs=1e-6)


def test_the_fate_told_last_is_recency_and_no_binding(materials, plain):
    result = planted(materials, lambda last, _mentioned: last, pleasant(materials))
    assert result.recency.value - plain.recency.value == pytest.approx(STRENGTH, rel=1e-3)
    assert result.binding.value == pytest.approx(plain.binding.value, abs=1e-4)
    assert not result.over_recency.above_zero
    valence, *_ = result.findings()
    assert valence.verdict == "not shown"
    assert f"{1000 * result.recency.value:+.2f}" in valence.line


def test_the_own_emotion_is_found_among_those_of_its_side(materials):
    bundle, emotions = materials.vectors, materials.emotions
    at = bundle.layer_index(materials.layer)

    def own(scene):
        """Toward the first of the lucky emotions that the run has, away from the unlucky one's."""
        ends = [
            [bundle.vectors[at, emotions.index(name)] for name in names if name in emotions]
            for names in (scene.implies["lucky"], scene.implies["unlucky"])
        ]
        if not all(ends):
            return torch.zeros(bundle.vectors.shape[-1])
        lucky, unlucky = (torch.stack(each).mean(dim=0) for each in ends)
        return 4 * STRENGTH * bundle.residual_norm[at] * (lucky - unlucky)

    result = planted(materials, lambda _last, mentioned: mentioned, own)
    _, own_above, place = result.findings()
    assert (own_above.verdict, place.verdict) == ("shown", "shown")
    assert result.emotion.place.value > 0.85
    assert result.emotion.p <= 0.001


def test_nothing_planted_is_not_shown(plain):
    """The vectors are random: what the tiny model does after a name lies along none of them."""
    assert [it.verdict for it in plain.findings()] == ["not shown"] * 3


def test_line_paragraph_figure_and_json_say_the_same(bound):
    valence, own, _ = bound.findings()
    for text in (valence.line, bound.paragraph()):
        assert f"{1000 * bound.binding.value:+.2f}" in text
        assert f"{1000 * bound.recency.value:+.2f}" in text
        assert f"{bound.n_positive} of {bound.n_scenes} scenes" in text
    for text in (own.line, bound.paragraph()):
        assert f"{1000 * bound.emotion.own.value:+.2f}" in text
    [panel] = bound.figures()["binding"].panels
    at = panel.lines[0].x.index(bound.layer)
    for line, estimate in zip(panel.lines, (bound.binding, bound.recency), strict=False):
        assert line.y[at] == pytest.approx(1000 * estimate.value)
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(bound)))) == bound


def test_too_few_rated_emotions_say_so(reading_run):
    run = reading_run(corpus={"emotions": ["smug", "vigilant", "sad"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    result = measure(materials_of(run))
    assert isinstance(result, NotMeasured)
    assert "rated emotions" in result.paragraph()
