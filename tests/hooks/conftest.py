"""What the tests of reading and writing within a machine's memory share."""

import pytest

from hooks import memory


@pytest.fixture
def model(tiny_model):
    """A tiny model; what ran out of memory before and here is no limit for the next test."""
    model = tiny_model("llama", "huggingface")
    memory._LIMITS.pop(model, None)
    yield model
    memory._LIMITS.pop(model, None)
