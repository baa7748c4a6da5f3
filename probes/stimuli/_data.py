"""Read the data files that travel inside this package.

Contract: a file is found through `importlib.resources`, so it works from a checkout, a wheel and a
zip; it is UTF-8. What a file means is not known here.
"""

from importlib.resources import files
from typing import Any

import yaml

_FOLDER = files("probes.stimuli") / "data"


def read_text(name: str) -> str:
    """Return the text of one data file."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def read_yaml(name: str) -> Any:
    """Return the parsed content of one YAML data file."""
    return yaml.safe_load(read_text(name))
