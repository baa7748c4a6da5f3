"""Made-up vectors of three emotions at three layers of a tiny model."""

import torch

from probes import EmotionVectors
from probes.vectors.bundle import Provenance

EMOTIONS = ["sad", "happy", "at ease"]
LAYERS = [0, 2, 3]


def provenance(fingerprint: str = "f" * 16, **changes) -> Provenance:
    values = {
        "emotions": EMOTIONS,
        "layers": LAYERS,
        "model": "tiny",
        "revision": None,
        "fingerprint": fingerprint,
        "tokenizer_hash": "t",
        "dtype": "float32",
        "quantize": None,
        "hook_name": "blocks.{layer}.hook_resid_post",
        "weight_processing": "none",
        "backend": "huggingface",
        "corpus_hash": "c",
        "config_hash": "g",
        "token_offset": 3,
        "n_neutral_components": [1, 2, 2],
        "n_stories": [4, 5, 6],
        "target_layer": 2,
        "versions": {"torch": "2"},
    }
    return Provenance(**{**values, **changes})


def bundle(fingerprint: str = "f" * 16, d_model: int = 32) -> EmotionVectors:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, 3, d_model, generator=generator)
    return EmotionVectors(
        vectors=raw + 0.1,
        raw=raw,
        global_mean=torch.randn(3, d_model, generator=generator),
        residual_norm=torch.tensor([1.0, 2.0, 3.0]),
        provenance=provenance(fingerprint),
    )
