"""What a report says, as plain values: no drawing, no markup, texts as the run holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.analysis.findings import Estimate, Finding
from probes.figures import Figure
from probes.vectors.zero import Z_MEANS


@dataclass(frozen=True)
class Picture:
    """One figure and the name of its files."""

    name: str
    figure: Figure


@dataclass(frozen=True)
class Trial:
    """One experiment's result, as it left it; `columns` head rows wider than two.

    `first` is its most important finding: what is read of it while it is folded.
    """

    name: str
    question: str
    rows: Sequence[Sequence[str]]
    paragraph: str
    limits: Sequence[str]
    pictures: Sequence[Picture] = ()
    columns: Sequence[str] = ()
    first: Finding | None = None

    @property
    def title(self) -> str:
        """Name as a heading."""
        return self.name.replace("-", " ").replace("_", " ").capitalize()


@dataclass(frozen=True)
class HeatedStory:
    """One story cut into pieces where its tokens end, with the score of each piece.

    A score is the cosine with the vector of the story's emotion; `nearest` are the emotions nearest
    to the story's mean, with their cosines. `z` is how far the story as a whole lies above neutral
    text in its own emotion; None where no neutral text was read.
    """

    emotion: str
    topic: str
    pieces: Sequence[str]
    scores: Sequence[float]
    nearest: Sequence[tuple[str, float]]
    z: float | None = None

    @property
    def above_neutral(self) -> str:
        """Say the story's z; empty where there is none."""
        if self.z is None:
            return ""
        return f"As a whole: {self.emotion}, z {self.z:+.1f} ({Z_MEANS})."

    @property
    def strongest(self) -> list[str]:
        """The five pieces with the highest scores among those of three letters or more."""
        order = sorted(range(len(self.pieces)), key=lambda index: -self.scores[index])
        words = [self.pieces[index].strip() for index in order]
        return list(dict.fromkeys(word for word in words if sum(map(str.isalpha, word)) > 2))[:5]


@dataclass(frozen=True)
class Contents:
    """Everything a report says.

    `study` says what was asked and found, then how; `rungs` are what each rung of the null ladder
    reaches, by statistic; `rows` and `facts` are tables of (what, value); `map` is that of `maps`;
    `pictures` are the analysis' figures by name.
    """

    title: str
    study: Sequence[str]
    claims: Sequence[Finding]
    rows: Sequence[tuple[str, str]]
    map: Mapping[str, Any]
    pictures: Mapping[str, Figure]
    stories: Sequence[HeatedStory]
    limits: Sequence[str]
    facts: Sequence[tuple[str, str]]
    rungs: Mapping[str, Sequence[tuple[str, Estimate]]] = field(default_factory=dict)
    trials: Sequence[Trial] = field(default=())

    @property
    def other_trials(self) -> list[Trial]:
        """Those that no claim opens."""
        claimed = {claim.section for claim in self.claims}
        return [trial for trial in self.trials if trial.name not in claimed]

    def rungs_beside(self, claim: Finding) -> list[tuple[str, str]]:
        """Write what the rungs of the null ladder reach in the statistic of a claim."""
        return [
            (name, f"{estimate:{claim.spec}}")
            for name, estimate in self.rungs.get(claim.statistic, ())
        ]
