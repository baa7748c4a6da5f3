"""What a continuation costs: its perplexity without steering, and how often it repeats itself."""

import pytest
import torch

from hooks import Last, Speaker
from probes.commands.steered_text import Steered, on_carriers, perplexity, repetition


@pytest.mark.parametrize(
    ("prompt", "written"),
    [
        ("She ran down", "the hill."),
        ("She ran down</s>", "the hill."),  # as a chat template ends its prompt with a mark
        ("She ran down", "the<|start|> hill<|end|>"),
        ("", "the hill."),
        ("</s>", "the<|end|>"),
    ],
)
def test_the_perplexity_is_that_of_the_continuation_under_the_unsteered_model(
    tiny_model, prompt, written
):
    model = tiny_model("gpt2")
    before, tokens = model.encode(prompt), model.encode(written)[1:]
    assert before[0] == model.tokenizer.bos_token_id
    logits = model.hf(torch.tensor([[*before, *tokens]])).logits[0].log_softmax(dim=-1)
    scored = [logits[len(before) - 1 + i, token] for i, token in enumerate(tokens)]
    expected = float((-torch.stack(scored).mean()).exp())
    assert perplexity(model, before, tokens) == pytest.approx(expected, rel=1e-5)
    assert perplexity(model, before, []) is None


def test_repetition_is_the_share_of_word_triples_seen_before():
    assert repetition("a b c d e f") == 0
    assert repetition("no no no no no no") == pytest.approx(0.75)
    assert repetition("") == 0


def test_the_words_asked_for_come_first_and_then_those_that_rise_most():
    changes = {"sad": -1.0, "calm": 0.5, "happy": 3.0, "angry": 1.0, "afraid": 0.1}
    condition = Steered("sad", 0.1, "", changes, None, 0.0)
    assert list(condition.shown_words(["sad"], n=2)) == ["sad", "happy", "angry"]
    assert condition.name == "sad 0.1"


def test_watched_tokens_are_told_by_mean_and_peak():
    scores = {"sad": [0.1, 0.5, -0.3], "calm": [0.0, 0.0, 0.0]}
    tokens = [" a", ' "b"', "ö"]
    condition = Steered(None, None, "", {}, None, 0.0, watched=scores, watched_tokens=tokens)
    assert condition.watched_words() == {
        "sad": r'mean +0.10, peak +0.50 at " \"b\""',
        "calm": 'mean +0.00, peak +0.00 at " a"',
    }
    nothing = Steered(None, None, "", {}, None, 0.0, watched={"sad": []})
    assert nothing.watched_words() == {"sad": "no token was read"}


@pytest.mark.parametrize(
    ("positions", "on"),
    [("last", "last"), (Last(1), Last(1)), (Last(2), "all"), (Speaker("user"), "all")],
)
def test_a_carrier_is_steered_where_positions_have_a_meaning_there(positions, on):
    assert on_carriers(positions)[0] == on
