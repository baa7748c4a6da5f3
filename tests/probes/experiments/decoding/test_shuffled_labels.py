"""What shuffled labels reach: rows are judged where the other folds chose, nulls alike."""

import pytest
import torch

from probes.analysis.held_out import Design
from probes.experiments.decoding.shuffled_labels import Null, at_chosen_layers, nested_null

DESIGN = Design(
    emotion=torch.tensor([0, 1, 0, 1]),
    topic=torch.tensor([0, 0, 1, 1]),
    weight=torch.ones(4, dtype=torch.long),
    fold_of_topic=torch.tensor([0, 1]),
    n_emotions=2,
)
HITS = torch.tensor([[True, False, False, False], [False, False, True, True]])
INNER = torch.tensor([[[0.0, 2.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])
"""Fold 0 chooses layer 0 by fold 1, fold 1 chooses layer 1 by fold 0."""


def test_rows_are_judged_at_the_layer_that_the_other_folds_chose():
    assert at_chosen_layers(HITS, INNER, DESIGN).tolist() == [True, False, True, True]


def test_the_nested_null_is_the_share_of_right_rows_of_each_permutation():
    hits = torch.stack([HITS, ~HITS], dim=1)
    null = nested_null(hits, torch.stack([INNER, INNER], dim=1), DESIGN)
    assert null.tolist() == [0.75, 0.25]


def test_a_null_says_its_mean_its_upper_end_and_how_often_it_reaches_what_was_observed():
    null = Null.of(0.5, torch.linspace(0, 0.38, 20, dtype=torch.float64))
    assert (null.n, null.p) == (20, pytest.approx(1 / 21))
    assert null.mean == pytest.approx(0.19)
    assert 0.35 < null.upper < 0.38
    assert Null.of(0.1, torch.full((9,), 0.2)).p == 1.0
