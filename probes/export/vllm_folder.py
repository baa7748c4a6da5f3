"""A folder with all that a vLLM server needs to score and steer: vectors, and one file of code."""

import json
import shlex
from collections.abc import Sequence

from hooks.models.embedded import folder, is_embedded
from hooks.vllm.engine import EXTENSION, KEY, RUNNER, WORKER_EXTENSION
from probes.export.control import ControlVector
from probes.export.safetensors_file import safetensors_bytes
from probes.storage import slug
from probes.vectors.bundle import Provenance
from probes.vectors.emotion_vectors import EmotionVectors

VECTORS, SCORES = "vectors", "scores.jsonl"


def vllm_files(vectors: EmotionVectors, controls: Sequence[ControlVector]) -> dict[str, bytes]:
    """Return the files by path: each emotion's directions, and the mean its cosines are taken from.

    `controls` are those of `vectors`, at layers that they have.
    """
    files = {EXTENSION.name: EXTENSION.read_bytes()}
    for control in controls:
        centers = {n: vectors.global_mean[vectors.layer_index(n)] for n in control.layers}
        files[f"{VECTORS}/{slug(control.emotion)}.safetensors"] = safetensors_bytes(
            control, centers
        )
    return files


def serving(made: Provenance, emotion: str) -> list[str]:
    """Say how the folder is served, and how a request asks."""
    source = str(folder(made.model)) if is_embedded(made.model) else made.model
    pinned = f" --revision={made.revision}" if made.revision else ""
    own = {"PYTHONPATH": ".", "EMOTION_LENS_VECTORS": VECTORS, "EMOTION_LENS_SCORES": SCORES}
    settings = " ".join(f"{name}={value}" for name, value in (own | RUNNER).items())
    asked = {"score": [emotion], "steer": [{"vector": emotion, "strength": 1.0}]}
    return [
        f"serve it, in this folder: {settings} vllm serve {shlex.quote(source)}{pinned} "
        f"--dtype={made.dtype} --enforce-eager --no-enable-prefix-caching "
        f"--worker-extension-cls {WORKER_EXTENSION}",
        f'a request then takes "vllm_xargs": {json.dumps({KEY: json.dumps(asked)})}',
    ]
