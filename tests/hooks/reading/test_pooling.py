"""What a rule picks is averaged, and what another picks apart, in one pass."""

from types import SimpleNamespace

import pytest
import torch

import hooks
from hooks import FromToken
from hooks.reading.pieces import join, spans_of_pieces
from hooks.reading.pooling import PoolingRules

OPENING = "The old man sat by the window and watched the rain fall on the empty street all day. "
ENDINGS = [
    "He opened the letter slowly.",
    "She ran down the hill laughing and did not stop until she came to the river.",
    "They waited.",
    "His hands were shaking and he could not read the first line of it.",
] * 8
ARCHITECTURES = ["gpt2", "llama", "gemma3", "qwen3"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_pooled_apart_is_what_a_rule_of_its_own_would_pool(tiny_model, architecture):
    model = tiny_model(architecture, "huggingface")
    pieces = [(OPENING.strip(), ending, "The clock struck.") for ending in ENDINGS]
    texts = [join(each) for each in pieces]
    spans = [spans_of_pieces(model, each) for each in pieces]
    endings, closings = [span[1] for span in spans], [span[2] for span in spans]
    endings[3] = closings[5] = None
    both = hooks.pooled_resid_post(model, texts, endings, apart=closings)
    for place, text in enumerate(texts):
        for rule, mean, n in (
            (endings[place], both.mean, both.n_tokens),
            (closings[place], both.apart, both.n_apart),
        ):
            if rule is None:
                assert n[place] == 0
                assert mean[place].isnan().all()
            else:
                alone = hooks.pooled_resid_post(model, [text], rule)
                assert torch.allclose(mean[place], alone.mean[0], atol=1e-5)
                assert n[place] == alone.n_tokens[0]


def test_a_list_of_rules_has_one_for_each_text(tiny_model):
    model = tiny_model("gpt2", "huggingface")
    with pytest.raises(hooks.InvalidInput, match="one for each of 2 texts, got 1"):
        hooks.pooled_resid_post(model, ["a b", "c d"], [FromToken(0)])


@pytest.mark.parametrize("rule", ["all", ["last", None], 3])
def test_what_is_no_rule_is_refused(rule):
    unchecked = SimpleNamespace(given=[rule])  # types are checked here, and not where it is used
    with pytest.raises(hooks.InvalidInput, match="expected a rule such as hooks.FromToken"):
        PoolingRules.check(unchecked, 2)
