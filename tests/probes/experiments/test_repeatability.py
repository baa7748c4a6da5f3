"""An experiment measured twice with the same seed gives the same numbers, bit for bit."""

import json

import pytest
from planted_runs import materials

from probes.experiments import NAMES, find_experiment, to_json

SLOW = {"steering", "steering-dose-response", "free-text", "sensitivity"}
"""Those that run the model many times; the last reads texts again."""


def numbers(made, name):
    """All that an experiment leaves, as its file would hold it."""
    given = materials(
        made,
        validation__n_folds=3,
        validation__n_permutations=20,
        validation__n_refits=5,
        validation__preference_pairs=96,
        validation__preference_steered_pairs=2,
    )
    return json.loads(json.dumps(to_json(find_experiment(name).measure(given))))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW])
def test_the_same_seed_gives_the_same_numbers(finished_original, name):
    assert numbers(finished_original, name) == numbers(finished_original, name)
