"""Control vectors of llama.cpp and repeng: GGUF files of 1-D float32 tensors ``direction.k``.

* llama.cpp (`common_control_vector_load` and `llama_adapter_cvec`, whose two shifts cancel) and
  repeng add ``direction.k`` to the output of block k, counted from 0: `resid_post[k]`.
* Block 0 has no slot: a file with ``direction.0`` is refused whole, so it is left out here.
* Tensors must be F32, 1-D and of one length; llama.cpp reads no metadata at all.
* repeng's `import_gguf` wants `general.architecture` ``controlvector`` and
  `controlvector.model_hint`; our own keys (``emotion_lens.*``) are passed over by both.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from hooks import DataError, InvalidInput
from probes.export.control import ControlVector, as_text
from probes.storage import write_bytes

ARCHITECTURE = "controlvector"
_OWN = "emotion_lens"


def held(control: ControlVector) -> list[int]:
    """Return the layers with a slot, all but block 0; InvalidInput when none is left."""
    layers = [layer for layer in control.layers if layer >= 1]
    if not layers:
        raise InvalidInput(
            "GGUF control vectors have no slot for block 0: choose another layer, or export to "
            "safetensors."
        )
    return layers


def gguf_bytes(control: ControlVector) -> bytes:
    """Return a file's content; block 0 is left out."""
    import gguf

    kept = control.only(held(control))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vector.gguf"
        writer = gguf.GGUFWriter(path, ARCHITECTURE)
        writer.add_name(kept.emotion)
        writer.add_description(kept.description)
        hint = kept.made_from.get("model_type") or kept.made_from.get("model") or "unknown"
        writer.add_string(f"{ARCHITECTURE}.model_hint", str(hint))
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(kept.layers))
        writer.add_string(f"{_OWN}.emotion", kept.emotion)
        if kept.dose is not None and kept.residual_norm is not None:
            writer.add_float64(f"{_OWN}.dose", kept.dose)
            writer.add_array(f"{_OWN}.residual_norm", kept.residual_norm.tolist())
        writer.add_string(f"{_OWN}.made_from", as_text(kept.made_from))
        for layer, tensor in zip(kept.layers, kept.tensors, strict=True):
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(tensor.numpy()))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def write_gguf(control: ControlVector, path: str | Path) -> list[int]:
    """Write a control vector for llama.cpp and repeng.

    Returns the layers left out (block 0, or none); raises InvalidInput when no other is there.
    """
    write_bytes(Path(path), gguf_bytes(control))
    return [layer for layer in control.layers if layer not in held(control)]


def read_gguf(path: str | Path) -> ControlVector:
    """Read a control vector: ours, repeng's or llama.cpp's own, layers in ascending order.

    Raises DataError when the file is missing, damaged, or no control vector.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {
            int(tensor.name.removeprefix("direction.")): np.array(tensor.data)
            for tensor in reader.tensors
            if tensor.name.startswith("direction.")
        }
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is missing, damaged or not a GGUF file ({error}).") from error
    kinds = {(array.ndim, array.dtype.name) for array in tensors.values()}
    shapes = {array.shape for array in tensors.values()}
    if kinds != {(1, "float32")} or len(shapes) != 1:
        raise DataError(
            f"{path}: expected 1-D float32 tensors direction.k of one length, got "
            f"{len(tensors)} of shapes {sorted(shapes)}."
        )
    layers = sorted(tensors)
    norms = fields.get(f"{_OWN}.residual_norm")
    return ControlVector(
        str(fields.get(f"{_OWN}.emotion") or fields.get("general.name") or Path(path).stem),
        layers,
        torch.from_numpy(np.stack([tensors[layer] for layer in layers])),
        fields.get(f"{_OWN}.dose"),
        None if norms is None else torch.tensor(norms, dtype=torch.float32),
        json.loads(fields.get(f"{_OWN}.made_from") or "{}"),
    )
