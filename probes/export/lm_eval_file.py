"""Steered models of lm-evaluation-harness: a ``.pt`` of vectors by the names of modules.

``lm_eval --model steered --model_args pretrained=MODEL,steer_path=sad.pt`` casts each vector to the
model's precision and adds ``steering_coefficient * steering_vector`` to what the module of that
name in `base_model` returns, at every token. Releases before 0.4.9.2 add the last vector of a file
at all of its layers.
"""

import io
from typing import Any

import torch

from hooks.models.architecture import describe
from hooks.models.embedded import folder, is_embedded
from probes.export.control import ControlVector
from probes.vectors.bundle import Provenance


def lm_eval_bytes(control: ControlVector, made: Provenance) -> bytes:
    """Return a file's content; ModelError where the model's config cannot be read."""
    blocks = describe(made.model, revision=made.revision).blocks
    content: dict[str, dict[str, Any]] = {
        f"{blocks}.{layer}": {
            "action": "add",
            "steering_coefficient": 1.0,
            "steering_vector": direction.clone(),
            "bias": None,
            "head_index": None,
            "description": control.description,  # passed over by the harness
        }
        for layer, direction in control.by_layer.items()
    }
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def model_arguments(made: Provenance) -> str:
    """Return what the harness loads the same model with, as ``--model_args`` spells it."""
    source = str(folder(made.model)) if is_embedded(made.model) else made.model
    pinned = [f"revision={made.revision}"] if made.revision else []
    return ",".join([f"pretrained={source}", *pinned, f"dtype={made.dtype}"])
