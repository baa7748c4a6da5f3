"""A run that is exported: found by its folder or its config, and what it holds."""

import json
import shutil

import pytest

from hooks.errors import DataError, InvalidInput
from probes.export.source import find_source


def test_a_run_is_found_by_its_folder_and_by_its_config(finished):
    by_folder, by_config = find_source(str(finished.folder)), find_source(str(finished.config))
    assert by_folder.root == by_config.root == finished.folder
    assert by_folder.vectors.emotions == by_config.vectors.emotions


def test_a_run_that_was_moved_is_read_where_it_is(finished, tmp_path):
    moved = shutil.copytree(finished.folder, tmp_path / "elsewhere")
    shutil.rmtree(finished.folder / "stories")
    source = find_source(str(moved))
    assert source.has("stories")
    assert len(list(source.texts("stories"))) == 18
    assert not find_source(str(finished.folder)).has("stories")


def test_texts_come_in_the_order_of_the_vectors_topics_and_indices(finished):
    source = find_source(str(finished.folder))
    rows = list(source.texts("stories"))
    keys = [(source.vectors.emotions.index(row["emotion"]), row["topic"]) for row in rows]
    assert keys == sorted(keys)
    assert [row["index"] for row in rows[:2]] == [0, 1]
    assert {row["emotion"] for row in source.texts("neutral")} == {None}


def test_a_name_that_is_no_run_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(InvalidInput, match="expected a run's folder .* or one of .*demo"):
        find_source("no-such-run")
    with pytest.raises(InvalidInput, match="Run the pipeline first: .* CONFIG"):
        (tmp_path / "vectors").mkdir()
        find_source(str(tmp_path))


def test_what_a_card_needs_is_missed_by_name_and_with_the_cure(finished):
    source = find_source(str(finished.config))
    (finished.folder / "run.json").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"has no run.json, .* python -m probes.run .*\.yaml"):
        _ = source.record


def test_a_file_that_holds_no_texts_is_named(finished):
    path = next(finished.folder.glob("neutral/*.json"))
    path.write_text(json.dumps({"topic": "rain"}))
    with pytest.raises(DataError, match=f"{path.name} is not a file of texts"):
        list(find_source(str(finished.folder)).texts("neutral"))
