"""Vectors and corpus in other tools' formats, and back.

* `control_vector`: one emotion's directions, scaled so that strength 1 is a dose.
* `write_gguf`, `read_gguf`: control vectors of llama.cpp and repeng.
* `write_safetensors`, `read_safetensors`: one tensor per layer, for servers with steering.

Names are loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.export.control import ControlVector, control_vector
    from probes.export.gguf_file import read_gguf, write_gguf
    from probes.export.safetensors_file import read_safetensors, write_safetensors

_HOMES = {
    "ControlVector": "control",
    "control_vector": "control",
    "read_gguf": "gguf_file",
    "write_gguf": "gguf_file",
    "read_safetensors": "safetensors_file",
    "write_safetensors": "safetensors_file",
}

__all__ = [
    "ControlVector",
    "control_vector",
    "read_gguf",
    "read_safetensors",
    "write_gguf",
    "write_safetensors",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'probes.export' has no attribute {name!r}")
    return getattr(importlib.import_module(f"probes.export.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
