"""Content leak: does steered text tell what the emotion's stories told, rather than the emotion.

A word (four letters or more) is *distinctive* of an emotion when at least a quarter of its stories
use it, on two topics at least, that is three times the share among other emotions' stories, and it
names neither the emotion nor a direct synonym (`stimuli.lexicon`). The leak of a text toward an
emotion is the share of its words that are distinctive of it. What it does not know: tears are both
an event of sad stories and a way to say that someone is sad. So the words that occur are listed.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange

from probes.analysis.findings import Control
from probes.experiments.steering.judged_texts import Continuations
from probes.experiments.steering.nulls import TextExcess, text_excess
from probes.stimuli.lexicon import leaks

_SHARE, _TIMES, _TOPICS = 0.25, 3.0, 2
_N_LISTED = 12


@dataclass(frozen=True, kw_only=True)
class ContentLeak(TextExcess):
    """Shares of words that are distinctive of the emotion's own stories.

    None where there are no texts of a kind; `words` lists emotion and word, those in most texts
    first.
    """

    n_words: int
    steered: float
    unsteered: float
    elsewhere: float | None
    random: float | None
    words: list[str]
    in_stories: float

    def controls(self) -> list[Control]:
        """Return the other texts, counted with the same words."""
        return self.over(self.unsteered, self.random)


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
    return sum(word in distinctive for word in used) / max(len(used), 1)


def leaked(
    texts: Continuations,
    distinctive: dict[str, set[str]],
    in_stories: float,
) -> ContentLeak:
    """Compare leaks of texts [condition][prompt], those of `steered` by emotion."""
    emotions, n = list(texts.steered), len(texts.steered)
    each = [[leak(text, distinctive[name]) for name in emotions] for text in texts.each]
    rates = rearrange(
        torch.tensor(each, dtype=torch.float64),
        "(condition prompt) emotion -> condition emotion prompt",
        prompt=len(texts.unsteered),
    )
    plain, steered = rates[0], rates[1 : n + 1]
    random = rearrange(rates[n + 1 :], "direction emotion prompt -> emotion prompt direction")
    own = rearrange(steered.diagonal(dim1=0, dim2=1), "prompt emotion -> emotion prompt")
    elsewhere = (float(steered.sum()) - float(own.sum())) / max(n * (n - 1) * own.shape[1], 1)
    used = Counter(
        f"{name}: {word}"
        for name, written in texts.steered.items()
        for text in written
        for word in set(words(text)) & distinctive[name]
    )
    return ContentLeak(
        **vars(text_excess(own, plain, random)),
        n_words=sum(len(distinctive[name]) for name in emotions),
        steered=float(own.mean()),
        unsteered=float(plain.mean()),
        elsewhere=elsewhere if n > 1 else None,
        random=float(random.mean()) if random.numel() else None,
        words=sorted(used, key=lambda pair: (-used[pair], pair))[:_N_LISTED],
        in_stories=in_stories,
    )
