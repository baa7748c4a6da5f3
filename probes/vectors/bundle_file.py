"""The file of a bundle of emotion vectors: where it lies, its tensors and its metadata.

Vectors of the embedded models come with the package, in ``embedded/NAME.safetensors``: those of the
reference corpus in the ways shown, said and both, at the target layer and its neighbors. ``make
vectors`` makes them again.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from hooks.models.embedded import PREFIX, is_embedded
from probes.vectors import hub
from probes.vectors.activations import read_metadata

FILE_NAME = "emotion_vectors.safetensors"
SUFFIX = ".safetensors"
SHIPPED = Path(str(files("probes.vectors"))) / "embedded"
"""Folder of the vectors that come with the package."""


def locate(path: str | Path) -> Path:
    """Return the file that a path names; see `EmotionVectors.load`."""
    if is_embedded(str(path)):
        return _shipped(str(path))
    base = hub.fetch(path, FILE_NAME) if hub.is_hub(path) else Path(path)
    for file in (base, base / FILE_NAME, base / "vectors" / FILE_NAME):
        if file.is_file():
            return file
    raise DataError(
        f"no {FILE_NAME} at {base}; expected the file, its folder or the folder of a run."
    )


def shipped_names() -> list[str]:
    """Return the names of the vectors that come with the package, as `locate` takes them."""
    return sorted(PREFIX + path.stem for path in SHIPPED.glob(f"*{SUFFIX}"))


def _shipped(name: str) -> Path:
    if name not in shipped_names():
        raise InvalidInput(
            f"no vectors of {name!r} come with the package; expected one of: "
            f"{', '.join(shipped_names())}, or a file or folder."
        )
    return SHIPPED / f"{name.removeprefix(PREFIX)}{SUFFIX}"


def to_bytes(tensors: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> bytes:
    """Return a file's content."""
    metadata = {"provenance": json.dumps(provenance, sort_keys=True)}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save_tensors(contiguous, metadata=metadata)


def from_bytes(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors, in float32, and provenance; raises what `reading` explains."""
    provenance = json.loads(read_metadata(content)["provenance"])
    return {name: tensor.float() for name, tensor in load_tensors(content).items()}, provenance


@contextlib.contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what a file raises that cannot be read, or holds something else, into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} is damaged or was not written by this project ({error}). Run "
            "compute-vectors again."
        ) from error
