"""One rule says where a stage stands, from what was recorded and what is there now."""

from dataclasses import replace

import pytest

from hooks.errors import DataError
from probes.runs.record import StageRecord, changes, read, refusals, state

SETTINGS = {"generation": {"max_attempts": 3}, "model": {"dtype": "auto"}, "seed": 0}
INPUTS = {"generate-stories": "0" * 16}
BEGUN = StageRecord(SETTINGS, INPUTS)
DONE = replace(BEGUN, complete=True, counts={"files": 2})


def with_attempts(n):
    return {**SETTINGS, "generation": {"max_attempts": n}}


@pytest.mark.parametrize(
    ("record", "settings", "inputs", "n_files", "expected"),
    [
        (None, SETTINGS, INPUTS, 0, "missing"),
        (BEGUN, SETTINGS, INPUTS, 2, "begun"),
        (DONE, SETTINGS, INPUTS, 2, "done"),
        (DONE, SETTINGS, INPUTS, 1, "begun"),
        (DONE, {**SETTINGS, "seed": 1}, INPUTS, 2, "stale"),
        (DONE, SETTINGS, {"generate-stories": "1" * 16}, 2, "stale"),
        (DONE, SETTINGS, None, 2, "stale"),
        (DONE, with_attempts(4), INPUTS, 2, "begun"),
        (DONE, with_attempts(2), INPUTS, 2, "stale"),
    ],
)
def test_a_stage_stands_where_record_settings_inputs_and_files_put_it(
    record, settings, inputs, n_files, expected
):
    assert state(record, settings, inputs, n_files) == expected


def test_what_auto_was_resolved_to_is_no_change():
    pinned = replace(DONE, model={"dtype": "float32"})
    resolved = {**SETTINGS, "model": {"dtype": "float32"}}
    assert changes(pinned, resolved) == []
    assert [it.key for it in changes(pinned, {**SETTINGS, "model": {"dtype": "bfloat16"}})] == [
        "model.dtype"
    ]


@pytest.mark.parametrize("before", [[0.05, 0.1], None, "auto"])
def test_a_setting_that_is_a_list_is_compared_as_any_other(before):
    begun = replace(DONE, settings={**SETTINGS, "doses": before})
    now = {**SETTINGS, "doses": [0.1]}
    assert [(it.key, it.before, it.now) for it in changes(begun, now)] == [("doses", before, [0.1])]
    assert state(begun, now, INPUTS, 2) == "stale"


def test_a_refusal_lists_settings_and_inputs():
    refused = refusals(DONE, {**SETTINGS, "seed": 1}, {"generate-stories": "1" * 16})
    assert [it.key for it in refused] == ["seed", "input.generate-stories"]


def test_a_stage_in_which_parts_failed_has_ended_and_is_not_complete():
    ended = replace(BEGUN, counts={"failed": {"steering": "why"}})
    assert ended.has_ended
    assert not ended.complete
    assert ended.failed == {"steering": "why"}
    assert not BEGUN.has_ended


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "stage.json"
    assert read(path) is None
    known = replace(DONE, batch_tokens=2048, seconds=1.5, output_digest="d", stamp="s")
    known.write(path)
    assert read(path) == known


def test_what_is_no_record_is_named(tmp_path):
    (tmp_path / "stage.json").write_text("[]")
    with pytest.raises(DataError, match=r"stage\.json: expected what this project writes there"):
        read(tmp_path / "stage.json")
