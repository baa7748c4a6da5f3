"""What was read of a text: of a written one its tokens and the rest; of any, a part."""

import pytest
import torch

from probes.texts.app.reading import Reading
from probes.vectors.watched import WatchedText


def test_what_was_written_has_its_tokens_and_what_no_pass_has_read(tiny_tokenizer):
    tokenizer = tiny_tokenizer()
    first, second, last = tokenizer("ab!", add_special_tokens=False)["input_ids"]
    watched = WatchedText(tokenizer, ["sad"], torch.zeros(2, 0, 1))
    for place, token in enumerate((first, second)):
        watched.add([token], torch.full((2, 1, 1), float(place)))
    read = Reading.of_written(watched, tokenizer.decode([first, second, last]))
    assert (read.tokens, read.turn, read.unread, read.text) == (["a", "b"], [0, 0], "!", "ab!")
    assert read.of_turn(0, 1).tolist() == [0.5]
    assert Reading.of_written(watched).text == "ab"


def test_nothing_read_is_a_reading_too(tiny_tokenizer):
    watched = WatchedText(tiny_tokenizer(), ["a", "b", "c"], torch.zeros(2, 0, 3))
    read = Reading.of_written(watched, "Home.")
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
