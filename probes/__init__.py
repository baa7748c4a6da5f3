"""The science and the pipeline around it; names are loaded when first used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.config import Config, load_config
    from probes.runs.folder import Run
    from probes.vectors.emotion_vectors import EmotionVectors

_HOMES = {
    "EmotionVectors": "vectors.emotion_vectors",
    "Config": "config",
    "load_config": "config",
    "Run": "runs.folder",
}

__all__ = ["Config", "EmotionVectors", "Run", "load_config"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'probes' has no attribute {name!r}")
    return getattr(importlib.import_module(f"probes.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
