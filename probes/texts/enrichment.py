"""Whether passages that activate an emotion most hold its words, beside others of the corpus.

1. A document gives one passage: its highest where it is among the highest, else a random one.
2. Beside the highest passages stand random ones of the remaining documents, those nearest in
   length, up to fifty for each.
3. Odds that a passage holds a word of the emotion's family (`stimuli.word_family`), over those of
   the others: conditional maximum likelihood with its exact 95% interval; p is Fisher's, one-sided.
4. q is p corrected for all emotions that are swept for (Benjamini & Hochberg).

Stories that show an emotion hold none of these words, so that their vectors can't have learned
them; frames that say it do. Which vectors were used is not known here.
"""

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from scipy.stats import false_discovery_control, hypergeom
from scipy.stats.contingency import odds_ratio

from probes.analysis.findings import SIGNIFICANT
from probes.stimuli.lexicon import family_words
from probes.texts.sweeping import Leaders

MEANS = "words: odds that one holds a word of the emotion's family, over random passages as long"
_WINDOWS = 4000
_EACH = 50
"""Random passages for each of the highest, at most."""


class _Sampled(NamedTuple):
    order: int
    source: str
    n_tokens: int
    text: str


@dataclass
class RandomPassages:
    """Some random windows of a file, of which memory holds `size` at most.

    What is drawn follows from hashes of the windows: a sweep that goes on draws the same.
    """

    size: int = _WINDOWS
    drawn: list[_Sampled] = field(default_factory=list)
    """A heap: on top the one that is dropped first."""

    def offer(self, source: str, start: int, tokens: Sequence[str]) -> None:
        """Count a window, and keep it where it is among the highest in a random order."""
        text = "".join(tokens)
        name = f"{source} {start} {text}".encode(errors="surrogatepass")
        drawn = int.from_bytes(hashlib.blake2b(name, digest_size=6).digest())
        window = _Sampled(drawn, source, len(tokens), text)
        if len(self.drawn) < self.size:
            heapq.heappush(self.drawn, window)
        else:
            heapq.heappushpop(self.drawn, window)

    def beside(self, documents: Collection[str], n_tokens: Sequence[int]) -> list[str]:
        """Return different texts of other documents, as many for each length, the nearest to it."""
        of_each = {it.source: it for it in sorted(self.drawn) if it.source not in documents}
        pool = sorted({it.text: it for it in of_each.values()}.values())
        each = min(_EACH, max(1, len(pool) // (2 * len(n_tokens))))
        chosen: list[str] = []
        for length, n in Counter(n_tokens).items():
            pool.sort(key=_apart_from(length))  # stable, so that ties stay at random
            chosen += [it.text for it in pool[: each * n]]
            del pool[: each * n]
        return chosen

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"size": self.size, "drawn": [[*one] for one in self.drawn]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RandomPassages":
        """Undo `to_json`."""
        return cls(values["size"], [_Sampled(*one) for one in values["drawn"]])


@dataclass(frozen=True)
class Enrichment:
    """How much oftener the highest passages hold a word of the emotion than random ones do.

    `odds` is infinite where no random passage holds one, NaN where none holds one at all.
    """

    odds: float
    low: float
    high: float
    p: float
    q: float
    n: int
    with_word: int
    n_random: int
    random_with_word: int

    def __str__(self) -> str:
        if math.isnan(self.odds):
            return "no words"
        p = (
            "< .001"
            if self.p < 0.001
            else f"{self.p:.3f}".removeprefix("0").rstrip("0").rstrip(".")
        )
        if math.isinf(self.odds):
            return f"words > {_times(self.low)}x\np {p}"
        return f"words {_times(self.odds)}x\n[{_times(self.low)}, {_times(self.high)}], p {p}"


def enrichments(leaders: Leaders, random: RandomPassages) -> list[Enrichment | None]:
    """Judge each emotion's highest passages; None where there is nothing to compare them with."""
    measured = [_enrichment(leaders, random, number) for number in range(len(leaders.emotions))]
    judged = iter(false_discovery_control([it.p for it in measured if it is not None] or [1.0]))
    return [it and replace(it, q=float(next(judged))) for it in measured]


def in_short(measured: Sequence[Enrichment | None]) -> str:
    """Count the emotions whose words are enriched."""
    judged = [it for it in measured if it is not None]
    n = sum(it.q < SIGNIFICANT for it in judged)
    return f"words enriched for {n} of {len(judged)} emotions (q < {SIGNIFICANT:g})"


def _enrichment(leaders: Leaders, random: RandomPassages, number: int) -> Enrichment | None:
    highest = {one.source: one for one in reversed(leaders.passages[number])}
    if not highest:
        return None
    lengths = [len(one.tokens) for one in highest.values()]
    others = random.beside([*highest], lengths)
    if not others:
        return None
    name = leaders.emotions[number]
    texts = [one.text for one in highest.values()], others
    held, of_random = (sum(bool(family_words(text, name)) for text in each) for each in texts)
    n, n_random = len(highest), len(others)
    table = [[held, n - held], [of_random, n_random - of_random]]
    odds = odds_ratio(table)
    ends = odds.confidence_interval(0.95)
    # Fisher's: as many of all passages with a word among the highest, were these drawn at random.
    p = float(hypergeom.sf(held - 1, n + n_random, held + of_random, n))
    return Enrichment(
        odds=float(odds.statistic),
        low=float(ends.low),
        high=float(ends.high),
        p=p,
        q=p,
        n=n,
        with_word=held,
        n_random=n_random,
        random_with_word=of_random,
    )


def _apart_from(length: int) -> Callable[[_Sampled], int]:
    return lambda window: abs(window.n_tokens - length)


def _times(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
