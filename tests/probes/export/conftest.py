"""A tiny model and vectors planted in it, as a run would leave them."""

from collections.abc import Callable

import pytest
import torch
from tiny_vectors import provenance

import hooks
from hooks import LanguageModel
from probes import EmotionVectors, stages
from probes.export.source import Source, find_source
from probes.report import summary

EMOTIONS = ["sad", "at ease", "happy"]


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", backend="huggingface")


def planted(model, residual_norm: torch.Tensor) -> EmotionVectors:
    """Random vectors of three emotions at all layers of a model."""
    generator = torch.Generator().manual_seed(0)
    layers = list(range(model.n_layers))
    raw = torch.randn(len(layers), len(EMOTIONS), model.d_model, generator=generator)
    about = provenance(
        model.fingerprint,
        emotions=EMOTIONS,
        layers=layers,
        model=model.name,
        n_neutral_components=[layer + 1 for layer in layers],
        n_stories=[5, 6, 7],
    )
    return EmotionVectors(
        vectors=raw + 0.1,
        raw=raw,
        global_mean=torch.randn(len(layers), model.d_model, generator=generator),
        residual_norm=residual_norm,
        provenance=about,
    )


@pytest.fixture
def vectors(model) -> EmotionVectors:
    """Vectors planted in the tiny model."""
    return planted(model, torch.tensor([3.0, 5.0, 7.0, 11.0]))


@pytest.fixture(scope="session")
def planted_in() -> Callable[[LanguageModel], EmotionVectors]:
    """``planted_in(model)``: vectors planted in any tiny model."""
    return lambda model: planted(model, torch.tensor([3.0, 5.0, 7.0, 11.0]))


@pytest.fixture
def smollm2():
    """The embedded SmolLM2 in float32, and vectors planted in it at its own residual norms."""
    model = hooks.load(
        "embedded:smollm2-135m-instruct", backend="huggingface", dtype="float32", device="cpu"
    )
    norms = hooks.pooled_resid_post(model, ["The old man sat by the window."]).norm[0]
    return model, planted(model, norms)


@pytest.fixture
def source(finished) -> Source:
    """A finished run with its summary."""
    run = finished.run()
    run.write_summary(stages.NAMES)
    summary.write_summary(run)
    return find_source(str(finished.folder))
