"""Everything that touches a model: loading, reading and writing the residual stream, generating.

Knows models and not science. Names are loaded when first used: ``import hooks`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooks.errors import DataError, EmotionLensError, InvalidInput, ModelError, StaleArtifact
    from hooks.generation.sampling import Generation
    from hooks.models.loading import load
    from hooks.models.model import LanguageModel
    from hooks.reading.capture import Residuals, pooled_resid_post, resid_post
    from hooks.reading.pooling import Pooled
    from hooks.reading.slopes import log_prob_slopes
    from hooks.steering.knockout import block_attention
    from hooks.steering.replay import Replay
    from hooks.steering.steer import Steering, steer, steer_each
    from hooks.tokens.positions import FromToken, Last, Spaced, Span
    from hooks.tokens.text_positions import Speaker, TextSpan

_HOMES = {
    "errors": ("DataError", "EmotionLensError", "InvalidInput", "ModelError", "StaleArtifact"),
    "generation.sampling": ("Generation",),
    "models.loading": ("load",),
    "models.model": ("LanguageModel",),
    "reading.capture": ("Residuals", "pooled_resid_post", "resid_post"),
    "reading.pooling": ("Pooled",),
    "reading.slopes": ("log_prob_slopes",),
    "steering.knockout": ("block_attention",),
    "steering.replay": ("Replay",),
    "steering.steer": ("Steering", "steer", "steer_each"),
    "tokens.positions": ("FromToken", "Last", "Spaced", "Span"),
    "tokens.text_positions": ("Speaker", "TextSpan"),
}

__all__ = [
    "DataError",
    "EmotionLensError",
    "FromToken",
    "Generation",
    "InvalidInput",
    "LanguageModel",
    "Last",
    "ModelError",
    "Pooled",
    "Replay",
    "Residuals",
    "Spaced",
    "Span",
    "Speaker",
    "StaleArtifact",
    "Steering",
    "TextSpan",
    "block_attention",
    "load",
    "log_prob_slopes",
    "pooled_resid_post",
    "resid_post",
    "steer",
    "steer_each",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"hooks.{home}"), name)
    raise AttributeError(f"module 'hooks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
