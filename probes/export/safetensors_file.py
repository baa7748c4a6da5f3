"""Control vectors as safetensors: float32 ``resid_post.l`` is added to block l at strength 1."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from hooks import DataError
from probes.export.control import ControlVector, as_text
from probes.storage import write_bytes
from probes.vectors.activations import read_metadata

FORMAT = "emotion-lens control vector"


def safetensors_bytes(
    control: ControlVector, centers: Mapping[int, Float[Tensor, "d_model"]] | None = None
) -> bytes:
    """Return a file's content; of `centers`, which cosines are taken from, ``center.l`` too."""
    norms = control.norm_by_layer
    metadata = {
        "format": FORMAT,
        "emotion": control.emotion,
        "description": control.description,
        "layers": as_text(control.layers),
        "dose": as_text(control.dose),
        "residual_norm": as_text(norms and list(norms.values())),
        "made_from": as_text(control.made_from),
    }
    named = {f"resid_post.{n}": tensor.clone() for n, tensor in control.by_layer.items()}
    named |= {f"center.{n}": tensor.clone() for n, tensor in (centers or {}).items()}
    return _in_order(save_tensors(named, metadata=metadata))


def _in_order(content: bytes) -> bytes:
    """Sort the metadata of a file's header, whose order is another in every process."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    spelled = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    padded = spelled + b" " * (-len(spelled) % 8)  # tensors begin at a multiple of eight bytes
    return len(padded).to_bytes(8, "little") + padded + content[8 + length :]


def write_safetensors(control: ControlVector, path: str | Path) -> None:
    """Write one emotion's control vector, one tensor per layer."""
    write_bytes(Path(path), safetensors_bytes(control))


def read_safetensors(path: str | Path) -> ControlVector:
    """Read what `write_safetensors` wrote; DataError when it is missing or something else."""
    try:
        content = Path(path).read_bytes()
        metadata = read_metadata(content)
        if metadata["format"] != FORMAT:
            raise ValueError(f"its format is {metadata['format']!r}")
        tensors = load_tensors(content)
        layers = json.loads(metadata["layers"])
        norms = json.loads(metadata["residual_norm"])
        return ControlVector(
            metadata["emotion"],
            layers,
            torch.stack([tensors[f"resid_post.{layer}"] for layer in layers]),
            json.loads(metadata["dose"]),
            None if norms is None else torch.tensor(norms, dtype=torch.float32),
            json.loads(metadata["made_from"]),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is missing, damaged or no control vector of this project ({error})."
        ) from error
