"""Worded stories: rows like those of a layer, without a forward pass."""

import numpy as np
import torch

from probes.corpus.cells import read_corpus
from probes.experiments.decoding import worded_stories as worded
from probes.experiments.decoding.robustness import Headline
from probes.experiments.folds import TopicFolds
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS, shared_words


def samples(real):
    return worded.worded_stories(real, real.subject(), TopicFolds(real, 3))


def test_both_readers_have_rows_like_those_of_a_layer(real):
    by_name = samples(real)
    assert list(by_name) == [WORD_COUNTS, EMBEDDINGS]
    assert by_name[EMBEDDINGS].mean.shape == (len(real.rows.emotion), real.subject().d_model)
    for sample in by_name.values():
        assert len(sample.mean) == len(real.rows.emotion)
        assert Headline(real, sample).rows.mean(dim=0).abs().max() < 1e-5
    assert by_name[WORD_COUNTS].basis(0).shape == (0, by_name[WORD_COUNTS].mean.shape[1])


def test_every_row_holds_its_own_text(real):
    texts = {
        (it.emotion, it.topic, it.index): it.text
        for it in read_corpus(real.run.root, real.run.story_cells)
    }
    counted = dict(zip(texts, shared_words(list(texts.values())).toarray(), strict=True))
    rows = real.rows
    for number, row in enumerate(samples(real)[WORD_COUNTS].mean):
        emotion, topic = real.emotions[rows.emotion[number]], real.topics[rows.topic[number]]
        expected = counted[emotion, topic, int(rows.index[number])]
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-6)


def test_a_row_that_is_a_cell_is_the_mean_of_its_texts(real, monkeypatch):
    whole = samples(real)[WORD_COUNTS].mean
    cells = torch.stack([real.rows.emotion, real.rows.topic], dim=1)
    each, owner = cells.unique(dim=0, return_inverse=True)
    means = torch.stack([whole[owner == number].mean(dim=0) for number in range(len(each))])
    by_cell = type(real.rows)(
        emotion=each[:, 0],
        topic=each[:, 1],
        index=torch.full((len(each),), -1),
        n_tokens=torch.ones(len(each), dtype=torch.long),
        n_texts=torch.bincount(owner),
    )
    monkeypatch.setitem(vars(real), "rows", by_cell)
    monkeypatch.setitem(vars(real), "index", {**real.index, "per_cell": True})
    torch.testing.assert_close(samples(real)[WORD_COUNTS].mean, means)


def test_many_counts_are_projected_and_keep_their_cosines(monkeypatch):
    generator = np.random.default_rng(0)
    dense = generator.poisson(0.05, (30, 4000)).astype("float32")
    monkeypatch.setattr(worded, "_MOST_NUMBERS", 1)
    narrow = worded._narrowed(worded.csr_matrix(dense))
    assert narrow.shape == (30, 1024)
    cosines = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)) for rows in (dense, narrow)]
    apart = [it @ it.T for it in cosines]
    assert np.abs(apart[0] - apart[1]).max() < 0.2


def test_names_are_their_own_tokens_centered(real):
    model = real.subject()
    names = worded.name_embeddings(model, ["angry", "sad", "angry"])
    torch.testing.assert_close(names[0], names[2])
    assert names.sum(dim=0).abs().max() < 1e-5
