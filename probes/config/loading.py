"""From a config's name to its checked settings: find the file, read it, apply overrides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hooks.errors import InvalidInput
from probes.config.checks import check_values
from probes.config.mistakes import explain
from probes.config.whole import Config


def config_folder() -> Path:
    """Folder of the configs that come with the project: of the checkout, or inside the wheel."""
    here = Path(__file__).resolve().parent.parent
    return next(path for path in (here / "configs", here.parent / "configs") if path.is_dir())


def find_config(name: str) -> Path:
    """Return the path of a config given as a path or as the name of a file in `configs/`."""
    for path in (Path(name), config_folder() / f"{name}.yaml", config_folder() / name):
        if path.is_file():
            return path
    from hooks.models.embedded import is_embedded

    if is_embedded(name):
        raise InvalidInput(
            f"expected a config, got {name}: vectors that come with the package are for app, "
            "export, score, steer and sweep. To make a run with that model, give it to a config: "
            f"demo --model.name={name}"
        )
    known = sorted(path.stem for path in config_folder().glob("*.yaml"))
    raise InvalidInput(
        f"config {name!r} not found: expected a path to a YAML file, or one of {', '.join(known)}."
    )


class _OnceEach(yaml.SafeLoader):
    """Refuse a key that stands twice in one mapping: YAML itself would keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str) and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is given twice; keep one", key.start_mark
                )
            seen[name if isinstance(name, str) else id(key)] = True
        return super().construct_mapping(node, deep)


def load_config(name: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, apply overrides and check everything.

    Parameters
    ----------
    name
        A path, or the name of a file in `configs/`.
    overrides
        Dotted keys to values, e.g. ``{"model.name": "gpt2", "seed": 1}``.

    Raises
    ------
    InvalidInput
        With the nearest valid key, or what the value should have been.
    """
    path = find_config(name)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _OnceEach)  # noqa: S506 - it is safe
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: expected a YAML file; {error}") from error
    except RecursionError:
        raise InvalidInput(f"{path}: expected a YAML file; it is nested too deeply.") from None
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot be read: {error.strerror}. Check its permissions, or copy it."
        ) from error
    if not isinstance(values, dict):
        raise InvalidInput(f"{path}: expected a mapping of settings, got {type(values).__name__}.")
    for key, value in (overrides or {}).items():
        *sections, last = key.split(".")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise InvalidInput(f"--{key}: {name!r} is a value, not a section of settings.")
        section[last] = value
    return parse_config(values, str(path))


def parse_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Turn a mapping into a checked `Config`; see `load_config`."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise InvalidInput("\n".join(explain(source, item) for item in error.errors())) from error
    check_values(config, source)
    return config
