"""Texts on disk: one file per cell, none outside the folder, damage named with its cure."""

import json

import pytest

from hooks.errors import DataError, InvalidInput
from probes.corpus.cells import (
    Cell,
    Text,
    neutral_cells,
    read_cell,
    read_corpus,
    read_jsonl,
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
        assert texts[0] == Text("b", "y", 0, "by0")
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


class TestJsonLines:
    def read(self, tmp_path, lines: bytes, emotion: bool = True):
        path = tmp_path / "own.jsonl"
        path.write_bytes(lines)
        return read_jsonl(str(path), emotion=emotion)

    def test_cells_come_in_the_files_order_and_blank_lines_do_not_count(self, tmp_path):
        rows = [("sad", "x", "One."), ("glad", "x", "Two."), ("sad", "x", "Thrée.")]
        lines = [json.dumps({"emotion": e, "topic": t, "text": s}) for e, t, s in rows]
        texts = self.read(tmp_path, "\n\n".join(lines).encode())
        assert texts == {Cell("sad", "x"): ["One.", "Thrée."], Cell("glad", "x"): ["Two."]}
        assert list(texts) == [Cell("sad", "x"), Cell("glad", "x")]

    def test_texts_stay_in_the_file_until_their_cell_is_wanted(self, tmp_path):
        lines = [b'{"topic": "x", "text": "One."}', b'{"topic": "y", "text": "Two."}']
        texts = self.read(tmp_path, b"\n".join(lines), emotion=False)
        assert [texts.count(cell) for cell in texts] == [1, 1]
        (tmp_path / "own.jsonl").write_bytes(b"\n".join(reversed(lines)))
        with pytest.raises(DataError, match=r"own\.jsonl was changed while it was used"):
            texts[Cell(None, "x")]

    def test_neutral_text_needs_no_emotion(self, tmp_path):
        texts = self.read(tmp_path, b'{"topic": "x", "text": "One."}', emotion=False)
        assert texts == {Cell(None, "x"): ["One."]}

    def test_a_byte_order_mark_is_no_damage(self, tmp_path):
        texts = self.read(tmp_path, b'\xef\xbb\xbf{"topic": "x", "text": "One."}', emotion=False)
        assert texts == {Cell(None, "x"): ["One."]}

    @pytest.mark.parametrize(
        "line",
        [
            b'{"emotion": "sad", "topic": "x", "text": "One.',
            b'{"emotion": "sad", "topic": "x"}',
            b'{"emotion": "sad", "topic": "x", "text": ""}',
            b'{"emotion": " ", "topic": "x", "text": "One."}',
            b'{"emotion": null, "topic": "x", "text": "One."}',
            b'{"emotion": "sad", "topic": 3, "text": "One."}',
            b'{"emotion": "sad", "topic": "x", "text": "\\ud800"}',
            b'{"emotion": "sad", "topic": "x", "text": "\xff"}',
            b"[1, 2]",
            b"3",
        ],
    )
    def test_a_wrong_line_is_named_by_its_number(self, tmp_path, line):
        good = b'{"emotion": "sad", "topic": "x", "text": "One."}'
        with pytest.raises(InvalidInput, match=r"own\.jsonl, line 3: expected"):
            self.read(tmp_path, good + b"\n\n" + line + b"\n" + good)

    def test_a_file_that_cannot_be_read_is_named(self, unreadable):
        with pytest.raises(InvalidInput, match=r"own\.jsonl' cannot be read.*permissions"):
            read_jsonl(str(unreadable("own.jsonl")), emotion=True)

    def test_a_missing_and_an_empty_file_are_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match="not found"):
            read_jsonl(str(tmp_path / "none.jsonl"), emotion=True)
        with pytest.raises(InvalidInput, match="no texts"):
            self.read(tmp_path, b"\n")
