"""What was typed: words, a command's own flags, settings of the config; and what they mean.

Contract: knows shells and configs; does no work and writes nothing. Wrong flags and settings are
refused here, before any work.
"""

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hooks.errors import InvalidInput
from probes.commands.terminal import Terminal
from probes.config import Config, load_config, nearest_key
from probes.runs.folder import Run


@dataclass(frozen=True)
class Call:
    """One call of a command.

    Attributes
    ----------
    words
        What stands after the command's name and is no flag.
    flags
        The command's own flags, as Python values.
    settings
        Other flags: dotted keys of the config and their values.
    """

    words: list[str]
    flags: dict[str, Any]
    settings: dict[str, Any]
    terminal: Terminal

    def run(self) -> Run:
        """Return the run of the config that the first word or ``--config`` names.

        Raises
        ------
        InvalidInput
            When there is none or more than one, or a setting is wrong.
        """
        named = [str(self.flags["config"])] if "config" in self.flags else []
        if not [*named, *self.words]:
            raise InvalidInput("expected a config: a YAML file or the name of one in configs/.")
        source, *more = [*named, *self.words]
        if more:
            raise InvalidInput(
                f"expected one config, got {source} and then: {' '.join(more)}. A value of several "
                'words wants quotes, as in --text "two words".'
            )
        return Run(load(source, self.settings), again(source, self.settings))


def switched(flag: str, value: Any) -> bool:
    """Read a flag that takes no value, or true or false.

    Raises
    ------
    InvalidInput
        For any other value.
    """
    said = str(value).lower()
    if said not in ("true", "false"):
        raise InvalidInput(f"--{flag}: expected no value, true or false, got {value!r}.")
    return said == "true"


def refuse_unknown(flags: Iterable[str], known: Sequence[str], command: str) -> None:
    """Refuse a flag that a command does not have, with the nearest that it has.

    Raises
    ------
    InvalidInput
        Naming the flag.
    """
    for flag in flags:
        if flag not in known:
            near = difflib.get_close_matches(flag, known, n=1)
            hint = f"did you mean --{near[0]}?" if near else f"expected one of: {', '.join(known)}."
            raise InvalidInput(f"{command}: unknown flag --{flag}; {hint}")


def refuse_misspelled(flags: Iterable[str], known: Sequence[str], command: str) -> None:
    """Refuse what is neither a flag of a command nor like any setting of the config.

    A flag like one of the command's own is taken for that, misspelled; the rest is left to the
    config, which knows its settings.

    Raises
    ------
    InvalidInput
        Naming the flag.
    """
    words = [flag for flag in flags if "." not in flag and flag not in Config.model_fields]
    own = [word for word in words if difflib.get_close_matches(word, known, n=1)]
    refuse_unknown(own or [word for word in words if nearest_key(word) is None], known, command)


def load(source: str, settings: Mapping[str, Any]) -> Config:
    """Load a config with the settings of the command line."""
    return load_config(source, {key: _value(key, value) for key, value in settings.items()})


def again(source: str, settings: Mapping[str, Any]) -> str:
    """Spell a config and the flags that change it, as a shell takes them, for cures."""

    def spelled(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

    return shlex.join([source, *(f"--{key}={spelled(value)}" for key, value in settings.items())])


def listed(value: Any) -> list[str]:
    """Return a flag's names: Fire gives a tuple, a list or a string with commas."""
    if value is None:
        return []
    parts = value if isinstance(value, tuple | list) else str(value).split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _value(key: str, value: Any) -> Any:
    """Undo what a shell cannot say: null, and lists whose names hold spaces."""
    if value == "null":  # Fire knows Python's None; "none" is a value of vectors.neutral_pca
        return None
    if isinstance(value, str) and (key.endswith("_subset") or key == "validation.experiments"):
        return listed(value)
    return value
