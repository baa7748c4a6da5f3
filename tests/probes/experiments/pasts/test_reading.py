"""Ends of texts: the same tokens after different pasts, in mean residual norms."""

import pytest
import torch

import hooks
from hooks import DataError
from probes.experiments.pasts import reading
from probes.experiments.pasts.reading import Pair, differences, mean_ends, n_shared, read_ends

END = "The clock struck nine."


def test_shared_tokens_are_those_of_the_end_alone(materials):
    model = materials.subject()
    texts = [f"She won it. {END}", f"She lost it. {END}"]
    n = n_shared(model, texts, END)
    assert n == len(model.encode(f" {END}")) - 1  # without the token that begins a text
    assert n == n_shared(model, texts[:1], END)


def test_texts_that_end_otherwise_are_refused(materials):
    with pytest.raises(DataError, match="end in the same tokens"):
        n_shared(materials.subject(), ["He ran", "He sat?"], END)


def test_ends_are_the_models_own_over_the_mean_norm(materials):
    model, bundle = materials.subject(), materials.vectors
    texts = [f"A dog barked. {END}", f"Nobody answered the bell. {END}"]
    n_tokens = [3, 4]
    read = list(read_ends(materials, texts, n_tokens, bundle.layers))
    for text, n, got in zip(texts, n_tokens, read, strict=True):
        alone = hooks.resid_post(model, text, bundle.layers, through="bulk").resid
        expected = alone[:, -n:] / bundle.residual_norm[:, None, None]
        torch.testing.assert_close(got.transpose(0, 1), expected, rtol=1e-4, atol=1e-6)


def test_differences_do_not_depend_on_how_texts_are_parted(materials, monkeypatch):
    pairs = [Pair(f"{word} came. {END}", f"{word} went. {END}") for word in ("He", "She", "They")]
    whole = list(differences(materials, pairs, [4, 3, 4], materials.layers))
    assert [len(it) for it in whole] == [4, 3, 4]
    monkeypatch.setattr(reading, "_BYTES", 1)
    parts = list(differences(materials, pairs, [4, 3, 4], materials.layers))
    for part, of_whole in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, of_whole, rtol=1e-4, atol=1e-6)


TEXTS = ["She ran down the hill.", "The old man sat by the window and watched the rain fall."]
N_TOKENS = [2, 5]


def test_each_text_is_read_at_its_own_last_tokens(materials):
    told = []
    read = mean_ends(materials, TEXTS, N_TOKENS, told.append)
    norm = materials.vectors.residual_norm[:, None]
    for row, text, n in zip(read, TEXTS, N_TOKENS, strict=True):
        alone = hooks.resid_post(materials.subject(), text).resid[:, -n:].mean(dim=1)
        torch.testing.assert_close(row, alone / norm, rtol=1e-4, atol=1e-5)
    assert sum(told) == len(TEXTS)


def test_a_number_for_each_text_is_needed(materials):
    with pytest.raises(hooks.InvalidInput, match="one for each"):
        mean_ends(materials, TEXTS, [2])
