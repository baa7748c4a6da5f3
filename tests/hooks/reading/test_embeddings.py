"""Input embeddings are those of the tokens that a reader pools, and of no other."""

import torch
from einops import reduce

import hooks
from hooks.reading.embeddings import input_embedding, mean_input_embedding

TEXTS = ["The old man sat by the window and watched.", "Nobody came.", ""]


def test_the_mean_is_that_of_the_content_tokens_from_the_offset_on(tiny_model):
    model = tiny_model("llama")
    embedded = mean_input_embedding(model, TEXTS, hooks.FromToken(3))
    ids = [token for token in model.encode(TEXTS[0]) if token not in model.special_ids][3:]
    expected = reduce(input_embedding(model)[torch.tensor(ids)], "token d -> d", "mean")
    torch.testing.assert_close(embedded[0], expected.detach())


def test_a_text_without_a_token_left_is_nan(tiny_model):
    embedded = mean_input_embedding(tiny_model("gpt2"), TEXTS, hooks.FromToken(0))
    assert embedded[2].isnan().all()
    assert embedded[:2].isfinite().all()


def test_it_is_what_the_blocks_are_given_up_to_positions(tiny_model):
    model = tiny_model("llama")
    seen = []
    handle = model.hf.get_input_embeddings().register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    model.hf(torch.tensor([model.encode(TEXTS[0])]))
    handle.remove()
    content = [i for i, t in enumerate(model.encode(TEXTS[0])) if t not in model.special_ids]
    embedded = mean_input_embedding(model, TEXTS[:1])
    torch.testing.assert_close(embedded[0], seen[0][0, content].mean(dim=0).detach())
