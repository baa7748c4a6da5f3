"""A bundle of vectors: looked up by emotion and by layer of the model."""

import pytest
import torch
from tiny_vectors import EMOTIONS, LAYERS, bundle

import hooks
from hooks.errors import InvalidInput
from probes.vectors.bundle import mean_residual_norm

TEXT = "The old man sat by the window."


class TestLookingUp:
    def test_an_emotion_is_its_vector_at_every_layer(self):
        vectors = bundle()
        assert torch.equal(vectors["happy"], vectors.vectors[:, 1])
        assert torch.equal(vectors.at(3), vectors.vectors[2])
        assert (vectors.emotions, vectors.layers) == (EMOTIONS, LAYERS)

    def test_each_layer_is_steered_with_its_own_vector_where_a_bundle_has_only_some(
        self, tiny_model
    ):
        model = tiny_model("llama", backend="huggingface")
        vectors = bundle()
        sad, norms = vectors.by_layer("sad"), vectors.norm_by_layer
        for layer, norm in zip(LAYERS, [1.0, 2.0, 3.0], strict=True):
            plain = hooks.resid_post(model, TEXT, [layer]).resid[0]
            with hooks.steer(model, sad, layers=[layer], dose=0.5, residual_norm=norms):
                moved = hooks.resid_post(model, TEXT, [layer]).resid[0] - plain
            own = vectors.at(layer)[0]
            assert torch.allclose(
                moved, (0.5 * norm * own / own.norm()).expand_as(moved), atol=1e-5
            )
        with pytest.raises(InvalidInput, match="nothing for layer 1; there is something for"):
            hooks.steer(model, sad, layers=[1], dose=0.5, residual_norm=norms).__enter__()

    def test_an_unknown_emotion_is_refused_with_those_there_are(self):
        with pytest.raises(InvalidInput, match="'glad'.*sad, happy, at ease"):
            bundle()["glad"]

    def test_a_layer_that_was_not_read_is_refused_with_those_there_are(self):
        with pytest.raises(
            InvalidInput, match=r"no vectors at layer 1; expected one of \[0, 2, 3\]"
        ):
            bundle().at(1)


def test_mean_residual_norm_counts_every_token_once():
    norm = torch.tensor([[1.0, 10.0], [4.0, 40.0]])
    mean = mean_residual_norm(norm, torch.tensor([2, 1]))
    torch.testing.assert_close(mean, torch.tensor([2.0, 20.0]))
