"""Control vectors of llama.cpp and repeng: GGUF files of 1-D float32 tensors ``direction.k``.

* llama.cpp (`common_control_vector_load` and `llama_adapter_cvec`, whose two shifts cancel) and
  repeng add ``direction.k`` to the output of block k, counted from 0: `resid_post[k]`.
* Block 0 has no slot: a file with ``direction.0`` is refused whole, so it is left out here.
* Tensors must be F32, 1-D and of one length; llama.cpp reads no metadata at all.
* repeng's `import_gguf` wants `general.architecture` ``controlvector`` and
  `controlvector.model_hint`; our own keys (``emotion_lens.*``) are passed over by both.
* Those keys say what the file means: ``operation`` (add), ``hook_point``, ``layers`` (the k of
  each ``direction.k``: block k, counted from 0), ``dose`` of strength 1 and ``residual_norm``. What
  says something else is refused, so that it is not added; other tools' files say nothing.
"""

import functools
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hooks import DataError, InvalidInput
from probes.export.control import ControlVector, as_text
from probes.storage import write_bytes

ARCHITECTURE = "controlvector"
HOOK_POINT = "blocks.{layer}.hook_resid_post"
_OWN = "emotion_lens"
_MEANT = {"operation": "add", "hook_point": HOOK_POINT}
_ROUNDING = 1e-3
"""How far a direction's length may be from dose x norm, as a share of it."""


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
        for key, value in _MEANT.items():
            writer.add_string(f"{_OWN}.{key}", value)
        writer.add_array(f"{_OWN}.layers", kept.layers)
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

    Raises DataError when the file is missing, damaged, or no control vector, or says of itself that
    it is not to be added to the output of blocks.
    """
    try:
        fields, tensors = _parsed(path)
        own = {
            name.removeprefix(f"{_OWN}."): value
            for name, value in fields.items()
            if name.startswith(f"{_OWN}.")
        }
        made_from = dict(json.loads(own.get("made_from") or "{}"))
        dose = None if own.get("dose") is None else float(own["dose"])
        norms = None
        if own.get("residual_norm") is not None:
            norms = torch.tensor(list(own["residual_norm"]), dtype=torch.float32)
    except (OSError, ArithmeticError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path} is missing, damaged or not a GGUF file ({error}).") from error
    for key, meant in _MEANT.items():
        if (said := own.get(key, meant)) != meant:
            raise DataError(
                f"{path}: expected directions with {key} {meant!r}, and the file says {said!r}. "
                "They are not to be added; use the tool that wrote them."
            )
    kinds = {(array.ndim, array.dtype.name) for array in tensors.values()}
    shapes = {array.shape for array in tensors.values()}
    if kinds != {(1, "float32")} or len(shapes) != 1:
        raise DataError(
            f"{path}: expected 1-D float32 tensors direction.k of one length, got "
            f"{len(tensors)} of shapes {sorted(shapes)}."
        )
    layers = sorted(tensors)
    directions = torch.from_numpy(np.stack([tensors[layer] for layer in layers]))
    said_layers = own.get("layers", layers)
    if said_layers != layers or layers[0] < 0:
        raise DataError(
            f"{path} is damaged: its keys name blocks {said_layers}, its tensors {layers}. Export "
            "it again."
        )
    if why := _contradiction(directions, dose, norms):
        raise DataError(f"{path} is damaged: {why}. Export it again.")
    name = str(own.get("emotion") or fields.get("general.name") or Path(path).stem)
    return ControlVector(name, layers, directions, dose, norms, made_from)


def _parsed(path: str | Path) -> tuple[dict[str, Any], dict[int, np.ndarray]]:
    """Return a file's keys, and its tensors by block; what it raises is the parser's own."""
    with np.errstate(over="ignore"):  # of damaged sizes
        reader = _reader()(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {
        int(tensor.name.removeprefix("direction.")): np.array(tensor.data)
        for tensor in reader.tensors
        if tensor.name.startswith("direction.")
    }
    return fields, tensors


@functools.cache
def _reader() -> Any:
    import gguf

    class _Bounded(gguf.GGUFReader):
        """Refuses to read past the end, where the stock one goes on with nothing, for ever."""

        def _get(self, offset: Any, dtype: Any, count: Any = 1, *order: Any, **named: Any) -> Any:
            if int(offset) + np.dtype(dtype).itemsize * int(count) > len(self.data):
                raise ValueError(f"it has {len(self.data)} bytes and should have more")
            return super()._get(offset, dtype, count, *order, **named)

    return _Bounded


def _contradiction(
    directions: Float[Tensor, "layer d_model"],
    dose: float | None,
    norms: Float[Tensor, "_norm"] | None,
) -> str | None:
    """Say where a file's keys and tensors do not go together; None where they do."""
    if not directions.isfinite().all():
        return "a direction is not finite"
    if dose is not None and not 0 < dose < math.inf:
        return f"its dose is {dose}"
    if norms is None:
        return None
    if len(norms) != len(directions) or not (norms.isfinite() & (norms > 0)).all():
        return f"its residual norms are {norms.tolist()}"
    if dose is None:
        return None
    lengths, expected = torch.linalg.vector_norm(directions.double(), dim=1), dose * norms.double()
    if not torch.allclose(lengths, expected, rtol=_ROUNDING, atol=0):
        return (
            f"its directions have lengths {lengths.tolist()}, not dose x norm {expected.tolist()}"
        )
    return None
