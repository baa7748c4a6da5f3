"""Claims that anybody can judge, true and false ones that differ in one word.

They name no emotion and take no side: whether a model agrees depends on what it knows.
"""

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from probes.stimuli._data import read_yaml


@dataclass(frozen=True)
class ClaimPair:
    """A true sentence, and a false one that differs in one word."""

    id: str
    true: str
    false: str


@cache
def claims() -> tuple[ClaimPair, ...]:
    """Return 32 pairs."""
    return TypeAdapter(tuple[ClaimPair, ...]).validate_python(read_yaml("claims.yaml"))
