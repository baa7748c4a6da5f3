"""Content leak: does steered text tell the events of the stories, rather than the emotion.

1. A word is *distinctive* of a topic when at least a quarter of the topic's stories use it, that is
   three times the share among other topics' stories, and three stories at least.
2. The leak of a text is the share of its words that are distinctive of any topic.

Contract: pure text. Words are runs of at least four letters, in lower case.
"""

import re
from collections import Counter
from collections.abc import Sequence

_SHARE, _TIMES, _STORIES = 0.25, 3.0, 3


def words(text: str) -> list[str]:
    """Words of a text, in order."""
    return re.findall(r"[^\W\d_]{4,}", text.lower())


def distinctive_words(texts: Sequence[str], topics: Sequence[int]) -> set[str]:
    """Words that belong to one topic's stories."""
    uses: dict[int, Counter[str]] = {}
    for text, topic in zip(texts, topics, strict=True):
        uses.setdefault(topic, Counter()).update(set(words(text)))
    n_stories = Counter(topics)
    everywhere = sum(uses.values(), Counter())
    found = set()
    for topic, counts in uses.items():
        n_others = max(len(texts) - n_stories[topic], 1)
        for word, count in counts.items():
            share = count / n_stories[topic]
            elsewhere = (everywhere[word] - count) / n_others
            if count >= _STORIES and share >= _SHARE and share >= _TIMES * elsewhere:
                found.add(word)
    return found


def leak(text: str, distinctive: set[str]) -> float:
    """Share of a text's words that are distinctive; 0 for a text without words."""
    found = words(text)
    return sum(word in distinctive for word in found) / len(found) if found else 0.0
