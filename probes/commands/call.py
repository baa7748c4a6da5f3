"""What was typed: words, a command's own flags, settings of the config; refused here if wrong."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import fire

from hooks.errors import InvalidInput
from probes.commands import COMMANDS, Pipeline
from probes.commands.flags import Flags, RunFlags, listed
from probes.commands.terminal import Terminal
from probes.config import Config, load_config, nearest_key
from probes.runs.folder import Run

F = TypeVar("F", bound=Flags)


@dataclass(frozen=True)
class Call(Generic[F]):
    """One call of a command: what is no flag, its own flags, and settings by dotted key."""

    words: list[str]
    flags: F
    settings: dict[str, Any]
    terminal: Terminal

    def run(self) -> Run:
        """Return the run of the config that the first word or ``--config`` names."""
        config = getattr(self.flags, "config", None)
        named = [*([config] if config else []), *self.words]
        if not named:
            raise InvalidInput("expected a config: a YAML file or the name of one in configs/.")
        if len(named) > 1:
            raise InvalidInput(
                f"expected one config, got {named[0]} and then: {' '.join(named[1:])}. A value of "
                'several words wants quotes, as in --text "two words".'
            )
        return run_of(named[0], self.settings)


def read_call(typed: Sequence[str], terminal: Terminal) -> Call[Flags]:
    """Read what was typed; InvalidInput names a wrong flag and the nearest there is."""
    positional, values = _parse(typed)
    kind = COMMANDS.get(positional[0], Pipeline) if positional else Pipeline
    known = kind.meanings()
    settings = {name: value for name, value in values.items() if name not in known}
    strange = list(settings)
    if issubclass(kind, RunFlags):  # neither a flag of a command nor like any setting of the config
        words = [name for name in settings if "." not in name and name not in Config.model_fields]
        strange = [name for name in words if kind.nearest(name) or not nearest_key(name)]
    given = {name: value for name, value in values.items() if name in known or name in strange}
    rest = positional if kind is Pipeline else positional[1:]
    return Call(rest, kind.read(given), settings, terminal)


def _parse(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    parsed: list[tuple[list[str], dict[str, Any]]] = []

    def collect(*positional: str, **flags: Any) -> None:
        parsed.append(([str(word) for word in positional], flags))

    fire.Fire(collect, command=list(_for_fire(words)), name="emotion-probes")
    return parsed[0]


def _for_fire(words: Sequence[str]) -> Iterator[str]:
    """Spell words so that Fire takes a switch for a switch and a user's text letter by letter."""
    kinds = [Pipeline, *COMMANDS.values()]
    switches = [f"--{name}" for kind in kinds for name in kind.switches()]
    named = next((COMMANDS[word] for word in words[:3] if word in COMMANDS), Pipeline)
    verbatim = [f"--{name}" for name in named.verbatim()]
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word[:2] + word[2:].replace("-", "_") in switches:
            yield f"{word}=True"  # Fire would take the next word for its value
        elif name in verbatim:  # Fire would read "1, 2" as a tuple
            yield f"{name}={(value if equals else next(rest, ''))!r}"
        else:
            yield word


def run_of(source: str, settings: Mapping[str, Any]) -> Run:
    """Return the run of a config with the settings of the command line."""

    def spelled(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

    config = load_config(source, {key: _value(key, value) for key, value in settings.items()})
    flags = [f"--{key}={spelled(value)}" for key, value in settings.items()]
    return Run(config, shlex.join([source, *flags]))  # as a shell takes it, for cures


def _value(key: str, value: Any) -> Any:
    if isinstance(value, str) and (key.endswith("_subset") or key == "validation.experiments"):
        return None if value == "null" else listed(value)  # names may hold spaces
    # Fire knows Python's None alone; "none" is a value of vectors.neutral_pca.
    return None if value == "null" else value
