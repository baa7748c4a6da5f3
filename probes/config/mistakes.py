"""What a wrong setting is answered with; a value that may be a key is never repeated."""

import difflib
from typing import Any

from probes.config.sections import Section
from probes.config.whole import Config


def _sections() -> dict[str, type[Section]]:
    fields = {name: field.annotation for name, field in Config.model_fields.items()}
    return {
        name: kind
        for name, kind in fields.items()
        if isinstance(kind, type) and issubclass(kind, Section)
    }


def valid_keys() -> list[str]:
    """Every dotted key a config may have."""
    keys = []
    sections = _sections()
    for name in Config.model_fields:
        inner = sections[name].model_fields if name in sections else None
        keys += [name] if inner is None else [f"{name}.{key}" for key in inner]
    return keys


def nearest_key(key: str) -> str | None:
    """Return the valid key most like this one, if any is."""
    by_last = {valid.rsplit(".", 1)[-1]: valid for valid in reversed(valid_keys())}
    own_name = key.rsplit(".", 1)[-1]
    if own_name in by_last:
        return by_last[own_name]
    sections = [name for name in Config.model_fields]
    close = difflib.get_close_matches(key, [*valid_keys(), *sections], n=1, cutoff=0.5)
    if close:
        return close[0]
    last = difflib.get_close_matches(own_name, list(by_last), n=1, cutoff=0.6)
    return by_last[last[0]] if last else None


_MAY_HOLD_A_KEY = (
    "generation.api_key_env",
    "generation.base_urls",
    "validation.api_key_env",
    "validation.judge_base_url",
)
"""Settings into which a key is typed by mistake; their values are never shown."""


def explain(source: str, item: Any) -> str:
    """Say in one line what one of pydantic's errors means to whoever wrote the config."""
    loc = item["loc"]
    depth = 2 if f"{loc[0]}" in _sections() else 1
    # After the setting's own name come pydantic's names for the types it tried.
    key = ".".join(str(part) for i, part in enumerate(loc) if i < depth or isinstance(part, int))
    if item["type"] == "extra_forbidden":
        nearest = nearest_key(key)
        hint = f"; did you mean {nearest!r}?" if nearest else "."
        return f"{source}: unknown setting {key!r}{hint}"
    if item["type"] == "missing":
        return f"{source}: the setting {key!r} is missing."
    if key.startswith(_MAY_HOLD_A_KEY):
        return f"{source}: {key}: {item['msg']}."
    return f"{source}: {key}: {item['msg']}, got {item['input']!r}."
