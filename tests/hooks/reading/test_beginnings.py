"""What texts share is read once, and every number is that of texts read one by one."""

import pytest
import torch

import hooks
from hooks import FromToken, Span
from hooks.models.backends import HuggingFaceBackend
from hooks.reading.beginnings import by_beginning, group_texts
from hooks.tokens.encoding import Encoder
from hooks.tokens.positions import Last

OPENING = "The old man sat by the window and watched the rain fall on the empty street all day. "
OTHER = "Nobody had come to the station since the last train had gone, and she waited by the gate. "
ENDINGS = [
    "He opened the letter slowly.",
    "She ran down the hill laughing and did not stop until she came to the river.",
    "They waited.",
    "His hands were shaking and he could not read the first line of it.",
] * 8
TEXTS = [(OPENING if n % 2 else OTHER) + ending for n, ending in enumerate(ENDINGS)] + ["Alone."]
ARCHITECTURES = ["gpt2", "llama", "gemma3", "qwen3"]


def n_opening(model):
    return min(len(model.encode(OPENING)), len(model.encode(OTHER)))


@pytest.fixture
def passes(monkeypatch):
    """Sizes of all passes."""
    sizes = []
    run = HuggingFaceBackend.run

    def counted(self, tokens, *rest):
        sizes.append(tuple(tokens.shape))
        return run(self, tokens, *rest)

    monkeypatch.setattr(HuggingFaceBackend, "run", counted)
    return sizes


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_numbers_are_those_of_texts_read_one_by_one(tiny_model, architecture, passes):
    model = tiny_model(architecture, "huggingface")
    offset = n_opening(model) - 2
    shared = hooks.pooled_resid_post(model, TEXTS, FromToken(offset), keep=Last(2))
    assert sum(rows * length for rows, length in passes) < 0.8 * sum(
        len(model.encode(text)) for text in TEXTS
    )
    for place, text in enumerate(TEXTS):
        alone = hooks.pooled_resid_post(model, [text], FromToken(offset), keep=Last(2))
        assert torch.allclose(shared.mean[place], alone.mean[0], atol=1e-5, equal_nan=True)
        assert torch.allclose(shared.norm[place], alone.norm[0], atol=1e-5, equal_nan=True)
        assert shared.n_tokens[place] == alone.n_tokens[0]
        kept = shared.tokens[shared.token_text == place]
        assert torch.allclose(kept, alone.tokens, atol=1e-5)


def test_a_beginning_goes_as_far_as_nobody_wants_a_token_of_it(tiny_model):
    model = tiny_model("llama", "huggingface")
    encoded = [model.encode(text) for text in TEXTS]
    groups = group_texts(model, model.bulk, encoded, [FromToken(18)])
    assert sorted(sum((group.texts for group in groups), [])) == list(range(len(TEXTS)))
    assert [group.n_shared for group in groups] == [19, 19, 0]
    for group in groups:
        begin = {tuple(encoded[text][: group.n_shared]) for text in group.texts}
        assert len(begin) == 1 or group.n_shared == 0
    whole = group_texts(model, model.bulk, encoded, [FromToken(0)])
    assert [group.n_shared for group in whole] == [0]
    seen = group_texts(model, model.bulk, encoded, [FromToken(99), Span(3, 5)])
    assert [group.n_shared for group in seen] == [0]


def shared_by(model, *beginnings):
    """Return how many tokens each group shares, and its texts, which begin as is said."""
    encoded = [[*beginning, 90 + n % 2, 7] for n, beginning in enumerate(beginnings)]
    groups = by_beginning(model, encoded, [Last(1)])
    assert sorted(sum((group.texts for group in groups), [])) == list(range(len(encoded)))
    return [(group.n_shared, len(group.texts)) for group in groups]


def test_of_beginnings_within_beginnings_those_that_save_most_are_shared(tiny_model):
    model = tiny_model("llama", "huggingface")
    event, good, bad = [5] * 20, [6] * 40, [8] * 40
    one, other = event + good, event + bad
    assert shared_by(model, *[one] * 6, *[other] * 6) == [(60, 6), (60, 6)]
    # What is left of a run is a group beside a better one inside it.
    left = [event + [9 + n] * 50 for n in range(9)]
    assert shared_by(model, *[one] * 6, *left) == [(60, 6), (20, 9)]
    # Few that share more are read with the many.
    assert shared_by(model, *[event] * 30, *[one] * 2) == [(20, 32)]
    assert shared_by(model, [5] * 3, [5] * 3, [6]) == [(0, 3)]


def test_tokens_are_counted_as_they_pass_and_by_a_tokenizer_alone(tiny_model, passes):
    model = tiny_model("llama", "huggingface")
    rule = FromToken(n_opening(model))
    encoded = [model.encode(text) for text in TEXTS]
    groups = by_beginning(Encoder(model.tokenizer), encoded, [rule])
    assert groups == group_texts(model, model.bulk, encoded, [rule])
    hooks.pooled_resid_post(model, TEXTS, rule, batch_tokens=1)  # one text a pass: no padding
    assert sum(rows * length for rows, length in passes) == sum(g.n_tokens(encoded) for g in groups)
    assert sum(g.n_tokens(encoded) for g in groups) < 0.8 * sum(map(len, encoded))


def test_little_is_not_worth_a_pass_and_others_hooks_see_texts_whole(tiny_model, passes):
    model = tiny_model("llama", "huggingface")
    encoded = [model.encode(text) for text in TEXTS]
    rule = [FromToken(n_opening(model))]
    assert len(group_texts(model, model.bulk, encoded[:4], rule)) == 1
    assert len(group_texts(model, model.bulk, encoded, rule)) == 3
    seen = []
    with model.bulk.hooked({0: lambda _residual, _layer: None}):
        assert len(group_texts(model, model.bulk, encoded, rule)) == 1
    with model.bulk.watched(seen.append):
        hooks.pooled_resid_post(model, TEXTS, *rule)
    assert sum(len(inputs.ids) for inputs in seen) == len(TEXTS)
    assert not any(inputs.n_cached for inputs in seen)
    passes.clear()
    hooks.pooled_resid_post(model, TEXTS, *rule, padding_side="left")
    assert sum(rows * length for rows, length in passes) >= sum(map(len, encoded))
