"""Embedded stories: rows like those of a layer, without a forward pass."""

import torch

from probes.experiments.decoding.embedded_stories import embedded_stories, name_embeddings
from probes.experiments.decoding.robustness import Headline
from probes.experiments.folds import TopicFolds


def test_embedded_stories_are_rows_like_those_of_a_layer(real):
    model = real.subject()
    sample = embedded_stories(real, model, TopicFolds(real, 3))
    assert sample.mean.shape == (len(real.stories(0).emotion), model.d_model)
    assert Headline(real, sample).rows.mean(dim=0).abs().max() < 1e-5


def test_names_are_their_own_tokens_centered(real):
    model = real.subject()
    names = name_embeddings(model, ["angry", "sad", "angry"])
    torch.testing.assert_close(names[0], names[2])
    assert names.sum(dim=0).abs().max() < 1e-5
