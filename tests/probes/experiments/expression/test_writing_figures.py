"""Figures of expression steering hold what was measured; nothing is drawn without a dose."""

from dataclasses import replace

import pytest
import torch
from expressed_worlds import EMOTIONS

from probes import figures
from probes.experiments.expression.own_endings import SteeredEndings, compare_own
from probes.experiments.expression.writing import ExpressionSteering, WaySteering
from probes.experiments.expression.writing_figures import writing_figures
from probes.experiments.steering.dose_cost import Budget, Cost


@pytest.fixture
def result():
    noise = 0.05 * torch.randn(12, 12, generator=torch.Generator().manual_seed(0))
    control = SteeredEndings(noise.T, range(12), 6)
    changes = 0.3 * torch.eye(12) + noise
    effects = compare_own(changes, {"shuffled labels": control}, n_permutations=99, seed=0)
    pair = WaySteering(
        learned="said",
        written="shown",
        topics=["rain"],
        tokens_per_ending=20.0,
        costs=[Cost(0.05, 0.1, 1.1)],
        dose=0.05,
        effects=effects,
    )
    budget = Budget(1.0, 2.0)
    return ExpressionSteering(
        model="m", layer=1, emotions=EMOTIONS, budget=budget, n_texts=2, pairs=[pair]
    )


def test_bars_are_own_effects_beside_controls_and_those_of_each_emotion(result, tmp_path):
    [pair] = result.pairs
    drawn = writing_figures(result)
    bars, matrix = drawn.values()
    assert set(drawn) == {
        "expression_steering_said_shown",
        "expression_steering_said_shown_matrix",
    }
    heights = dict(zip(bars.categories, bars.totals, strict=True))
    assert heights["all said vectors"] == pair.effects.own.value
    assert heights["shuffled labels"] == pair.effects.controls[0].own.value
    assert [heights[name] for name in EMOTIONS] == list(pair.effects.by_emotion)
    each = bars.totals[2:]
    assert list(each) == sorted(each, reverse=True)
    assert bars.intervals[0] == pair.effects.own.ends
    assert matrix.values == tuple(map(tuple, pair.effects.matrix))
    assert "dose 0.05 " in matrix.subtitle and "1 ending of each" in bars.subtitle
    assert figures.draw_all(drawn, tmp_path)


def test_a_pair_without_a_usable_dose_is_not_drawn(result):
    [pair] = result.pairs
    assert writing_figures(replace(result, pairs=[replace(pair, dose=None, effects=None)])) == {}
