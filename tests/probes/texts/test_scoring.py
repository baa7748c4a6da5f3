"""Scores of texts, parts and tokens: one reading, in batches, nothing left out."""

from dataclasses import replace

import pytest
import torch

from probes.config import load_config
from probes.runs.models import Models
from probes.texts.scoring import readable, score_texts, tokens_within, windows
from probes.vectors.emotion_vectors import EmotionVectors

TEXTS = ["The kettle whistled.", "", "He closed the door and sat down at the table."]


@pytest.fixture
def vectors(finished):
    return EmotionVectors.load(finished.folder)


@pytest.fixture
def model(finished):
    return Models(load_config(finished.config)).subject()


def scored(vectors, model, texts, cut=None):
    layer = vectors.provenance.target_layer
    return list(score_texts(vectors, model, [(text, cut) for text in texts], layer))


def test_whole_texts_have_the_scores_of_the_vectors_and_an_empty_one_none(vectors, model):
    first, empty, last = scored(vectors, model, TEXTS)
    expected = vectors.score(model, [TEXTS[0], TEXTS[2]])
    torch.testing.assert_close(torch.stack([first.whole, last.whole]), expected)
    assert empty.whole.isnan().all()
    assert (empty.pieces, empty.tokens.shape[0], empty.n_stretches) == ([], 0, 1)
    assert "".join(last.words) == TEXTS[2]


def test_a_whole_text_has_the_z_of_the_vectors_and_none_without_a_zero(vectors, model):
    first, empty, _ = scored(vectors, model, TEXTS)
    assert torch.equal(first.z, vectors.z(first.whole, vectors.provenance.target_layer))
    assert first.z.isfinite().all()
    assert empty.z.isnan().all()
    [without] = scored(replace(vectors, zeros={}), model, TEXTS[:1])
    assert without.z.isnan().all()
    torch.testing.assert_close(without.whole, first.whole)


def test_batched_equals_alone(vectors, model):
    texts = TEXTS * 7
    together = scored(vectors, model, texts)
    for text, scores in zip(texts, together, strict=True):
        [alone] = scored(vectors, model, [text])
        torch.testing.assert_close(scores.tokens, alone.tokens, equal_nan=True)
        assert scores.pieces == alone.pieces


def test_a_part_has_the_mean_of_its_tokens_in_the_context_of_the_text(vectors, model):
    text = TEXTS[2]
    whole = tokens_within([(0, len(text)), (0, 0)])
    [scores] = scored(vectors, model, [text], whole)
    torch.testing.assert_close(scores.parts[0], scores.whole)
    assert scores.spans == [(0, len(scores.pieces)), (0, 0)]
    assert scores.parts[1].isnan().all()


def test_what_the_model_cannot_read_at_once_is_read_in_stretches(vectors, model):
    text = "one two three " * 100
    stretches = readable(model, text)
    assert "".join(text[start:stop] for start, stop in stretches) == text
    [scores] = scored(vectors, model, [text])
    assert scores.n_stretches == len(stretches) > 1
    assert "".join(scores.words) == text
    first, stop = stretches[0]
    [alone] = scored(vectors, model, [text[first:stop]])
    torch.testing.assert_close(scores.tokens[: len(alone.pieces)], alone.tokens)
    assert readable(model, "one two three", limit=1)[0][0] == 0
    assert len(readable(model, "one two three", limit=1)) > 1


def test_windows_cover_every_token_once_and_short_rests_join():
    pieces = [(n, n + 1) for n in range(21)]
    assert windows(8)(pieces) == [(0, 8), (8, 16), (16, 21)]
    assert windows(8)(pieces[:19]) == [(0, 8), (8, 19)]
    assert windows(8)(pieces[:3]) == [(0, 3)]
    assert windows(8)([]) == []
