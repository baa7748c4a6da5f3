"""A user's own corpus is its content: read once, checked line by line, kept in the run."""

import json

import pytest

from hooks.errors import DataError, InvalidInput
from probes.corpus.brought import BroughtCorpus, CorpusIndex, read_jsonl
from probes.corpus.cells import Cell, Passage
from probes.storage import digest_files


def read(tmp_path, lines, kind="stories"):
    path = tmp_path / "own.jsonl"
    path.write_bytes(lines)
    return read_jsonl(str(path), kind)


def test_cells_come_in_the_files_order_and_blank_lines_do_not_count(tmp_path):
    rows = [("sad", "x", "One."), ("glad", "x", "Two."), ("sad", "x", "Thrée.")]
    lines = [json.dumps({"emotion": e, "topic": t, "text": s}) for e, t, s in rows]
    texts = read(tmp_path, "\n\n".join(lines).encode())
    assert texts == {
        Cell("sad", "x"): [Passage("One."), Passage("Thrée.")],
        Cell("glad", "x"): [Passage("Two.")],
    }
    assert list(texts) == [Cell("sad", "x"), Cell("glad", "x")]


def test_texts_stay_in_the_file_until_their_cell_is_wanted(tmp_path):
    lines = [b'{"topic": "x", "text": "One."}', b'{"topic": "y", "text": "Two."}']
    texts = read(tmp_path, b"\n".join(lines), "neutral")
    assert [texts.count(cell) for cell in texts] == [1, 1]
    (tmp_path / "own.jsonl").write_bytes(b"\n".join(reversed(lines)))
    with pytest.raises(DataError, match=r"own\.jsonl was changed while it was used"):
        texts[Cell(None, "x")]


def test_neutral_text_needs_no_emotion(tmp_path):
    texts = read(tmp_path, b'{"topic": "x", "text": "One."}', "neutral")
    assert texts == {Cell(None, "x"): [Passage("One.")]}


def test_a_byte_order_mark_is_no_damage(tmp_path):
    texts = read(tmp_path, b'\xef\xbb\xbf{"topic": "x", "text": "One."}', "neutral")
    assert texts == {Cell(None, "x"): [Passage("One.")]}


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
def test_a_wrong_line_is_named_by_its_number(tmp_path, line):
    good = b'{"emotion": "sad", "topic": "x", "text": "One."}'
    with pytest.raises(InvalidInput, match=r"own\.jsonl, line 3: expected"):
        read(tmp_path, good + b"\n\n" + line + b"\n" + good)


def test_a_file_that_cannot_be_read_is_named(unreadable):
    with pytest.raises(InvalidInput, match=r"own\.jsonl' cannot be read.*permissions"):
        read_jsonl(str(unreadable("own.jsonl")), "stories")


def test_a_missing_and_an_empty_file_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="not found"):
        read_jsonl(str(tmp_path / "none.jsonl"), "stories")
    with pytest.raises(InvalidInput, match="no texts"):
        read(tmp_path, b"\n")


@pytest.mark.parametrize("labels", [["sad", "Sad"], ["at ease", "at  ease"], ["\ufb01ne", "fine"]])
def test_labels_that_look_alike_are_listed(tmp_path, labels):
    rows = [{"emotion": label, "topic": "x", "text": "One."} for label in [*labels, "glad"]]
    with pytest.raises(InvalidInput, match="one spelling of each emotion") as refused:
        read(tmp_path, "\n".join(map(json.dumps, rows)).encode())
    assert all(ascii(label) in str(refused.value) for label in labels)
    assert "glad" not in str(refused.value)


def test_a_text_is_named_by_its_line(tmp_path):
    lines = [b'{"topic": "x", "text": "One."}', b"", b'{"topic": "x", "text": "Two."}']
    texts = read(tmp_path, b"\n".join(lines), "neutral")
    assert [texts.where(Cell(None, "x"), n) for n in (0, 1)] == [
        f"{tmp_path / 'own.jsonl'}, line {line}" for line in (1, 3)
    ]


class TestWhatARunKeeps:
    @pytest.fixture
    def kept(self, tmp_path):
        path = tmp_path / "own.jsonl"
        path.write_text('{"topic": "x", "text": "One."}\n{"topic": "y", "text": "Two."}\n')
        corpus = BroughtCorpus(str(path), "neutral", kept=tmp_path / "kept.json")
        corpus.keep()
        return corpus

    def again(self, kept, path=None):
        return BroughtCorpus(str(path or kept.path), "neutral", kept=kept._kept)

    def test_spares_the_reading(self, kept, monkeypatch):
        monkeypatch.setattr("probes.corpus.brought.read_jsonl", None)
        assert self.again(kept).contents == kept.contents

    def test_does_when_the_file_is_gone_or_has_another_name(self, kept, tmp_path, monkeypatch):
        moved = (tmp_path / "own.jsonl").rename(tmp_path / "moved.jsonl")
        monkeypatch.setattr("probes.corpus.brought.read_jsonl", None)
        assert self.again(kept).contents.counts == kept.contents.counts
        assert self.again(kept, moved).digest(None) == kept.digest(None)

    def test_is_not_taken_for_other_content(self, kept, tmp_path):
        (tmp_path / "own.jsonl").write_text('{"topic": "z", "text": "One."}\n')
        other = self.again(kept)
        assert list(other.contents.counts) == [Cell(None, "z")]
        assert other.digest(None) != kept.digest(None)

    def test_is_the_same_corpus_where_an_earlier_version_counted_its_name(self, kept, tmp_path):
        before = digest_files([tmp_path / "own.jsonl"], tmp_path)
        assert kept.digest(before) == before

    def test_goes_to_json_and_back(self, kept):
        values = json.loads(json.dumps(kept.contents.to_json()))
        assert CorpusIndex.from_json(values) == kept.contents

    def test_that_is_something_else_is_named(self, kept):
        kept._kept.write_text("{}")
        with pytest.raises(DataError, match=r"kept\.json: expected what this project writes"):
            _ = self.again(kept).contents


class TestWhatStandsAround:
    def test_is_kept_and_says_which_neutral_texts_are_told_in_the_places_of_stories(self, tmp_path):
        around = {"opening": "It rained. ", "closing": " The clock struck.", "form": "voiced"}
        rows = [
            {"topic": "x", "text": "She went on.", **around},
            {"topic": "y", "text": "What is a lathe?"},
        ]
        texts = read(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "neutral")
        passage = Passage("She went on.", "It rained.", "The clock struck.", "voiced")
        assert texts == {
            Cell(None, "x", beside=True): [passage],
            Cell(None, "y"): [Passage("What is a lathe?")],
        }
        assert passage.whole == "It rained. She went on. The clock struck."
        assert texts.forms == {"x": "voiced"}

    def test_is_text(self, tmp_path):
        line = b'{"emotion": "sad", "topic": "x", "text": "One.", "opening": 3}'
        with pytest.raises(InvalidInput, match="line 1: expected strings for opening"):
            read(tmp_path, line)

    def test_has_one_form_for_a_topic(self, tmp_path):
        row = {"emotion": "sad", "topic": "x", "text": "One."}
        lines = [{**row, "form": "told"}, {**row, "form": "sung"}]
        with pytest.raises(InvalidInput, match=r"line 2: expected the form of earlier lines"):
            read(tmp_path, "\n".join(map(json.dumps, lines)).encode())

    def test_frames_that_say_stand_beside_the_stories(self, tmp_path):
        line = b'{"emotion": "sad", "topic": "f1", "text": "sad.", "opening": "I am"}'
        [cell] = read(tmp_path, line, "said")
        assert cell.path.parts[0] == "said"
