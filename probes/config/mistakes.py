"""What a wrong setting is answered with; a value that may be a key is never repeated."""

import difflib
from typing import Any

from probes.config.sections import Section
from probes.config.whole import Config

_SECTIONS = {
    name: field.annotation.model_fields
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
# A key is typed here by mistake; these settings' values are never shown.
_MAY_HOLD_A_KEY = (
    "generation.api_key_env",
    "generation.base_urls",
    "validation.api_key_env",
    "validation.judge_base_url",
)


def valid_keys() -> list[str]:
    """Return every dotted key a config may have."""
    return [
        key
        for name in Config.model_fields
        for key in ([f"{name}.{key}" for key in _SECTIONS.get(name, ())] or [name])
    ]


def nearest_key(key: str) -> str | None:
    """Return the valid key most like this one, if any is."""
    by_last = {valid.rsplit(".", 1)[-1]: valid for valid in reversed(valid_keys())}
    last = key.rsplit(".", 1)[-1]
    if last in by_last:
        return by_last[last]
    if close := difflib.get_close_matches(key, [*valid_keys(), *Config.model_fields], 1, 0.5):
        return close[0]
    near = difflib.get_close_matches(last, list(by_last), 1, 0.6)
    return by_last[near[0]] if near else None


def explain(source: str, item: Any) -> str:
    """Say in one line what one of pydantic's errors means to whoever wrote the config."""
    loc = item["loc"]
    depth = 2 if f"{loc[0]}" in _SECTIONS else 1
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
