"""Slopes are what finite differences of the model's own log-probabilities say."""

import pytest
import torch

import hooks
from hooks.errors import InvalidInput
from hooks.reading.scoring import mean_log_probs

TEXTS = [
    ("The kettle whistled while she waited.", " Nobody came, and the rain went on."),
    ("He ran.", " Then he sat down by the door of the long hall."),
    ("A", " b c d"),
]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma3", "gemma2"])
@pytest.mark.parametrize("at", [0, -1])
def test_a_slope_is_the_change_that_a_small_vector_makes(tiny_model, kind, at):
    model = tiny_model(kind)
    layer = at % model.n_layers
    texts = [(model.encode(one), model.encode(other)[1:]) for one, other in TEXTS]
    slopes = hooks.log_prob_slopes(model, texts, layer)
    assert slopes.shape == (3, model.d_model)
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    step = 1e-2

    def scored(sign: float) -> torch.Tensor:
        with hooks.steer(model, direction, layers=[layer], strength=sign * step):
            return torch.cat([mean_log_probs(model, prompt, [tokens]) for prompt, tokens in texts])

    changed = (scored(1.0) - scored(-1.0)) / (2 * step)
    said = slopes.double() @ (direction / direction.norm()).double()
    assert torch.allclose(said, changed, rtol=0.02, atol=2e-4)


def test_a_texts_slope_does_not_depend_on_its_neighbors(tiny_model):
    model = tiny_model("llama")
    texts = [(model.encode(one), model.encode(other)) for one, other in TEXTS]
    together = hooks.log_prob_slopes(model, texts, 0)
    alone = torch.cat([hooks.log_prob_slopes(model, [text], 0) for text in texts])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in model.hf.parameters())


def test_what_cannot_be_differentiated_is_refused(tiny_model):
    model = tiny_model("gpt2")
    with pytest.raises(InvalidInput, match="at least one token each"):
        hooks.log_prob_slopes(model, [([1], [])], 0)
    with pytest.raises(InvalidInput, match="layer"):
        hooks.log_prob_slopes(model, [([1], [2])], 99)
