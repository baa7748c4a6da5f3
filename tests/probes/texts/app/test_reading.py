"""A text as it grows under the model's hands: characters and scores of its tokens."""

import pytest
import torch

from probes.texts.app.reading import Growing, Reading


def grown(tokenizer, text: str) -> tuple[Growing, list[int]]:
    """A text of which all tokens but the last have been read; each has its place as score."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    growing = Growing(tokenizer, 1, 1)
    for place, token in enumerate(ids[:-1]):
        growing.add([token], torch.full((1, 1, 1), float(place)))
    return growing, ids


@pytest.mark.parametrize("text", ["She waited at the gate.", "naïve 😀 café", " two\n lines"])
def test_tokens_and_what_was_not_read_spell_the_text(tiny_tokenizer, text):
    growing, ids = grown(tiny_tokenizer(), text)
    read = growing.reading(text)
    assert read.text == text
    assert read.unread
    assert len(read.tokens) == len(ids) - 1
    assert read.scores.flatten().tolist() == list(range(len(ids) - 1))
    assert set(read.turn) == {0}


def test_a_letter_is_shown_once_all_its_bytes_are_there(tiny_tokenizer):
    tokenizer = tiny_tokenizer()
    ids = tokenizer("a😀", add_special_tokens=False)["input_ids"]
    growing = Growing(tokenizer, 1, 1)
    shown = []
    for token in ids:
        growing.add([token], torch.zeros(1, 1, 1))
        shown.append("".join(growing.reading().tokens))
    assert shown[-1] == "a😀"
    assert not any("\ufffd" in text for text in shown)


def test_nothing_read_is_a_reading_too(tiny_tokenizer):
    read = Growing(tiny_tokenizer(), 2, 3).reading("Home.")
    assert (read.tokens, read.unread, read.scores.shape) == ([], "Home.", (2, 0, 3))
    assert read.of_turn(0, 1).isnan().all()


@pytest.mark.parametrize(
    ("text", "tokens", "turn", "unread"),
    [
        ("ab cd!", ["ab", " cd"], [0, 0], "!"),
        ("b c", ["b", " c"], [0, 0], ""),
        ("cd", ["", "cd"], [-1, 0], ""),
        ("!", ["", ""], [-1, -1], "!"),
        ("", ["", ""], [-1, -1], ""),
    ],
)
def test_a_part_has_the_tokens_that_spell_it(text, tokens, turn, unread):
    read = Reading(["ab", " cd"], [0, 0], torch.tensor([[[1.0], [3.0]]]), unread="!")
    cut = read.cut(text)
    assert (cut.tokens, cut.turn, cut.unread, cut.text) == (tokens, turn, unread, text)
    assert torch.equal(cut.scores, read.scores)
