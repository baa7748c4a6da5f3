"""Numbers on their way to a tracker, and a tracker that is not there."""

import sys

import pytest

from hooks.errors import InvalidInput
from probes.export.tracking import flat_numbers, send


def test_numbers_keep_their_place_and_words_stay_out():
    values = {"a": {"b": 1, "c": "word"}, "done": True, "r": 0.5, "rows": [1, 2]}
    assert flat_numbers(values) == {"a/b": 1.0, "r": 0.5}


def test_without_the_tracker_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python has it after a failed import
    with pytest.raises(InvalidInput, match=r'pip install "emotion-lens\[tracking\]"'):
        send(tmp_path, "name", "project", "offline", {}, {"r": 0.5})
    assert list(tmp_path.iterdir()) == []
