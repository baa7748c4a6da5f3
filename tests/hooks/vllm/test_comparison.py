"""The comparison of vLLM with our hooks passes what agrees and names what is missing."""

import math
from dataclasses import replace

import pytest
import torch

from hooks.models.structure import relative_differences
from hooks.vllm.comparison import compare, limit
from hooks.vllm.engine import VllmOptions


def test_differences_are_of_each_layers_largest_entry():
    expected = torch.tensor([[[1.0, -2.0]], [[10.0, 0.0]]])
    got = expected.clone()
    got[0, 0, 0], got[1, 0, 1] = 1.5, -1.0
    assert relative_differences(got, expected).tolist() == [0.25, pytest.approx(0.1)]
    got[1, 0, 0] = torch.nan
    assert math.isnan(relative_differences(got, expected).max())


def test_the_limit_is_the_dtypes():
    assert limit(torch.float32) == 1e-3
    assert limit(torch.bfloat16) == 3e-2


def test_a_missing_environment_is_a_failed_check_with_its_cure():
    diagnosis = compare("gpt2", VllmOptions("no-such-python"))
    assert not diagnosis.ok
    [check] = diagnosis.checks
    assert (check.name, "make vllm" in check.detail) == ("environment", True)


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_model_in_both_agrees(settings, tiny_folder):
    diagnosis = compare(str(tiny_folder("llama for vllm")), replace(settings, options={}))
    assert diagnosis.ok
    assert [check.name for check in diagnosis.checks] == [
        "environment",
        "hidden states",
        "log-probabilities",
    ]
    assert "by layer" in diagnosis.checks[1].detail
