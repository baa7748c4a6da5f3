"""Microscopes with made-up vectors."""

from collections.abc import Callable, Sequence

import pytest
import torch
from tiny_vectors import EMOTIONS, provenance

from hooks import LanguageModel
from probes import EmotionVectors
from probes.texts.app.microscope import Microscope
from probes.vectors.zero import Zero


@pytest.fixture
def microscope(tiny_model) -> Callable[..., Microscope]:
    """``microscope(chat=False)``: layers 0, 2 and 3 of a tiny llama, target layer 2.

    ``model=`` and ``layers=`` look at another model; ``zero=True`` knows what neutral text scores.
    """

    def make(
        chat: bool = False,
        model: LanguageModel | None = None,
        layers: Sequence[int] = (0, 2, 3),
        zero: bool = False,
    ) -> Microscope:
        model = model or tiny_model("llama", backend="huggingface", chat=chat)
        generator = torch.Generator().manual_seed(0)
        raw = torch.randn(len(layers), len(EMOTIONS), model.d_model, generator=generator)
        about = provenance(
            model.fingerprint, layers=list(layers), n_neutral_components=[1] * len(layers)
        )
        mean = torch.randn(len(layers), model.d_model, generator=generator)
        norms = 5.0 + torch.arange(len(layers))
        zeros = {}
        if zero:
            shape = (len(layers), len(EMOTIONS))
            spread = torch.rand(shape, generator=generator) + 0.1
            zeros["shown"] = Zero(torch.randn(shape, generator=generator), spread)
        return Microscope(model, EmotionVectors(raw, raw, mean, norms, about, zeros=zeros))

    return make
