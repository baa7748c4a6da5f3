"""Experiments that could prove a vector wrong: one module each, in wings by what they ask.

Every experiment has the same shape: `Materials` in, a frozen dataclass out that is a `Result`,
whose methods say what was found and draw it. Its module holds it as ``EXPERIMENT``; this page lists
them in the order in which they are run. Each leaves one file, ``analysis/NAME.json`` (underscores
for hyphens): the fields of the result and what it says in words, which can be read, shown and drawn
without running anything again. Importing this package imports no experiment and no torch.
"""

import abc
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hooks.errors import InvalidInput
from probes.analysis.findings import Finding, RunNumber
from probes.analysis.results import plain_values, read_result

if TYPE_CHECKING:
    from probes.figures import Figure
    from probes.runs.materials import Materials


class Result(abc.ABC):
    """What an experiment measured; a frozen dataclass of plain values is made from it.

    Fields hold what JSON holds: all that the words and figures need, with n, intervals and
    controls.
    """

    @abc.abstractmethod
    def findings(self) -> Sequence[Finding]:
        """Say what was found, the most important first; lines, claims and limits come from it."""

    @abc.abstractmethod
    def paragraph(self) -> str:
        """Tell what was asked, what was found, and what could have shown otherwise."""

    def limits(self) -> Sequence[str]:
        """One sentence for each thing that was weak in this run and is no finding."""
        return ()

    def figures(self) -> "dict[str, Figure]":
        """Descriptions by file name."""
        return {}

    def paper_numbers(self) -> Mapping[str, RunNumber | str]:
        """Return what stands beside the paper's numbers, by their names, or why nothing does."""
        return {}


@dataclass(frozen=True)
class NotMeasured(Result):
    """What an experiment leaves where a run has too little: what it needs, and what the run has."""

    name: str
    not_measured: str

    def findings(self) -> Sequence[Finding]:
        """Say that there is none."""
        return [Finding(self.name, None, "not measured", note=self.not_measured)]

    def paragraph(self) -> str:
        """Say what was missing."""
        return f"{self.name}: {self.not_measured}."


ResultT = TypeVar("ResultT", bound=Result)
_BESIDE = {"experiment", "question", "seconds", "claims", "rows", "paragraph", "limits"}
"""What stands beside the fields of a result in its file."""


@dataclass(frozen=True)
class Experiment(Generic[ResultT]):
    """One experiment: the class of its result, and the function that measures it."""

    result: type[ResultT]
    measure: "Callable[[Materials], ResultT | NotMeasured]"

    def read(self, content: Mapping[str, Any]) -> ResultT | NotMeasured:
        """Make the result of what `to_json` gave; DataError when it is damaged or too old."""
        if [content[field] for field in content.keys() - _BESIDE] == [None]:
            # What earlier versions left where a run had too little: one empty field, and words.
            name, _, why = content["paragraph"].removesuffix(".").partition(": ")
            return NotMeasured(name, why)
        kind = NotMeasured if "not_measured" in content else self.result
        return read_result(kind, content, content.get("experiment", kind.__name__), "validate")


def to_json(result: Result) -> dict[str, Any]:
    """Return the fields of a result as plain values, and what it says in words beside them."""
    findings = result.findings()
    limits = filter(None, (finding.limit for finding in findings))
    return {
        **plain_values(result),
        "claims": [[finding.name, finding.short] for finding in findings if finding.headline],
        "rows": [[finding.name, finding.line] for finding in findings],
        "paragraph": result.paragraph(),
        "limits": [*limits, *result.limits()],
    }


@dataclass(frozen=True)
class Words:
    """What a file says in words, beside its numbers; lines of a table are (what, value)."""

    rows: Sequence[tuple[str, str]]
    paragraph: str
    limits: Sequence[str]
    question: str = ""
    claims: Sequence[tuple[str, str]] = ()


def read_words(name: str, content: Mapping[str, Any]) -> Words:
    """Return what an experiment's file says in words; raises as `Experiment.read`."""
    return read_result(Words, content, name, "validate")


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


_QUESTIONS = {
    "expression.expression": "does what one way of expressing an emotion teaches read the others?",
    "pasts.same_words": "do the same words carry what came before them?",
    "pasts.negation": "is an emotion read less where it is denied?",
    "pasts.recall": "is the past fetched by attention, or was it written earlier?",
    "pasts.binding": "does a mention of one of two people carry that one's fate?",
    "pasts.dose": "do the words after a number tell how grave it made things?",
    "pasts.persistence": "does what is read at one token last along a text?",
    "decoding.held_out_topics": "do vectors name the emotion of stories on topics they never saw?",
    "decoding.null_ladder": "what is there without the model's own work?",
    "geometry.human_ratings": "do components follow how people rate the words?",
    "geometry.clusters": "do the emotions fall into the paper's clusters?",
    "decoding.sample_size": "how reliable are the vectors, and how many stories do they need?",
    "decoding.confounds": "what else than its emotion decides how high a story scores?",
    "decoding.sensitivity": "how far do the headline statistics hang on choices of method?",
    "expression.writing": "do vectors learned from one way make endings of another way likelier?",
    "steering.steering_words": "does adding a vector make the model say that emotion's word?",
    "steering.dose_response": "how much does a dose do, what does it cost, and where must it stop?",
    "steering.free_text": "do steered texts convey the emotion to judges that did not steer?",
    "steering.agreement": "does steering make the model agree with what is false?",
    "messages.scenarios": "does a message that implies an emotion, unnamed, point to its vector?",
    "messages.intensity": "does a score follow the number that makes a message graver?",
    "messages.reply": "does the token before a reply foretell the reply's emotions?",
    "dialogues.speakers": "is the other's emotion kept apart from the speaker's own?",
    "dialogues.deflection": "is a feeling that is hidden read in words that show another?",
    "preferences.preferences": "do vectors follow what the model would rather do, and move it?",
}
"""By module below this package, in the order in which they are run."""
_NAMES = {
    "steering_words": "steering",
    "dose_response": "steering-dose-response",
    "writing": "expression-steering",
}
"""What experiments are called that are not called as their module."""


def _entry(module: str, question: str) -> Entry:
    stem = module.partition(".")[2]
    return Entry(_NAMES.get(stem, stem.replace("_", "-")), module, question)


EXPERIMENTS = tuple(map(_entry, _QUESTIONS, _QUESTIONS.values()))
NAMES = tuple(entry.name for entry in EXPERIMENTS)
TIERS: Mapping[str, Sequence[str]] = {
    "core": (
        "expression",
        "same-words",
        "negation",
        "held-out-topics",
        "null-ladder",
        "human-ratings",
        "clusters",
        "sample-size",
        "steering",
    ),
    "all": NAMES,
}
"""Names that stand for several experiments: what a first look needs, and everything."""


def find_entries(names: Sequence[str]) -> list[Entry]:
    """Return entries by name or tier, in order; `InvalidInput` for an unknown one."""
    for name in names:
        if name not in (*TIERS, *NAMES):
            raise InvalidInput(
                f"unknown experiment {name!r}; expected {' or '.join(TIERS)}, or one of: "
                f"{', '.join(NAMES)}."
            )
    chosen = {each for name in names for each in TIERS.get(name, (name,))}
    return [entry for entry in EXPERIMENTS if entry.name in chosen]


def find_experiment(name: str) -> Experiment:
    """Import an experiment."""
    [entry] = find_entries([name])
    return importlib.import_module(f"probes.experiments.{entry.module}").EXPERIMENT
