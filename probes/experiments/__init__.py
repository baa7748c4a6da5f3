"""Experiments that could prove a vector wrong: one module each.

Every experiment has the same shape: `Materials` in, a `Measured` out, figures made from what was
measured. Its module holds them as ``EXPERIMENT``; this page lists them in the order in which they
are run. Each leaves one file, ``analysis/NAME.json`` (underscores for hyphens).

Contract
--------
* Importing this package imports no experiment and no torch.
* What an experiment leaves can be read, shown and drawn without running anything again.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hooks.errors import InvalidInput

if TYPE_CHECKING:
    from probes.figures import Figure
    from probes.runs.materials import Materials


@dataclass(frozen=True)
class Measured:
    """What an experiment found.

    Attributes
    ----------
    values
        Plain values as JSON holds them: all that the figures need, and n, intervals, controls.
    rows
        The few lines that belong in the table of a run: what, value with interval and control.
    paragraph
        What was asked, what was found, what could have shown otherwise; for the report.
    limits
        One sentence for each thing that was missing or weak in this run.
    """

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
class Experiment:
    """One experiment.

    Attributes
    ----------
    measure
        Runs it.
    figures
        Descriptions by file name, from what `Measured.to_json` gave; none where nothing could be
        measured.
    """

    measure: "Callable[[Materials], Measured]"
    figures: "Callable[[Mapping[str, Any]], dict[str, Figure]]"


@dataclass(frozen=True)
class Entry:
    """Where an experiment is found (``wing.module`` below this package), and what it asks."""

    name: str
    module: str
    question: str

    @property
    def file(self) -> str:
        """What it leaves below a run's folder."""
        return f"analysis/{self.name.replace('-', '_')}.json"


EXPERIMENTS = (
    Entry(
        "held-out-topics",
        "decoding.held_out_topics",
        "do vectors name the emotion of stories on topics they never saw?",
    ),
    Entry("null-ladder", "decoding.null_ladder", "what is there without the model's own work?"),
    Entry(
        "human-ratings", "geometry.human_ratings", "do components follow how people rate the words?"
    ),
    Entry("clusters", "geometry.clusters", "do the emotions fall into the paper's clusters?"),
    Entry(
        "sample-size",
        "decoding.sample_size",
        "how reliable are the vectors, and how many stories do they need?",
    ),
    Entry(
        "confounds",
        "decoding.confounds",
        "what else than its emotion decides how high a story scores?",
    ),
    Entry(
        "sensitivity",
        "decoding.sensitivity",
        "how far do the headline statistics hang on choices of method?",
    ),
    Entry(
        "steering",
        "steering.steering_words",
        "does adding a vector make the model say that emotion's word?",
    ),
    Entry(
        "steering-dose-response",
        "steering.dose_response",
        "how much does a dose do, what does it cost, and where must it stop?",
    ),
    Entry(
        "free-text",
        "steering.free_text",
        "do steered texts convey the emotion to judges that did not steer?",
    ),
    Entry(
        "scenarios",
        "messages.scenarios",
        "does a message that implies an emotion, unnamed, point to its vector?",
    ),
    Entry(
        "intensity",
        "messages.intensity",
        "does a score follow the number that makes a message graver?",
    ),
    Entry(
        "preferences",
        "preferences.preferences",
        "do vectors follow what the model would rather do, and move it?",
    ),
)
NAMES = tuple(entry.name for entry in EXPERIMENTS)


def find_entries(names: Sequence[str]) -> list[Entry]:
    """Return entries by name, in the order of the list.

    Raises
    ------
    InvalidInput
        When a name is not an experiment's.
    """
    for name in names:
        if name not in NAMES:
            raise InvalidInput(f"unknown experiment {name!r}; expected one of: {', '.join(NAMES)}.")
    return [entry for entry in EXPERIMENTS if entry.name in names]


def find_experiment(name: str) -> Experiment:
    """Import an experiment."""
    [entry] = find_entries([name])
    return importlib.import_module(f"probes.experiments.{entry.module}").EXPERIMENT
