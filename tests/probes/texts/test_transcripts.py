"""Conversations of other programs: every turn's words, what is left out counted, the rest named."""

import json

import pytest

from hooks.errors import InvalidInput
from probes.texts.dialogue import Turn
from probes.texts.transcripts import read_transcripts, spelled, transcript_of

ASKED, SAID = Turn("user", "Where?"), Turn("assistant", "At home.")
OPENAI = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "At home."}]
SHAREGPT = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "At home."}]
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
WHERE = {"type": "text", "text": "Where"}


def read(*turns):
    return transcript_of([*turns], "chat", "chat.json")


@pytest.mark.parametrize(
    "content",
    [
        OPENAI,
        {"messages": OPENAI},
        SHAREGPT,
        {"conversations": SHAREGPT, "id": 4},
        {"conversation": OPENAI},
    ],
)
def test_every_way_of_writing_gives_the_same_turns(content):
    made = transcript_of(content, "chat", "chat.json")
    assert (made.turns, made.left_out) == ((ASKED, SAID), {})


@pytest.mark.parametrize(
    ("content", "words", "left_out"),
    [
        ([WHERE], "Where", {}),
        ([WHERE, IMAGE, WHERE], "Where\nWhere", {"part that is image_url": 1}),
        (["Where", {"text": "?"}], "Where\n?", {}),
        ([{"type": "output_text", "text": "Where"}], "Where", {}),
        ("", "", {}),
    ],
)
def test_parts_of_a_content_are_joined_and_others_counted(content, words, left_out):
    made = read({"role": "user", "content": content})
    assert (made.turns, made.left_out) == ((Turn("user", words),), left_out)


@pytest.mark.parametrize(
    ("turn", "left_out"),
    [
        ({"role": "assistant", "content": None}, {"turn without words": 1}),
        ({"role": "assistant"}, {"turn without words": 1}),
        ({"role": "assistant", "content": []}, {"turn without words": 1}),
        ({"role": "assistant", "content": None, "tool_calls": [1]}, {"turn of tool calls": 1}),
        (
            {"role": "assistant", "content": "", "function_call": {"name": 1}},
            {"turn of tool calls": 1},
        ),
        (
            {"role": "user", "content": [IMAGE, IMAGE]},
            {"part that is image_url": 2, "turn without words": 1},
        ),
        ({"role": "tool", "content": "{}"}, {"result of a tool": 1}),
        ({"from": "observation", "value": "{}"}, {"result of a tool": 1}),
        ({"from": "function_call", "value": "{}"}, {"turn of tool calls": 1}),
    ],
)
def test_a_turn_without_words_is_left_out_and_counted(turn, left_out):
    made = read(OPENAI[0], turn, OPENAI[1])
    assert (made.turns, made.left_out) == ((ASKED, SAID), left_out)


def test_calls_beside_words_are_counted_and_the_words_kept():
    made = read(OPENAI[0], {**OPENAI[1], "tool_calls": [1]})
    assert (made.turns, made.left_out) == ((ASKED, SAID), {"tool calls beside words": 1})


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "<think>hm</think>At home."},
        {"role": "assistant", "content": "At home.", "reasoning_content": "hm"},
        {"from": "gpt", "value": "hm</think>At home."},
    ],
)
def test_a_thought_is_counted(turn):
    assert read(OPENAI[0], turn).left_out == {"thought": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], r"chat\.json: expected a list of at least one turn, got \[\]"),
        ({"messages": "hi"}, "at least one turn, got 'hi'"),
        (
            {"chat": []},
            "expected a list of turns, or an object with messages or conversations, got",
        ),
        ({"role": "user", "content": "a"}, "make one list of them: jq -s . FILE > NEW"),
        (3, "at least one turn, got 3"),
        (["hi"], 'turn 1: expected "role" and "content", or "from" and "value", got none'),
        ([{"speaker": "a", "text": "b"}], "turn 1: expected .* got an object with speaker, text"),
        (
            [{"from": "bing", "value": "b"}],
            "turn 1: expected human, gpt or system as from, got 'bi",
        ),
        ([{"role": "user", "content": {"a": 1}}], "turn 1: expected content as text, null or a li"),
        ([{"from": "gpt", "value": 3}], "turn 1: expected content as text"),
        ([{"role": "tool", "content": "x"}], r"none \(1 x result of a tool\)"),
    ],
)
def test_what_is_no_conversation_is_named(content, said):
    with pytest.raises(InvalidInput, match=said):
        transcript_of(content, "chat", "chat.json")


def test_a_file_of_one_chat_is_named_after_the_file(tmp_path):
    path = tmp_path / "talk.json"
    for indent in (None, 2):
        path.write_text(json.dumps(OPENAI, indent=indent) + "\n\n", encoding="utf-8-sig")
        assert [it.name for it in read_transcripts(path)] == ["talk"]


@pytest.mark.parametrize("name", ["chats.jsonl", "chats.json", "chats"])
def test_a_chat_a_line_is_named_after_its_line_or_its_id(tmp_path, name):
    path = tmp_path / name
    lines = [json.dumps(OPENAI), "", json.dumps({"id": 7, "messages": OPENAI})]
    path.write_bytes("\r\n".join(lines).encode())
    chats = list(read_transcripts(path))
    assert [it.name for it in chats] == ["line 1", "7"]
    assert chats[0].turns == chats[1].turns == (ASKED, SAID)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"role": "user"', r"chats\.json: expected JSON"),
        (b"\xff\xfe[\x00", "this is UTF-16"),
        (b"[]\n[]\n", "line 1: expected a list of at least one turn"),
        (
            b'{"messages": [{"role": "user", "content": "a"}]}\n{"m\n',
            "line 2: expected JSON on one",
        ),
        (b'[{"role": "user", "content": "\\ud800"}]', "half of a surrogate pair"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, content, said):
    path = tmp_path / "chats.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(read_transcripts(path))


def test_what_was_left_out_is_spelled_with_its_number():
    assert spelled({"thought": 2, "result of a tool": 1}) == "2 x thought, 1 x result of a tool"
