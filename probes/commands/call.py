"""What was typed: words, a command's own flags, settings of the config; refused here if wrong."""

import difflib
import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hooks.errors import InvalidInput
from probes.commands import COMMANDS, Pipeline
from probes.commands.flags import Flags, RunFlags
from probes.commands.terminal import Terminal
from probes.config import Config, is_switch, load_config, nearest_key, typed
from probes.runs.folder import Run
from probes.stages import NAMES

F = TypeVar("F", bound=Flags)


@dataclass(frozen=True)
class Call(Generic[F]):
    """One call of a command: what is no flag, its own flags, and settings by dotted key."""

    words: list[str]
    flags: F
    settings: dict[str, Any]
    terminal: Terminal

    def run(self, *, or_shipped: bool = False) -> Run:
        """Return the run of the config that the first word or ``--config`` names.

        With `or_shipped` it may be the name of vectors that come with the package.
        """
        config = getattr(self.flags, "config", None)
        named = [*([config] if config else []), *self.words]
        if not named:
            raise InvalidInput("expected a config: a YAML file or the name of one in configs/.")
        if len(named) > 1:
            raise InvalidInput(
                f"expected one config, got {named[0]} and then: {' '.join(named[1:])}. A value of "
                'several words wants quotes, as in --text "two words".'
            )
        return run_of(named[0], self.settings, or_shipped=or_shipped)


def read_call(typed: Sequence[str], terminal: Terminal) -> Call[Flags]:
    """Read what was typed; InvalidInput names a wrong flag and the nearest there is."""
    positional, values = _split(typed)
    kind = COMMANDS.get(positional[0], Pipeline) if positional else Pipeline
    known = kind.meanings()
    settings = {name: value for name, value in values.items() if name not in known}
    strange = list(settings)
    if issubclass(kind, RunFlags):  # neither a flag of a command nor like any setting of the config
        words = [name for name in settings if "." not in name and name not in Config.model_fields]
        strange = [name for name in words if kind.nearest(name) or not nearest_key(name)]
    given = {name: value for name, value in values.items() if name in known or name in strange}
    bare = [name for name, value in values.items() if value is None and name not in strange]
    if bare:
        raise InvalidInput(
            f"--{bare[0]}: expected a value, got nothing. One that begins with dashes is given as "
            f"--{bare[0]}=--VALUE."
        )
    rest = positional if kind is Pipeline else positional[1:]
    return Call(rest, kind.read(given), settings, terminal)


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """Tell words from flags, each value letter by letter as it was typed; None where it lacks."""
    positional: list[str] = []
    values: dict[str, str | None] = {}
    rest = deque(_checked(words))
    switches = {name for kind in (Pipeline, *COMMANDS.values()) for name in kind.switches()}
    while rest:
        word = rest.popleft()
        dashed, equals, value = word.partition("=")
        if not word.startswith("--") or word == "--":
            positional.append(word)
            continue
        # Sections and their settings have underscores; what is typed may have dashes.
        name = dashed[2:].replace("-", "_")
        if not equals:
            is_on = name in switches or is_switch(name)
            follows = bool(rest) and not rest[0].startswith("--")
            value = "true" if is_on else rest.popleft() if follows else None
        if name in values:
            raise InvalidInput(
                f"--{name} is given twice: {values[name]!r}, then {value!r}. Give it once."
            )
        values[name] = value
    return positional, values


def _checked(words: Sequence[str]) -> Sequence[str]:
    for word in words:
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise InvalidInput(
                f"expected words in UTF-8, got {word!r}: bytes of another encoding. Convert them, "
                "or rename the file."
            )
    return words


def mistyped(word: str) -> str:
    """Return the hint for a word that is no command and no stage but like one, or nothing."""
    near = difflib.get_close_matches(word, [*COMMANDS, *NAMES, "run-all"], n=1, cutoff=0.7)
    return f" Did you mean {near[0]!r}?" if near else ""


def run_of(source: str, settings: Mapping[str, Any], *, or_shipped: bool = False) -> Run:
    """Return the run of a config with the settings of the command line; see `Call.run`."""
    values = {key: typed(key, value) for key, value in settings.items()}
    if or_shipped:
        from hooks.models.embedded import is_embedded

        if is_embedded(source):
            from probes.runs.shipped import ShippedRun  # needs torch

            return ShippedRun(source, values)
    config = load_config(source, values)
    flags = [f"--{key}={value}" for key, value in settings.items()]
    return Run(config, shlex.join([source, *flags]))  # as a shell takes it, for cures
