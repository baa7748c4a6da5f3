"""Pieces of a text, one a token, put together are the text."""

import pytest

from hooks.reading.token_offsets import content_pieces, token_pieces

TEXTS = [
    "The old man sat by the window.",
    "  two  spaces ",
    "a",
    "She said: \u201cno\u201d. \U0001f642!",
]


@pytest.fixture
def model(tiny_model):
    return tiny_model("gpt2", "huggingface")


@pytest.mark.parametrize("text", TEXTS)
def test_there_is_a_piece_for_each_token_and_together_they_are_the_text(model, text):
    ids, pieces = token_pieces(model, text)
    assert ids == model.encode(text)
    assert len(pieces) == len(ids)
    assert "".join(text[start:stop] for start, stop in pieces) == text
    assert all(before[1] == after[0] for before, after in zip(pieces, pieces[1:], strict=False))


@pytest.mark.parametrize("text", TEXTS[:3])
def test_a_tokenizer_without_offsets_gives_the_same_pieces(model, text, monkeypatch):
    expected = token_pieces(model, text)
    monkeypatch.setattr(type(model.tokenizer), "is_fast", False)
    assert token_pieces(model, text) == expected


def test_content_has_no_piece_for_what_the_text_does_not_spell(model):
    text = TEXTS[0]
    pieces = content_pieces(model, text)
    ids, every = token_pieces(model, text)
    assert pieces == every[len(every) - len(pieces) :]
    assert len(pieces) == sum(1 for _, begun in zip(ids, range(len(ids)), strict=True)) - (
        len(every) - len(pieces)
    )
