"""Two models' residuals that a test makes, over a planted run."""

import pytest
import torch

from probes.experiments.training.measured_shift import TwoReadings, measure

N = 40


@pytest.fixture(scope="session")
def materials(planted):
    return planted(strength=[3.0] * 4)


@pytest.fixture(scope="session")
def read():
    """``read(materials, challenging, neutral)``: the other model adds these, in residual norms."""

    def make(materials, challenging=0.0, neutral=0.0, noise=0.01, seed=1, **about):
        bundle = materials.vectors
        place = bundle.layer_index(materials.layer)
        norm, center = float(bundle.residual_norm[place]), bundle.global_mean[place]
        draws = torch.Generator().manual_seed(seed)
        own = center + 0.3 * norm * torch.randn(2, N, len(center), generator=draws)
        other = own + noise * norm * torch.randn(own.shape, generator=draws)
        for number, added in enumerate((challenging, neutral)):
            other[number] += norm * torch.as_tensor(added)
        facts = {"other": "tiny-chat", "template": "plain"}
        facts |= {"same_tokens": True, "same_weights": False}
        return TwoReadings(torch.stack([own, other]), **(facts | about))

    return make


@pytest.fixture(scope="session")
def unit():
    """``unit(materials, emotion)``: the direction of an emotion's vector."""

    def make(materials, emotion):
        vector = materials.vectors.at(materials.layer)[materials.emotions.index(emotion)]
        return vector / vector.norm()

    return make


@pytest.fixture(scope="session")
def measured(materials):
    """``measured(readings, vectors=..., other_run=...)``: the shift along the planted vectors."""

    def make(readings, vectors=None, other_run=None):
        vectors = materials.vectors if vectors is None else vectors
        return measure(materials, readings, vectors, materials.layer, other_run, n_directions=1000)

    return make
