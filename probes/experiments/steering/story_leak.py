"""Content leak: does steered text tell what the emotion's stories told, rather than the emotion.

1. A word is *distinctive* of an emotion when at least a quarter of its stories use it, on two
   topics at least, that is three times the share among other emotions' stories. Words that name
   the emotion or a direct synonym (`stimuli.lexicon`) are no leak and left out.
2. The leak of a text toward an emotion is the share of its words that are distinctive of it.
3. Texts steered toward the emotion are set beside the unsteered ones, the random-steered ones, and
   those steered elsewhere, all counted with the same emotion's words.

What it does not know: tears are both an event of sad stories and a way to say that someone is sad.
So the words that occur are listed.

Contract: pure text. Words are runs of at least four letters, in lower case.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from probes.experiments.steering.nulls import crossed_interval
from probes.stimuli.lexicon import leaks

_SHARE, _TIMES, _TOPICS = 0.25, 3.0, 2
_N_LISTED = 12


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
    found: dict[str, set[str]] = {}
    for emotion, counts in uses.items():
        n, n_others = n_stories[emotion], max(len(texts) - n_stories[emotion], 1)
        found[emotion] = {
            word
            for word, count in counts.items()
            if count >= _SHARE * n
            and len(seen_on[emotion, word]) >= _TOPICS
            and count / n >= _TIMES * (everywhere[word] - count) / n_others
            and not leaks(word, emotion)
        }
    return found


def leak(text: str, distinctive: set[str]) -> float:
    """Share of a text's words that are distinctive; 0 for a text without words."""
    found = words(text)
    return sum(word in distinctive for word in found) / len(found) if found else 0.0


def leaked(
    unsteered: Sequence[str],
    steered: Sequence[Sequence[str]],
    random: Sequence[Sequence[str]],
    emotions: Sequence[str],
    distinctive: dict[str, set[str]],
    seed: int,
) -> dict[str, Any]:
    """Compare leaks; texts are [condition][prompt], those of `steered` in the order of `emotions`.

    Intervals draw emotions, prompts and random directions anew.
    """

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
    found: dict[str, Any] = {
        "n_words": sum(len(distinctive[name]) for name in emotions),
        "steered": float(own.mean()),
        "unsteered": float(plain.mean()),
        "elsewhere": elsewhere if n > 1 else None,
        "excess": float((own - plain).mean()),
        "excess_interval": crossed_interval(own - plain, seed),
        "random": None,
        "excess_over_random": None,
        "excess_over_random_interval": None,
        "words": _most_frequent(steered, emotions, distinctive),
    }
    if random:
        beside = rearrange(rates(random), "direction prompt emotion -> emotion prompt direction")
        apart = repeat(own, "emotion prompt -> emotion prompt 1") - beside
        found["random"] = float(beside.mean())
        found["excess_over_random"] = float(apart.mean())
        found["excess_over_random_interval"] = crossed_interval(apart, seed)
    return found


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
