import subprocess
import sys

import pytest
import torch

from hooks.errors import DataError
from probes.vectors.normalize import inverse_sd, normalize


def test_direction_stays_and_length_is_one():
    torch.testing.assert_close(
        normalize(torch.tensor([[[3.0, 4.0], [0.0, -2.0]]])),
        torch.tensor([[[0.6, 0.8], [0.0, -1.0]]]),
    )


def test_each_dimension_gets_spread_one_and_what_never_varies_is_zero():
    rows = torch.tensor([[1.0, 5.0, -300.0], [3.0, 5.0, 300.0], [2.0, 5.0, 0.0]])
    scaled = rows * inverse_sd(rows)
    torch.testing.assert_close(scaled.std(dim=0), torch.tensor([1.0, 0.0, 1.0]).double())
    assert not scaled[:, 1].any()


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_vector_without_a_direction_is_an_error(value):
    with pytest.raises(DataError, match="zero or holds NaN"):
        normalize(torch.tensor([[1.0, 0.0], [value, 0.0]]))


def test_scores_are_made_without_importing_what_only_analysis_needs():
    code = (
        "import sys, probes.texts.scoring;print(*{'sklearn', 'scipy', 'pandas'} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == ""
