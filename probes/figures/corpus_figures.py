"""Figures per emotion: the tokens its vector points to, and the stories written for it.

Input
-----
* ``lens``: ``layer`` int, ``top_k`` int, ``emotions`` (per emotion ``top`` and ``bottom``
  [[token, value]], ``own_word_rank`` 0-based int, or null where no token names the emotion),
  ``own_word_share`` and ``own_word_share_shuffled`` (fractions); optionally ``model`` str.
* ``counts``: ``emotions`` (per emotion ``accepted`` int, ``rejected`` reason -> int, ``missing``
  int).

Contract
--------
* Pure functions from those dictionaries to a description.
* Tokens are shown as they are, except that a space at either end becomes a visible sign: `` sad``
  and ``sad`` are two tokens.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.figures.description import Bars, Part, TokenRow, TokenTable
from probes.figures.reading import need, number, share

_SPACE = "␣"


def logit_lens_table(lens: Mapping[str, Any]) -> TokenTable:
    """Describe the tokens that each emotion vector makes more and less likely.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    emotions: Mapping[str, Any] = need(lens, "emotions", "lens")
    rows = tuple(
        TokenRow(
            label=name,
            up=_tokens(entry["top"], f"lens.{name}.top"),
            down=_tokens(entry["bottom"], f"lens.{name}.bottom"),
            remark=_rank(entry.get("own_word_rank")),
        )
        for name, entry in emotions.items()
    )
    return TokenTable(
        title="What the emotion vectors say: tokens through the unembedding",
        subtitle=_lens_subtitle(lens, len(emotions)),
        caption=f"Strongest tokens first; {_SPACE} is a space. The last column is the rank of the "
        "best token that names the emotion, 1 being the first. The PNG shows what fits; the page "
        "shows every token with its logit.",
        header=("emotion", "more likely", "less likely", "rank of own word"),
        rows=rows,
    )


def stories_written(counts: Mapping[str, Any]) -> Bars:
    """Describe how many stories per emotion were accepted, rejected and why, or are missing.

    Raises
    ------
    DataError
        A part is missing.
    """
    emotions: Mapping[str, Any] = need(counts, "emotions", "counts")
    names = sorted(emotions, key=lambda name: (-emotions[name]["accepted"], name))
    totals = Counter[str]()
    for entry in emotions.values():
        totals.update(entry.get("rejected") or {})
    parts = [_part("accepted", (emotions[name]["accepted"] for name in names))]
    for reason, total in totals.most_common():
        if total:
            rejected = ((emotions[name].get("rejected") or {}).get(reason, 0) for name in names)
            parts.append(_part(f"rejected: {reason}", rejected))
    missing = _part("missing", (emotions[name].get("missing", 0) for name in names), muted=True)
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


def _part(name: str, values: Iterable[Any], *, muted: bool = False) -> Part:
    return Part(
        name=name, values=tuple(number(value, f"counts: {name}") for value in values), muted=muted
    )


def _tokens(pairs: Sequence[Sequence[Any]], where: str) -> tuple[tuple[str, float], ...]:
    return tuple((_edges_visible(str(token)), number(value, where)) for token, value in pairs)


def _edges_visible(token: str) -> str:
    inner = token.strip(" ")
    start = len(token) - len(token.lstrip(" "))
    end = len(token) - start - len(inner)
    return _SPACE * start + inner + _SPACE * end


def _rank(rank: int | None) -> str:
    return "no such token" if rank is None else f"{rank + 1:,}"


def _lens_subtitle(lens: Mapping[str, Any], n_emotions: int) -> str:
    where = f"layer {need(lens, 'layer', 'lens')}, {n_emotions} emotions"
    parts = [f"{lens['model']}, {where}" if lens.get("model") else where]
    if lens.get("own_word_share") is not None:
        found = f"own word among the top {need(lens, 'top_k', 'lens')}: "
        found += share(number(lens["own_word_share"], "lens.own_word_share"))
        if lens.get("own_word_share_shuffled") is not None:
            shuffled = number(lens["own_word_share_shuffled"], "lens.own_word_share_shuffled")
            found += f" of emotions ({share(shuffled)} with shuffled names)"
        parts.append(found)
    return "; ".join(parts)
