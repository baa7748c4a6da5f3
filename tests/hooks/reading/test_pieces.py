"""Pieces of a text share out its content tokens."""

import pytest

from hooks.reading.pieces import join, spans_of_pieces
from hooks.tokens.encoding import pad

OPENING = "The old man sat by the window and watched the rain fall on the empty street all day. "


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3", "qwen3"])
def test_pieces_share_out_the_content_tokens(tiny_model, architecture):
    model = tiny_model(architecture, "huggingface")
    whole = join([OPENING.strip(), "", "They waited."])
    first, second, third = spans_of_pieces(model, [OPENING.strip(), "", "They waited."])
    assert whole == OPENING + "They waited."
    assert second is None
    assert (first.start, first.stop) == (0, third.start)
    [content] = pad([model.encode(whole)], model.special_ids).content
    assert third.stop == content.sum()
    ids = [t for t, counts in zip(model.encode(whole), content.tolist(), strict=True) if counts]
    assert model.tokenizer.decode(ids[third.start :]).strip() == "They waited."
    assert spans_of_pieces(model, ["", "Alone here.", ""])[0] is None
