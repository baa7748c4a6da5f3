"""Vectors in other tools' formats, and back: control vectors as GGUF and safetensors."""

from probes.export.control import ControlVector, control_vector
from probes.export.gguf_file import read_gguf, write_gguf
from probes.export.safetensors_file import read_safetensors, write_safetensors

__all__ = [
    "ControlVector",
    "control_vector",
    "read_gguf",
    "read_safetensors",
    "write_gguf",
    "write_safetensors",
]
