"""Under which terms a model comes, as far as this machine knows: nothing is fetched."""

import contextlib
from dataclasses import dataclass

from hooks.models import embedded
from hooks.models.local_files import local_file, public_name


@dataclass(frozen=True)
class License:
    """A model's terms: as the Hugging Face hub spells them, if known, and for people."""

    identifier: str | None
    words: str


def license_of(name: str, revision: str | None = None) -> License:
    """Return the terms of a model named as for `hooks.load`."""
    key = name.removeprefix(embedded.PREFIX)
    if embedded.is_embedded(name) and key in embedded.EMBEDDED:
        model = embedded.EMBEDDED[key]
        return License(model.license_id, model.license)
    if page := local_file(name, "README.md", revision):
        from huggingface_hub import ModelCard

        text = page.read_text(encoding="utf-8")
        with contextlib.suppress(ValueError):  # front matter that is no mapping
            terms = getattr(ModelCard(text, ignore_metadata_errors=True).data, "license", None)
            if isinstance(terms, str):
                return License(terms, terms)
    return License(
        None, f"not known on this machine: read the terms of {public_name(name)} before you share"
    )


def hub_id(name: str) -> str | None:
    """Return a model's id on the hub; None for a folder of this machine."""
    if embedded.is_embedded(name):
        model = embedded.EMBEDDED.get(name.removeprefix(embedded.PREFIX))
        return None if model is None else model.hub
    return name if public_name(name) == name and name.count("/") == 1 else None
