"""Results that are still mappings; each experiment leaves this module when it has its own class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.figures import Figure
    from probes.runs.materials import Materials


@dataclass(frozen=True)
class Measured:
    """What an experiment measured, as a mapping."""

    values: dict[str, Any]
    rows: Sequence[tuple[str, str]]
    paragraph: str
    limits: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return one mapping: the values beside rows, paragraph and limits."""
        return {
            **self.values,
            "rows": [list(row) for row in self.rows],
            "paragraph": self.paragraph,
            "limits": list(self.limits),
        }


@dataclass(frozen=True)
class _Read:
    content: Mapping[str, Any]
    draw: "Callable[[Mapping[str, Any]], dict[str, Figure]]"

    def figures(self) -> "dict[str, Figure]":
        return self.draw(self.content)


@dataclass(frozen=True)
class Experiment:
    """One experiment whose result is a mapping."""

    measure: "Callable[[Materials], Measured]"
    figures: "Callable[[Mapping[str, Any]], dict[str, Figure]]"

    def read(self, content: Mapping[str, Any]) -> Any:
        """Return something that can be drawn."""
        return _Read(content, self.figures)
