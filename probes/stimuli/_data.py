"""Read the data files that travel inside this package: from a checkout, a wheel or a zip."""

from importlib.resources import files
from typing import Any

import yaml

_FOLDER = files("probes.stimuli") / "data"
_CORPORA = files("probes.stimuli") / "corpora"


def read_text(name: str) -> str:
    """Return the text of one data file."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def read_yaml(name: str) -> Any:
    """Return the parsed content of one YAML data file; libyaml, where there is one, is faster."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(read_text(name), loader)  # noqa: S506 - both are safe


def read_corpus_file(corpus: str, name: str) -> str:
    """Return the text of one file of a corpus."""
    return (_CORPORA / corpus / name).read_text(encoding="utf-8")
