"""A run whose activations are the tiny model's own, so that the subject matches."""

import pytest
from planted_runs import materials


@pytest.fixture(scope="session")
def real(finished_original):
    return materials(
        finished_original,
        validation__n_permutations=20,
        validation__n_refits=6,
        validation__n_folds=3,
        validation__sensitivity_texts=9,
    )
