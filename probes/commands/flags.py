"""A command's flags as one pydantic model: types, limits, meanings, help and errors."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hooks.errors import InvalidInput

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a number",
    "greater_than_equal": "{ge:g} or more",
    "greater_than": "a number above {gt:g}",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
    "value_error": "{error}",
}
"""What was expected, by pydantic's kinds of errors or the type that they begin with."""


def listed(value: Any) -> list[str]:
    """Return names with commas between them as a list."""
    if value is None:
        return []
    parts = value if isinstance(value, tuple | list) else str(value).split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _switched(value: Any) -> bool:
    if (word := str(value).lower()) not in ("true", "false"):
        raise ValueError("no value, true or false")
    return word == "true"


BARE = {"bare": True}
"""Of a flag that may stand alone, which is the value ``true``."""
LISTED = BeforeValidator(listed)
Switch = Annotated[bool, BeforeValidator(_switched)]
Names = Annotated[tuple[str, ...], LISTED]


def flag(meaning: str, default: Any = None, **limits: Any) -> Any:
    """Describe a flag; a default that is a number or a word is shown behind its meaning."""
    shown = isinstance(default, int | float | str) and not isinstance(default, bool)
    return Field(default, description=f"{meaning} ({default})" if shown else meaning, **limits)


def aligned(meanings: Mapping[str, str], dashes: str = "") -> str:
    """Lay out names and what they mean in two columns."""
    width = max(map(len, meanings))
    lines = [f"  {dashes}{name:<{width}}  {meaning}" for name, meaning in meanings.items()]
    return "\n".join(lines)


class Flags(BaseModel):
    """The flags of every command."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
    usage: ClassVar[str] = ""  # what follows the command's name

    quiet: Switch = flag("no progress, only tables and errors", False)
    as_json: Switch = flag("one JSON object on standard output, nothing else", False, alias="json")

    @classmethod
    def name(cls) -> str:
        """Return what is typed, and the module of the command's code."""
        return cls.__name__.lower()

    @classmethod
    def summary(cls) -> str:
        """Say in one line what the command does."""
        line = (cls.__doc__ or "").rstrip(".")
        return line[:1].lower() + line[1:]

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Return every flag with what it means, the command's own first."""
        fields = sorted(cls.model_fields.items(), key=lambda item: item[0] in Flags.model_fields)
        return {field.alias or name: field.description or "" for name, field in fields}

    @classmethod
    def switches(cls) -> list[str]:
        """Return the flags that need no value."""
        return [
            field.alias or name
            for name, field in cls.model_fields.items()
            if field.annotation is bool or field.json_schema_extra == BARE
        ]

    @classmethod
    def help(cls) -> str:
        """Return what ``emotion-probes NAME --help`` prints."""
        meanings = cls.meanings()
        if issubclass(cls, RunFlags):
            meanings["section.key=value"] = "any setting of the config"
        title = f"emotion-probes {cls.name()} {cls.usage}"
        return f"{title}\n\n  {cls.summary()}\n\n{aligned(meanings, '--')}\n"

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Flags":
        """Check the flags of one call; InvalidInput says what was expected and what came."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InvalidInput("\n".join(map(cls._explained, error.errors()))) from error

    @classmethod
    def nearest(cls, name: str) -> str | None:
        """Return the command's flag that is most like this one, if any is."""
        return next(iter(difflib.get_close_matches(name, cls.meanings(), n=1)), None)

    @classmethod
    def _explained(cls, item: Any) -> str:
        name, kind, meanings = item["loc"][0], item["type"], cls.meanings()
        if kind == "extra_forbidden":
            near = cls.nearest(name)
            hint = f"did you mean --{near}?" if near else f"expected one of: {', '.join(meanings)}."
            return f"{cls.name()}: unknown flag --{name}; {hint}"
        if kind == "missing":
            return f"--{name}: expected {meanings[name]}, got nothing."
        template = _EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0]) or item["msg"]
        expected = template.format(**item.get("ctx", {})).replace("'", "")
        return f"--{name}: expected {expected}, got {item['input']!r}."


class RunFlags(Flags):
    """The flags of a command on a run: any other flag is a setting of the config."""

    config: str | None = flag("the same as CONFIG")
