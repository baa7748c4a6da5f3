"""Ends: each text's own number of last tokens, in mean residual norms."""

import pytest
import torch
from planted_runs import materials as materials_of

import hooks
from probes.experiments.pasts.ends import mean_ends, shown_vectors

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


def test_vectors_of_what_is_shown_are_taken_where_others_are_in_use(reference_run):
    vectors = materials_of(reference_run).vectors
    assert vectors.way == "both"
    taken = shown_vectors(materials_of(reference_run))
    assert torch.equal(taken.vectors, vectors.using("shown").vectors)
