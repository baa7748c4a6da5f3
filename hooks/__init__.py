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
    from hooks.reading.capture import Pooled, Residuals, pooled_resid_post, resid_post
    from hooks.steering.steer import Steering, steer, steer_each
    from hooks.tokens.positions import FromToken, Last, Spaced, Span
    from hooks.tokens.text_positions import Speaker, TextSpan

_HOMES = {
    "load": "models.loading",
    "LanguageModel": "models.model",
    "pooled_resid_post": "reading.capture",
    "resid_post": "reading.capture",
    "Pooled": "reading.capture",
    "Residuals": "reading.capture",
    "Generation": "generation.sampling",
    "FromToken": "tokens.positions",
    "Spaced": "tokens.positions",
    "Steering": "steering.steer",
    "steer": "steering.steer",
    "steer_each": "steering.steer",
    "Span": "tokens.positions",
    "Speaker": "tokens.text_positions",
    "TextSpan": "tokens.text_positions",
    "Last": "tokens.positions",
    "EmotionLensError": "errors",
    "InvalidInput": "errors",
    "ModelError": "errors",
    "DataError": "errors",
    "StaleArtifact": "errors",
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
    "Residuals",
    "Spaced",
    "Span",
    "Speaker",
    "StaleArtifact",
    "Steering",
    "TextSpan",
    "load",
    "pooled_resid_post",
    "resid_post",
    "steer",
    "steer_each",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hooks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hooks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
