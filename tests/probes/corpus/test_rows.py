"""Rows of files that others made: an error says where, what is there, what is missing, the cure."""

import json
import re
import shutil
import subprocess

import pytest

from hooks.errors import InvalidInput
from probes.corpus.rows import parse_row, read_rows

STORY = ("emotion", "topic", "text")
NEUTRAL = ("topic", "text")
GOOD = {"emotion": "sad", "topic": "rain", "text": "She waited."}


def refused(row, needed=STORY):
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    with pytest.raises(InvalidInput) as caught:
        parse_row(line, needed, "own.jsonl, line 7")
    assert str(caught.value).startswith("own.jsonl, line 7: expected ")
    return str(caught.value)


def test_fields_of_other_names_are_listed_with_those_that_are_missing():
    said = refused({"label": "sad", "story": "She waited.", "id": 3})
    assert "got one with label, story, id; missing: emotion, topic, text" in said
    assert "jq -c '. + {emotion: .NAME, topic: .NAME, text: .NAME}' FILE > NEW" in said


def test_neutral_text_without_a_topic_can_have_one_of_its_own():
    said = refused({"text": "A lathe turns."}, NEUTRAL)
    assert "got one with text; missing: topic." in said
    assert "input_line_number" in said
    assert "held-out" in said


def test_many_fields_are_not_all_listed():
    said = refused({f"f{n}": n for n in range(40)})
    assert "f11, ...; missing" in said
    assert "f12" not in said


@pytest.mark.parametrize(
    ("value", "shown", "cure"),
    [
        (["sad", "angry"], "a list, ['sad', 'angry']", "keep the first"),
        (3, "a number, 3", "Write it as text"),
        (None, "null, None", "Write it as text"),
        ({"name": "sad"}, "an object", "Write it as text"),
        (" \n", "an empty text, ' \\n'", "Leave such lines out"),
    ],
)
def test_an_emotion_that_is_no_text_is_shown_with_its_cure(value, shown, cure):
    said = refused({**GOOD, "emotion": value})
    assert "expected emotion as text that is not empty, got " + shown in said
    assert cure in said


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"label": "sad", "topic": "rain", "text": "She waited."}, {".NAME": ".label"}),
        ({"emotion": "sad", "text": "She waited."}, {}),
        ({**GOOD, "emotion": ["sad", "angry"]}, {}),
    ],
)
def test_the_cure_cures(tmp_path, row, named):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row) + "\n")
    command = re.findall(r"(jq -c '[^']*') FILE", refused(row))[-1]
    for name, value in named.items():
        command = command.replace(name, value)
    cured = subprocess.run(f"{command} {path}", shell=True, capture_output=True, check=True).stdout
    assert parse_row(cured, STORY, "x")["emotion"] == "sad"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"emotion": "sad", "topic"', 'got \'{"emotion": "sad", "topic"\' (Expecting \':\''),
        (b"emotion,topic,text\n", "got 'emotion,topic,text' (Expecting value at character 1)"),
        (b"[\n", "jq -c '.[]' FILE > NEW"),
        (b"{\n", "jq -c '.' FILE > NEW"),
        (b"[1, 2]", "got a list, [1, 2]. To make lines of a list: jq -c '.[]'"),
        (b"3", "got a number, 3"),
        (b'{"text": "a\x00b"}', "Invalid control character at at character 12"),
        (b'{"text": "a\\ud83d"}', "\\ud83d is half of a surrogate pair"),
        (b'{"text": "a\xed\xa0\xbd"}', "byte 0xed is not UTF-8"),
        (b'{"text": "caf\xe9"}', "iconv -f WINDOWS-1252"),
        ('{"text": "a"}\n'.encode("utf-16"), "this is UTF-16"),
        ('{"text": "a"}\n'.encode("utf-16-le"), "this is UTF-16"),
    ],
)
def test_a_line_that_is_no_row_says_what_it_is(line, said):
    assert said in refused(line)


def test_half_of_a_pair_is_refused_in_any_field_and_a_whole_pair_in_none():
    assert "half of a surrogate pair" in refused(b'{"text": "a", "writer": ["\\udc00"]}')
    row = {**GOOD, "text": "A smile \N{GRINNING FACE}."}
    assert parse_row(json.dumps(row).encode(), STORY, "x") == row


def test_lines_end_where_json_lines_end(tmp_path):
    texts = ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb\x0cc\x1ed", "a\x00b"]
    lines = [json.dumps({"topic": "x", "text": text}, ensure_ascii=False) for text in texts]
    path = tmp_path / "own.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    rows = list(read_rows(path, NEUTRAL))
    assert [row["text"] for row, _ in rows] == texts
    assert [where for _, where in rows] == [f"{path}, line {n}" for n in range(1, 6)]


def test_files_put_together_keep_their_byte_order_marks_between_lines(tmp_path):
    line = b'\xef\xbb\xbf{"topic": "x", "text": "One."}\n'
    path = tmp_path / "own.jsonl"
    path.write_bytes(line + line)
    assert len(list(read_rows(path, NEUTRAL))) == 2
