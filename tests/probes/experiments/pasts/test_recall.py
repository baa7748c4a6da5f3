"""Recall: shares of an effect that are left, and words for them."""

import json

import pytest
import torch
from planted_runs import materials as materials_of

from probes.analysis.findings import Estimate
from probes.experiments import NotMeasured, to_json
from probes.experiments.pasts import recall
from probes.experiments.pasts.knockouts import CONDITIONS, OPEN, OTHER, READ
from probes.experiments.pasts.recall import EXPERIMENT, _cut, _family, measure


def _effects(left, other, n=12):
    """Made-up effects of pairs: 1 with nothing blocked, at one layer."""
    noise = 0.05 * torch.randn(n, 1, generator=torch.Generator().manual_seed(0)).double()
    size = dict.fromkeys(CONDITIONS, 0.0) | {OPEN: 1.0, READ: left, OTHER: other}
    return {name: value * (1 + noise) for name, value in size.items()}


def test_what_is_left_and_lost_adds_up():
    family = _family("turns", _effects(0.25, 0.9), 0, seed=0)
    assert family.left.value == pytest.approx(0.25)
    assert family.left_other.value == pytest.approx(0.9)
    assert family.lost.value == pytest.approx(0.75, rel=0.1)
    assert family.lost_over_other.above_zero


def test_without_an_effect_there_is_no_share():
    effects = {name: torch.tensor([[1.0], [-1.0], [0.5], [-0.5]]).double() for name in CONDITIONS}
    family = _family("turns", effects, 0, seed=0)
    assert family.left is None and family.left_other is None


def test_windows_cover_all_layers_once():
    for n_layers in (4, 18, 30):
        covered = [layer for first, last in _cut(n_layers) for layer in range(first, last + 1)]
        assert covered == list(range(n_layers))


@pytest.fixture(scope="module")
def measured(with_closings):
    """Of a few cases of each kind."""
    few = {"turns": 4, "closings": 3, "denials": 6, "doses": 3}
    with pytest.MonkeyPatch.context() as patch:
        for name, n in few.items():
            cases = getattr(recall, name)
            patch.setattr(recall, name, lambda it, cases=cases, n=n: cases(it)[:n])
        return measure(with_closings)


def test_families_are_those_of_the_run(measured):
    assert [it.name for it in measured.families] == [
        "good and bad turns",
        "closings",
        "denials",
        "numbers",
    ]


def test_json_and_figures(measured):
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(measured)))) == measured
    drawn = measured.figures()
    assert "recall_windows" in drawn and len(drawn) == 1 + len(measured.families)


def test_words_say_the_numbers(measured):
    family = _family("good and bad turns", _effects(0.25, 0.9), 0, seed=0)
    result = type(measured)(**{**vars(measured), "families": [family]})
    carried, recalled = result.findings()
    assert carried.verdict == recalled.verdict == "shown"
    assert f"{Estimate(family.left.value):.0%}" in result.paragraph()
    assert f"{family.left.value:.0%}" in carried.line
    nothing = _family("good and bad turns", _effects(0.0, 1.0), 0, seed=0)
    carried, recalled = type(measured)(**{**vars(measured), "families": [nothing]}).findings()
    assert (carried.verdict, recalled.verdict) == ("not shown", "shown")


def test_too_few_rated_emotions_say_so(reading_run):
    run = reading_run(corpus={"emotions": ["smug", "vigilant", "sad"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    assert isinstance(measure(materials_of(run)), NotMeasured)
