"""Errors of the project share a root, and keep the standard base that callers catch."""

import pytest

from hooks import errors


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.InvalidInput, ValueError),
        (errors.ModelError, RuntimeError),
        (errors.DataError, ValueError),
        (errors.StaleArtifact, RuntimeError),
    ],
)
def test_each_kind_is_caught_by_the_root_and_by_its_standard_base(kind, base):
    for caught in (errors.EmotionLensError, base):
        with pytest.raises(caught, match="what came"):
            raise kind("what came")
