"""A model's small files, where they are on this machine already: nothing is fetched."""

import json
from pathlib import Path
from typing import Any

from hooks.models import embedded


def local_file(name: str, file: str, revision: str | None = None) -> Path | None:
    """Return a model's file (``"config.json"``) if it is here; arguments as for `hooks.load`."""
    is_embedded = embedded.is_embedded(name)
    if is_embedded or Path(name).is_dir():
        folder = embedded.converted_folder(name) if is_embedded else Path(name)
        return folder / file if folder is not None and (folder / file).is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:  # a name that is no id
        return None
    return Path(cached) if isinstance(cached, str) else None


def local_config(name: str, revision: str | None = None) -> dict[str, Any]:
    """Return a model's ``config.json`` if it is here, else an empty mapping."""
    path = local_file(name, "config.json", revision)
    return {} if path is None else json.loads(path.read_text(encoding="utf-8"))


def public_name(name: str) -> str:
    """Return a model's name for others to read: of a folder on this machine, its last part."""
    path = Path(name)
    try:
        is_folder = path.is_absolute() or name.startswith("~") or path.is_dir()
    except (OSError, ValueError):  # no name of a file
        is_folder = False
    return path.name if is_folder else name
