"""Same words: a planted past is seen with its size, none is seen where there is none."""

import json

import pytest
import torch
from planted_pasts import planted_pasts
from planted_runs import materials as materials_of

from probes.experiments import NotMeasured, to_json
from probes.experiments.pasts.same_words import EXPERIMENT, first_lasting, measure
from probes.stimuli.pasts import same_words


def _along_valence(materials, strength):
    """Good turns move the stream toward pleasant emotions' vectors, bad ones away from them."""
    bundle, emotions = materials.vectors, materials.emotions
    norm = float(bundle.residual_norm[-1])
    pleasant = bundle.vectors[-1, : len(emotions) // 2].mean(dim=0)
    unpleasant = bundle.vectors[-1, len(emotions) // 2 :].mean(dim=0)
    vector = strength * norm * (pleasant - unpleasant)
    planted = {}
    for pair in same_words().pairs:
        planted[pair.good.replace("{name}", pair.names[0])] = vector
        planted[pair.bad.replace("{name}", pair.names[0])] = -vector
    return planted


@pytest.fixture
def planted(materials):
    model = materials.subject()
    with planted_pasts(model, _along_valence(materials, 0.3), layer=model.n_layers - 1):
        return measure(materials)


def test_a_planted_past_is_shown(planted):
    valence, *_ = planted.findings()
    assert valence.verdict == "shown"
    assert planted.n_positive == planted.n_pairs == len(same_words().pairs)
    assert set(planted.nulls) == {
        "axes of shuffled ratings",
        "random directions",
        "means of as many neutral turns",
        "means of as many other names",
    }
    assert max(it.p for it in planted.nulls.values()) < 0.05
    assert planted.nulls["axes of shuffled ratings"].p < 0.005
    assert planted.begins == planted.layers[-1]


def test_nothing_planted_is_not_shown(materials):
    """The vectors are random: what the tiny model does with a past lies along none of them."""
    result = measure(materials)
    valence, *_ = result.findings()
    assert valence.verdict == "not shown"
    assert result.begins is None


def test_line_paragraph_and_json_say_the_same(planted):
    number = f"{1000 * planted.effect.value:+.1f}"
    valence, *_ = planted.findings()
    assert number in valence.line
    assert number in planted.paragraph()
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(planted)))) == planted
    assert list(planted.figures()) == ["same_words_by_token", "same_words_by_layer"]


def test_too_few_rated_emotions_say_so(reading_run):
    run = reading_run(corpus={"emotions": ["smug", "vigilant", "sad"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    result = measure(materials_of(run))
    assert isinstance(result, NotMeasured)
    assert "rated emotions" in result.paragraph()


def test_an_effect_begins_where_it_stays():
    null = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
    late = torch.tensor([9.0, 0.0, 9.0, 9.0])
    assert first_lasting(late, null, [3, 6, 9, 12]) == 9
    assert first_lasting(torch.zeros(4), null, [3, 6, 9, 12]) is None
