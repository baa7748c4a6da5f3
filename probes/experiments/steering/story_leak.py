"""Content leak: does steered text tell what the emotion's stories told, rather than the emotion.

1. A word is *distinctive* of an emotion when at least a quarter of its stories use it, on two
   topics at least, that is three times the share among other emotions' stories. Words that name
   the emotion or a direct synonym are no leak.
2. The leak of a text is the share of its words that are distinctive of the emotion. Texts steered
   toward it are set beside unsteered, random-steered, and those steered elsewhere.

Tears are both an event of sad stories and a way to say that someone is sad: so the words that occur
are listed. Words are runs of at least four letters, in lower case.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Control, Estimate
from probes.experiments.steering.nulls import Resampling, crossed_interval
from probes.stimuli.lexicon import leaks

_SHARE, _TIMES, _TOPICS = 0.25, 3.0, 2
_N_LISTED = 12


@dataclass(frozen=True)
class ContentLeak:
    """Shares of words that are distinctive of the emotion's own stories.

    None where there are no texts of a kind; `words` lists emotion and word, those in most texts
    first.
    """

    n_words: int
    steered: float
    unsteered: float
    elsewhere: float | None
    excess: float
    excess_interval: tuple[float, float]
    random: float | None
    excess_over_random: float | None
    excess_over_random_interval: tuple[float, float] | None
    words: list[str]
    in_stories: float

    def controls(self) -> list[Control]:
        """Return the other texts, counted with the same words."""
        excess = Estimate(self.excess, *self.excess_interval)
        controls = [Control("unsteered text", Estimate(self.unsteered), excess)]
        if self.random is None or self.excess_over_random is None:
            return controls
        ends = self.excess_over_random_interval or (None, None)
        excess = Estimate(self.excess_over_random, *ends)
        return [*controls, Control("random-steered text", Estimate(self.random), excess)]


def words(text: str) -> list[str]:
    """Words of a text, in order."""
    return re.findall(r"[^\W\d_]{4,}", text.lower())


def distinctive_words(
    texts: Sequence[str], emotions: Sequence[str], topics: Sequence[int]
) -> dict[str, set[str]]:
    """Words that belong to each emotion's stories and do not name it."""
    uses: dict[str, Counter[str]] = {name: Counter() for name in emotions}
    seen_on: dict[tuple[str, str], set[int]] = {}
    for text, emotion, topic in zip(texts, emotions, topics, strict=True):
        for word in set(words(text)):
            uses[emotion][word] += 1
            seen_on.setdefault((emotion, word), set()).add(topic)
    n_stories = Counter(emotions)
    everywhere = sum(uses.values(), Counter())
    distinctive: dict[str, set[str]] = {}
    for emotion, counts in uses.items():
        n, n_others = n_stories[emotion], max(len(texts) - n_stories[emotion], 1)
        distinctive[emotion] = {
            word
            for word, count in counts.items()
            if count >= _SHARE * n
            and len(seen_on[emotion, word]) >= _TOPICS
            and count / n >= _TIMES * (everywhere[word] - count) / n_others
            and not leaks(word, emotion)
        }
    return distinctive


def leak(text: str, distinctive: set[str]) -> float:
    """Share of a text's words that are distinctive; 0 for a text without words."""
    used = words(text)
    return sum(word in distinctive for word in used) / len(used) if used else 0.0


def leaked(
    unsteered: Sequence[str],
    steered: Sequence[Sequence[str]],
    random: Sequence[Sequence[str]],
    emotions: Sequence[str],
    distinctive: dict[str, set[str]],
    in_stories: float,
    resampling: Resampling,
) -> ContentLeak:
    """Compare leaks of texts [condition][prompt], those of `steered` by emotion."""

    def rates(conditions: Sequence[Sequence[str]]) -> Float[Tensor, "condition prompt emotion"]:
        return torch.tensor(
            [
                [[leak(text, distinctive[name]) for name in emotions] for text in texts]
                for texts in conditions
            ],
            dtype=torch.float64,
        )

    n = len(emotions)
    plain = rearrange(rates([unsteered]), "1 prompt emotion -> emotion prompt")
    every = rates(steered)
    own = rearrange(every.diagonal(dim1=0, dim2=2), "prompt emotion -> emotion prompt")
    elsewhere = (float(every.sum()) - float(own.sum())) / max(n * (n - 1) * own.shape[1], 1)
    beside, over_random = None, None
    if random:
        beside = rearrange(rates(random), "direction prompt emotion -> emotion prompt direction")
        over_random = repeat(own, "emotion prompt -> emotion prompt 1") - beside
    return ContentLeak(
        n_words=sum(len(distinctive[name]) for name in emotions),
        steered=float(own.mean()),
        unsteered=float(plain.mean()),
        elsewhere=elsewhere if n > 1 else None,
        excess=float((own - plain).mean()),
        excess_interval=crossed_interval(own - plain, resampling),
        random=None if beside is None else float(beside.mean()),
        excess_over_random=None if over_random is None else float(over_random.mean()),
        excess_over_random_interval=None
        if over_random is None
        else crossed_interval(over_random, resampling),
        words=_most_frequent(steered, emotions, distinctive),
        in_stories=in_stories,
    )


def _most_frequent(
    steered: Sequence[Sequence[str]], emotions: Sequence[str], distinctive: dict[str, set[str]]
) -> list[str]:
    """List emotion and word, those first that occur in the most texts steered toward it."""
    counts = Counter(
        f"{name}: {word}"
        for name, texts in zip(emotions, steered, strict=True)
        for text in texts
        for word in set(words(text)) & distinctive[name]
    )
    return [pair for pair, _ in sorted(counts.items(), key=lambda it: (-it[1], it[0]))[:_N_LISTED]]
