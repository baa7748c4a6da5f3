"""What stories differ in beside their emotion, as columns to be regressed on, and as counts.

Length, narrator and writer; whether a story names its own emotion, or another one of the paper's
171; whether it was written anew after drafts that were refused (*retried*), when the words of its
emotion may have been suppressed: some emotions are named in more first drafts than others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table
from probes.analysis.statistics import pearson
from probes.experiments.decoding.story_traits import attempts, narrator, writers
from probes.runs.materials import Materials, Stories
from probes.stimuli import leaks, named_emotions

PER_CELL = "activations were kept per cell"
LEAKED, OTHERS, RETRIED = "leaked words", "other emotions named", "retried"
Columns = Float[Tensor, "row _column"]


@dataclass(frozen=True)
class Tokens:
    """The shortest, the mean and the longest story."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Counts:
    """What the stories are like; only their length is known of means of cells.

    `shares` are those of retried stories, and of such that name another emotion, by emotion;
    `with_valence` how these shares correlate with people's ratings, where both are known.
    """

    tokens: Tokens
    narrators: Mapping[str, int] = field(default_factory=dict)
    leaked: int = 0
    writers: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    with_valence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StoryFactors:
    """Columns of every factor that a run has, and why it has no others."""

    columns: dict[str, Columns]
    missing: dict[str, str]
    counts: Counts

    @classmethod
    def of(cls, materials: Materials, stories: Stories) -> "StoryFactors":
        """Look at every story."""
        length = stories.n_tokens.double() / stories.n_texts
        columns = {"length": rearrange(length, "row -> row 1")}
        tokens = Tokens(float(length.min()), float(length.mean()), float(length.max()))
        if materials.per_cell:
            of_texts = ("narrator", LEAKED, OTHERS, RETRIED, "writer")
            return cls(columns, dict.fromkeys(of_texts, PER_CELL), Counts(tokens))
        texts = materials.texts(stories)
        emotions = [materials.emotions[index] for index in stories.emotion.tolist()]
        narrators, by = [narrator(text) for text in texts], writers(materials, stories)
        tries = attempts(materials, stories)
        leaked = [bool(leaks(*each)) for each in zip(texts, emotions, strict=True)]
        others = [_names_another(*each) for each in zip(texts, emotions, strict=True)]
        missing = {}
        columns["narrator"] = _levels(narrators)
        if len(set(by)) > 1:
            columns["writer"] = _levels(by)
        else:
            missing["writer"] = "one writer" if by[0] != "unknown" else "no writer is named"
        filtered = "" if materials.run.brings_corpus else ", the run's own filter saw to it"
        retried = [each > 1 for each in tries]
        reasons = {
            LEAKED: f"in 0 stories{filtered}",
            OTHERS: "in 0 stories",
            RETRIED: "no story was refused and written anew" if any(tries) else "written elsewhere",
        }
        yes = {LEAKED: leaked, OTHERS: others, RETRIED: retried}
        for name, each in yes.items():
            if any(each) and not all(each):
                columns[name] = rearrange(torch.tensor(each).double(), "row -> row 1")
            else:
                missing[name] = "in all stories" if any(each) else reasons[name]
        shares = {
            name: _by_emotion(yes[name], emotions) for name in (OTHERS, RETRIED) if any(yes[name])
        }
        with_valence = {
            name: r for name, each in shares.items() if (r := _with_valence(each)) is not None
        }
        of_narrators, of_writers = (dict(sorted(Counter(each).items())) for each in (narrators, by))
        counts = Counts(tokens, of_narrators, sum(leaked), of_writers, shares, with_valence)
        return cls(columns, missing, counts)


def _names_another(text: str, emotion: str) -> bool:
    own = set(leaks(text, emotion))
    return any(word not in own for word in named_emotions(text))


def _by_emotion(each: Sequence[bool], emotions: Sequence[str]) -> dict[str, float]:
    """Share of stories of each emotion."""
    of, yes = Counter(emotions), Counter(e for e, here in zip(emotions, each, strict=True) if here)
    return {emotion: yes[emotion] / n for emotion, n in of.items()}


def _with_valence(shares: Mapping[str, float]) -> float | None:
    rated = rating_table(list(shares))
    values = [shares[name] for name in rated]
    if len(rated) < MIN_RATED or len(set(values)) < 2:
        return None
    valence = torch.tensor([rating["valence"] for rating in rated.values()])
    return pearson(torch.tensor(values), valence).r


def _levels(names: Sequence[str]) -> Float[Tensor, "row level"]:
    levels = sorted(set(names))
    return torch.tensor([[name == level for level in levels] for name in names]).double()
