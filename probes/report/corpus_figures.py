"""Figures per emotion: the tokens its vector points to, and the stories written for it.

A space at either end of a token becomes a visible sign: `` sad`` and ``sad`` are two tokens.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.analysis.results import Lens
from probes.figures.description import Bars, Part, TokenRow, TokenTable

_SPACE = "␣"


def logit_lens_table(lens: Lens) -> TokenTable:
    """Describe the tokens that each emotion vector makes more and less likely."""
    where = f"layer {lens.layer}, {len(lens.emotions)} emotions"
    return TokenTable(
        title="What the emotion vectors say: tokens through the unembedding",
        subtitle=f"{', '.join(filter(None, [lens.model, where]))}; own word among the top "
        f"{lens.top_k}: {lens.own_word_share:.0%} of emotions "
        f"({lens.own_word_share_shuffled:.0%} with shuffled names)",
        caption=f"Strongest tokens first; {_SPACE} is a space. The last column is the rank of the "
        "best token that names the emotion, 1 being the first. The PNG shows what fits; the page "
        "shows every token with its logit.",
        header=("emotion", "more likely", "less likely", "rank of own word"),
        rows=tuple(
            TokenRow(
                label=name,
                up=_tokens(entry.top),
                down=_tokens(entry.bottom),
                remark="no such token"
                if entry.own_word_rank is None
                else f"{entry.own_word_rank + 1:,}",
            )
            for name, entry in lens.emotions.items()
        ),
    )


def stories_written(counts: Mapping[str, Any]) -> Bars:
    """Describe how many stories per emotion were accepted, rejected and why, or are missing."""
    emotions: Mapping[str, Any] = counts["emotions"]
    names = sorted(emotions, key=lambda name: (-emotions[name]["accepted"], name))
    totals = Counter[str]()
    for entry in emotions.values():
        totals.update(entry["rejected"])
    parts = [_part("accepted", (emotions[name]["accepted"] for name in names))]
    for reason, total in totals.most_common():
        if total:
            rejected = (emotions[name]["rejected"].get(reason, 0) for name in names)
            parts.append(_part(f"rejected: {reason}", rejected))
    missing = _part("missing", (emotions[name]["missing"] for name in names), muted=True)
    if any(missing.values):
        parts.append(missing)
    accepted, rejections = int(sum(parts[0].values)), sum(totals.values())
    return Bars(
        title="Stories written for each emotion",
        subtitle=f"{accepted:,} accepted, {rejections:,} rejected, {int(sum(missing.values)):,} "
        f"missing; {len(names)} emotions",
        caption="Vectors are made from accepted stories only. An emotion with a short first bar "
        "has a noisier vector; many rejections for one reason say what the writer finds hard.",
        categories=tuple(names),
        parts=tuple(parts),
        category_label="",
        value_label="stories (count)",
        horizontal=True,
    )


def _part(name: str, values: Iterable[int], *, muted: bool = False) -> Part:
    return Part(name=name, values=tuple(map(float, values)), muted=muted)


def _tokens(pairs: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Show spaces at the ends of tokens."""
    edge = re.compile(r"^ +| +$")
    return tuple((edge.sub(lambda it: _SPACE * len(it[0]), token), it) for token, it in pairs)
