"""Vectors and corpus in other tools' formats, and back.

* `control_vector`: one emotion's directions, scaled so that strength 1 is a dose.
* `write_gguf`, `read_gguf`: control vectors of llama.cpp and repeng.
* `write_safetensors`, `read_safetensors`: one tensor per layer, for servers with steering.
"""

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
