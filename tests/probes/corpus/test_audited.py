"""What the audit reads: fields of a user's lines, frames around phrases, our own corpus whole."""

import json

import pytest

from hooks.errors import InvalidInput
from probes.corpus import audited, reference
from probes.stimuli import emotions

LINE = {"emotion": "sad", "topic": "a key", "text": "He sat down."}


@pytest.fixture
def file_of(tmp_path):
    def write(*rows):
        path = tmp_path / "own.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def test_parts_stand_around_a_text_and_are_not_of_it(file_of):
    parts = {"opening": "It was nine.", "closing": "A bus left.", "form": "voiced"}
    [text] = audited.stories(file_of({**LINE, **parts}))
    assert (text.text, text.opening, text.closing) == (
        "He sat down.",
        "It was nine.",
        "A bus left.",
    )
    assert text.whole == "It was nine. He sat down. A bus left."
    assert text.about == {"form": "voiced"}


def test_a_line_without_parts_is_its_text(file_of):
    [text] = audited.stories(file_of(LINE))
    assert text.whole == text.text
    assert text.about == {}


def test_lines_without_a_form_beside_others_are_a_form_of_their_own(file_of):
    first, second = audited.stories(file_of({**LINE, "form": "voiced"}, LINE))
    assert first.about["form"] == "voiced"
    assert second.about["form"] == "no form"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**LINE, "opening": 3}, "line 2: expected a string for opening, got 3"),
        ({**LINE, "form": ["voiced"]}, "line 2: expected a string for form"),
        ({**LINE, "form": "said"}, "stand in a file of their own: --said=FILE"),
        ({"topic": "a key", "text": "x"}, "line 2: .* missing: emotion"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(file_of, row, message):
    with pytest.raises(InvalidInput, match=message):
        audited.stories(file_of(LINE, row))


def test_a_file_of_empty_lines_has_no_texts(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n\n")
    with pytest.raises(InvalidInput, match="has no texts"):
        audited.stories(str(path))


def test_a_frame_of_a_file_is_said_with_its_phrase(file_of):
    frame = {"topic": "frame 1", "opening": "All day she was", "closing": "."}
    [text] = audited.said(file_of({**frame, "emotion": "sad", "text": "sad"}), ())
    assert (text.topic, text.text, text.about) == ("frame 1", "sad", {"form": "said"})
    assert text.whole == "All day she was sad ."


def test_our_frames_say_any_emotion_and_stay_whole():
    texts = audited.said("reference", ("hope", "sad"))
    assert len(texts) == 2 * len(reference.frames())
    for frame in reference.frames():
        [text] = [it for it in texts if it.cell == ("hope", frame.name)]
        assert "".join(text.whole.split()) == "".join(
            frame.filled(reference.phrase_of("hope")).split()
        )


def test_our_endings_stand_between_their_topics_parts():
    texts = audited.stories("reference")
    assert {text.emotion for text in texts} == set(emotions())
    around = {it.name: (it.opening, it.closing, it.form) for it in reference.situations()}
    assert all(around[it.topic] == (it.opening, it.closing, it.about["form"]) for it in texts)


def test_our_neutral_texts_are_zeros_of_every_topic_and_documents():
    texts = audited.neutral("reference")
    zeros = {text.topic for text in texts if text.opening}
    assert zeros == {it.name for it in reference.situations()}
    assert sum(not text.opening for text in texts) == len(reference.dialogues())


def test_neutral_lines_need_no_emotion(file_of):
    document = {"topic": "a key", "text": "Keys are cut from brass."}
    zero = {**document, "opening": "It was nine."}
    first, second = audited.neutral(file_of(document, zero))
    assert (first.opening, second.opening) == ("", "It was nine.")
