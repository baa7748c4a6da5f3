"""Messages whose writer feels one thing, while a good reply would have another mood.

Source: `data/replies.yaml`, written for this project; no text names an emotion (held by a test).
"""

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from probes.stimuli._data import read_yaml


@dataclass(frozen=True)
class ReplyMessage:
    """A user's message, what its writer feels, and the mood of a good reply, likeliest first."""

    id: str
    text: str
    implies: tuple[str, ...]
    asks: tuple[str, ...]


@cache
def reply_messages() -> tuple[ReplyMessage, ...]:
    """Return 32 messages, two for each of sixteen feelings: a question and a statement."""
    return TypeAdapter(tuple[ReplyMessage, ...]).validate_python(read_yaml("replies.yaml"))
