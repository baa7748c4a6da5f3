"""Readers of words: rare ones weigh more, the same texts are the same, and tell nothing."""

import math

import numpy as np
import torch

from hooks.reading.embeddings import input_embedding, mean_input_embedding
from probes.experiments.words import rare_embeddings, shared_words, tell_nothing

TEXTS = ["the sad man sat", "the sad dog ran", "the old dog sat", "the the the the"]


def test_a_word_of_one_text_alone_is_left_out_and_still_counts_toward_its_length():
    counted = shared_words(TEXTS).toarray()
    assert counted.shape == (4, 4)  # the, sad, sat, dog
    lengths = np.linalg.norm(counted, axis=1)
    assert (lengths[:3] < 0.95).all()
    np.testing.assert_allclose(lengths[3], 1, rtol=1e-6)


def test_embeddings_are_means_weighted_by_rareness(tiny_model):
    model = tiny_model("llama")
    embedded = rare_embeddings(model, TEXTS)
    encoded = [[it for it in model.encode(text) if it not in model.special_ids] for text in TEXTS]
    n_texts = {token: sum(token in ids for ids in encoded) for ids in encoded for token in ids}
    for ids, row in zip(encoded, embedded, strict=True):
        weight = torch.tensor([math.log(5 / (1 + n_texts[token])) + 1 for token in ids])
        rows = input_embedding(model)[torch.tensor(ids)].detach()
        torch.testing.assert_close(row, weight @ rows / weight.sum())
    assert len(set(n_texts.values())) > 1
    plain = mean_input_embedding(model, TEXTS)
    assert not torch.allclose(embedded[0], plain[0])


def test_a_text_without_a_token_is_zero(tiny_model):
    embedded = rare_embeddings(tiny_model("gpt2"), [*TEXTS, ""])
    assert not embedded[4].any()
    assert embedded[:4].any(dim=1).all()


def test_texts_tell_nothing_when_each_unit_has_one():
    assert tell_nothing(["a", "a", "b", "b"], [0, 0, 1, 1])
    assert not tell_nothing(["a", "c", "b", "b"], [0, 0, 1, 1])
    assert tell_nothing(["a", "a"], [0, 1])
