"""Messages and activities that experiments show a model: scenarios, intensity, preferences.

None of the scenarios and intensity texts contains a word that names its emotion or a synonym (held
by a test). All written for this project; the themes of the intensity templates are the paper's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from probes.stimuli._data import read_yaml


@dataclass(frozen=True)
class Scenario:
    """One message that implies an emotion, or none."""

    battery: str
    """``"first"``, ``"held-out"`` or ``"neutral"``."""
    emotion: str | None
    text: str


@dataclass(frozen=True)
class Expectation:
    """What rises (1) or falls (-1) with a template's number: the first of `emotions` there is."""

    sign: int
    emotions: tuple[str, ...]


@dataclass(frozen=True)
class IntensityTemplate:
    """A message in which one number decides how grave things are, and a neutral sentence."""

    name: str
    text: str
    neutral: str
    numbers: tuple[int, ...]
    expects: tuple[Expectation, ...]


@dataclass(frozen=True)
class Activity:
    """Something a model could be asked to do."""

    category: str
    text: str


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Return two batteries, four messages for each of twelve emotions, then six of none."""
    content = dict(read_yaml("scenarios.yaml"))
    neutral = {"neutral": {None: content.pop("neutral")}}
    return tuple(
        Scenario(battery, emotion, text)
        for battery, messages in {**content, **neutral}.items()
        for emotion, texts in messages.items()
        for text in texts
    )


@cache
def intensity_templates() -> tuple[IntensityTemplate, ...]:
    """Return twelve templates with two expectations each."""
    read = TypeAdapter(IntensityTemplate).validate_python
    return tuple(read({"name": name, **row}) for name, row in read_yaml("intensity.yaml").items())


@cache
def activities() -> tuple[Activity, ...]:
    """Return 64 activities, eight in each of eight categories."""
    rows: Mapping[str, list[str]] = read_yaml("activities.yaml")
    return tuple(Activity(category, text) for category, texts in rows.items() for text in texts)
