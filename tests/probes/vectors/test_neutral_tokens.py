"""Single neutral tokens of a run, and what they score."""

import json

import pytest
import torch

from hooks import StaleArtifact
from probes import EmotionVectors
from probes.vectors.activations import INDEX, load_shards
from probes.vectors.neutral_tokens import NeutralTokens


def test_mean_and_spread_are_those_of_the_tokens_that_the_run_kept(finished):
    run = finished.run()
    vectors = EmotionVectors.load(run.root)
    tokens = NeutralTokens.of_run(run.root, vectors)
    index = json.loads((run.root / INDEX).read_text())
    kept = torch.cat([shard.tokens for shard in load_shards(run.root, "neutral", index)])
    assert tokens.n == len(kept) > 2
    for place, layer in enumerate(vectors.layers):
        cosines = vectors.cosine(kept[:, place], layer)
        zero = tokens.at(layer)
        torch.testing.assert_close(zero.mean[0], cosines.mean(dim=0))
        torch.testing.assert_close(zero.sd[0], cosines.std(dim=0))
        z = zero.z(cosines, 0)
        assert z.mean(dim=0).abs().max() < 1e-4
        torch.testing.assert_close(z.std(dim=0), torch.ones(z.shape[1]), atol=1e-4, rtol=0)


def test_without_tokens_there_is_none(finished, tmp_path):
    vectors = EmotionVectors.load(finished.run().root)
    assert NeutralTokens.of_run(tmp_path, vectors) is None
    (tmp_path / INDEX).parent.mkdir()
    empty = {"layers": vectors.layers, "neutral": {"n_shards": 0}, "made_from": {}}
    (tmp_path / INDEX).write_text(json.dumps(empty))
    assert NeutralTokens.of_run(tmp_path, vectors) is None


def test_tokens_of_another_run_are_refused(finished):
    root = finished.run().root
    vectors, index = EmotionVectors.load(root), json.loads((root / INDEX).read_text())
    index["made_from"]["settings"] = "other"
    (root / INDEX).write_text(json.dumps(index))
    with pytest.raises(StaleArtifact, match="settings was"):
        NeutralTokens.of_run(root, vectors)
