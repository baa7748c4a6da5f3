"""Texts on disk: one file per cell, none outside the folder, damage named with its cure."""

import json

import pytest

from hooks.errors import DataError
from probes.corpus.cells import (
    Cell,
    Passage,
    Text,
    n_shared_topics,
    neutral_cells,
    read_cell,
    read_corpus,
    story_cells,
    write_cell,
)

HOSTILE = ["../../x", "/etc/passwd", "..", ".", "a/b", "a\\b", "con", "-rf", "x\0y", "é" * 300, "~"]


def content(*texts: str) -> dict:
    return {
        "texts": [{"index": index, "text": text} for index, text in enumerate(texts)],
        "rejected": [],
        "requested": max(1, len(texts)),
    }


def test_a_topic_is_shared_that_two_emotions_have():
    cells = [("sad", "a"), ("sad", "a"), ("happy", "a"), ("sad", "b"), ("happy", "c")]
    assert n_shared_topics(cells) == 1
    assert n_shared_topics([]) == 0


class TestCells:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_nothing_leads_outside_the_folder(self, tmp_path, name):
        root = tmp_path / "deep" / "run"
        for cell in (Cell(name, "a topic"), Cell("sad", name), Cell(None, name)):
            write_cell(root, cell, content("One."))
            assert read_cell(root, cell)["texts"][0]["text"] == "One."
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) == 3
        assert all(
            path.parts[len(root.parts)] in ("stories", "neutral") and root in path.parents
            for path in files
        )

    def test_names_that_differ_never_share_a_file(self):
        names = ["at ease", "at_ease", "At ease", "at-ease", *HOSTILE]
        cells = [Cell(emotion, topic) for emotion in names for topic in names]
        cells += [Cell(None, topic) for topic in names]
        assert len({str(cell.path).casefold() for cell in cells}) == len(cells)

    def test_every_emotion_meets_every_topic_once_topic_by_topic(self):
        cells = story_cells(["a", "b"], ["x", "y", "z"])
        assert [(cell.emotion, cell.topic) for cell in cells] == [
            ("a", "x"),
            ("b", "x"),
            ("a", "y"),
            ("b", "y"),
            ("a", "z"),
            ("b", "z"),
        ]
        assert neutral_cells(["x", "y"]) == [Cell(None, "x"), Cell(None, "y")]


class TestReading:
    def test_texts_come_in_the_order_of_the_cells(self, tmp_path):
        cells = story_cells(["b", "a"], ["y", "x"])
        for cell in reversed(cells):
            write_cell(tmp_path, cell, content(f"{cell.emotion}{cell.topic}0", "second"))
        texts = list(read_corpus(tmp_path, cells))
        assert texts[0] == Text("b", "y", 0, Passage("by0"))
        assert [text.text for text in texts[::2]] == ["by0", "ay0", "bx0", "ax0"]

    def test_a_missing_cell_is_an_error_not_a_gap(self, tmp_path):
        with pytest.raises(DataError, match="missing"):
            list(read_corpus(tmp_path, [Cell("sad", "x")]))

    def test_a_truncated_file_is_an_error_with_the_cure(self, tmp_path):
        cell = Cell("sad", "x")
        write_cell(tmp_path, cell, content("One.", "Two."))
        path = tmp_path / cell.path
        for size in range(0, path.stat().st_size - 2, 7):
            path.write_bytes(path.read_bytes()[:size] if size else b"")
            with pytest.raises(DataError, match="Delete it"):
                read_cell(tmp_path, cell)
            write_cell(tmp_path, cell, content("One.", "Two."))

    @pytest.mark.parametrize(
        "value",
        [
            [],
            "text",
            {"emotion": "sad", "topic": "x"},
            {"emotion": "sad", "topic": "x", "texts": None},
            {"emotion": "sad", "topic": "x", "texts": ["One."]},
            {"emotion": "sad", "topic": "x", "texts": [{"text": "One."}]},
            {"emotion": "sad", "topic": "x", "texts": []},
            {"emotion": "sad", "topic": "x", **content(" ")},
            {"emotion": "sad", "topic": "x", **content("One."), "requested": 0},
            {"emotion": "sad", "topic": "x", **content("One."), "rejected": 3},
            {"emotion": "happy", "topic": "x", **content("One.")},
            {"emotion": "sad", "topic": "y", **content("One.")},
        ],
    )
    def test_a_file_that_is_not_the_cells_own_is_an_error_with_the_cure(self, tmp_path, value):
        cell = Cell("sad", "x")
        path = tmp_path / cell.path
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
        with pytest.raises(DataError, match="Delete it and run the stage again") as caught:
            read_cell(tmp_path, cell)
        assert str(path) in str(caught.value)
