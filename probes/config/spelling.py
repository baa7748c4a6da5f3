"""What a setting typed on the command line means: text stays text, letter by letter.

Numbers are left to pydantic, which reads them from their spelling as it does in a file.
"""

from types import NoneType
from typing import Any, get_args, get_origin

import yaml

from hooks.errors import InvalidInput
from probes.config.sections import Section
from probes.config.whole import Config


def typed(key: str, value: Any) -> Any:
    """Return the value of a setting as a config file would hold it; InvalidInput for bad YAML."""
    kinds = _kinds(_annotation(key))
    if not isinstance(value, str) or not kinds:
        return value
    if value == "null" and NoneType in kinds:
        return None
    if (value.startswith("[") and list in kinds) or (value.startswith("{") and dict in kinds):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InvalidInput(f"--{key}: expected a list or a mapping in YAML; {error}") from error
    if list in kinds and not (int in kinds and value.lstrip("-").isdigit()):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def is_switch(key: str) -> bool:
    """Tell whether a setting is on or off, so that its name alone switches it on."""
    return _annotation(key) is bool


def _annotation(key: str) -> Any:
    """Return a setting's type; None for a key that no config has."""
    kind: Any = Config
    for name in key.split("."):
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, Section) else {}
        if name not in fields:
            return None
        kind = fields[name].annotation
    return kind


def _kinds(annotation: Any) -> set[Any]:
    """Return the types of which a value may be, without what they hold."""
    origin = get_origin(annotation)
    if origin in (list, dict):
        return {origin}
    if args := get_args(annotation):
        return {kind for arg in args for kind in _kinds(arg)}
    return {annotation}
