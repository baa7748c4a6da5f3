"""Which tokens the logit lens shows a vector to promote, and whether they name its emotion.

Tokens are decoded text, indexed by token id: `" sad"`, not the tokenizer's internal spelling. Ranks
are 0-based and count readable tokens only. A tie counts against the emotion: the order of the
vocabulary never decides. Logits that are not finite are a `DataError`.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; "Emotion Concepts and their
Function in a Large Language Model" (Anthropic, 2026), the table of top tokens per vector.
"""

import os
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import torch
from einops import reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from probes.analysis.resampling import permute_within

# A whole token that is one piece of markup: <unused12>, <0x0A>, <|end|>, </s>, <td>; [multimodal],
# [PAD], [@BOS@].
_MARKUP = re.compile(r"<[^<>\s]+>|\[[@\w]+\]")
_UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
# SentencePiece writes a space so; some tokenizers leave it in the decoded text of a lone token.
_SENTENCEPIECE_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_SHORTEST_STEM = 5
Logits = Float[Tensor, "emotion d_vocab"]
Mask = Bool[Tensor, "d_vocab"]


class TokenRanking(NamedTuple):
    """Logits and ids of the tokens at one end of the vocabulary, the most extreme first."""

    values: Float[Tensor, "emotion k"]
    ids: Int[Tensor, "emotion k"]


class ShuffledShare(NamedTuple):
    """Mean and 95% quantile, over shuffles of the emotions' names, of the own-word share."""

    mean: float
    upper: float


def readable_tokens(tokens: Sequence[str], special: AbstractSet[int]) -> Mask:
    """Mark the tokens a reader can make something of.

    Left out are special ids; tokens that are one piece of markup in angle or square brackets
    (`<unused123>`, `[multimodal]`, byte tokens `<0x0A>`, also HTML tags); tokens without a visible
    character; and tokens that do not decode by themselves (U+FFFD).

    Raises
    ------
    InvalidInput
        A special id is outside the vocabulary.
    """
    outside = sorted(special - set(range(len(tokens))))
    if outside:
        raise InvalidInput(
            f"Expected special ids in 0..{len(tokens) - 1}, got {outside}. List the decoded text "
            "of the whole vocabulary, added tokens included."
        )
    readable = [
        any(map(str.isprintable, text))
        and _UNDECODABLE not in text
        and _MARKUP.fullmatch(text) is None
        for text in _bare(tokens)
    ]
    for index in special:
        readable[index] = False
    return torch.tensor(readable, dtype=torch.bool)


def top_tokens(logits: Logits, mask: Mask, k: int) -> TokenRanking:
    """Find the `k` tokens that each vector promotes most.

    Parameters
    ----------
    mask
        Which tokens count, from `readable_tokens`.

    Raises
    ------
    InvalidInput
        `k` is outside 1..readable tokens.
    """
    _require_reading(logits, mask, k)
    values, ids = logits.masked_fill(~mask, -torch.inf).topk(k, dim=-1)
    return TokenRanking(values, ids)


def bottom_tokens(logits: Logits, mask: Mask, k: int) -> TokenRanking:
    """Find the `k` tokens that each vector suppresses most; otherwise as `top_tokens`."""
    _require_reading(logits, mask, k)
    values, ids = logits.masked_fill(~mask, torch.inf).topk(k, dim=-1, largest=False)
    return TokenRanking(values, ids)


def family_token_ids(
    tokens: Sequence[str], families: Sequence[AbstractSet[str]]
) -> list[list[int]]:
    """Find the tokens that spell a word of each family, or the stem its words share.

    A token counts when, without surrounding space and case, it equals a word of the family, or the
    longest common beginning of all its words where that has at least five letters ("excit" for
    excited, excitement). A shorter stem is too often another word ("wear" for weary, weariness); a
    longer one can be one too, so read the share next to that of `shuffled_own_word_share`.

    Returns
    -------
    list of list of int
        Per family, rising ids; empty where the tokenizer has no such token.
    """
    wanted: dict[str, list[int]] = {}
    for index, family in enumerate(families):
        words = {word.strip().casefold() for word in family} - {""}
        stem = os.path.commonprefix(sorted(words))
        if len(stem) >= _SHORTEST_STEM:
            words.add(stem)
        for word in words:
            wanted.setdefault(word, []).append(index)
    ids_of_family: list[list[int]] = [[] for _ in families]
    for token_id, text in enumerate(_bare(tokens)):
        for index in wanted.get(text.casefold(), ()):
            ids_of_family[index].append(token_id)
    return ids_of_family


def own_word_rank(
    logits: Logits, mask: Mask, ids_of_own_words: Sequence[Sequence[int]]
) -> Int[Tensor, "emotion"]:
    """Rank the best of each emotion's own tokens among the readable tokens.

    Parameters
    ----------
    ids_of_own_words
        Per emotion, the ids that name it, from `family_token_ids`.

    Returns
    -------
    Tensor
        Number of other readable tokens whose logit is as high or higher; d_vocab for an emotion
        without a readable token of its own.

    Raises
    ------
    InvalidInput
        There is not one list of ids per emotion, or an id is outside the vocabulary.
    """
    _require_reading(logits, mask, k=1)
    ranks = torch.full((len(logits),), logits.shape[1], dtype=torch.int64)
    of_names = own_tokens(mask, ids_of_own_words, len(logits))
    for index, (row, own) in enumerate(zip(logits, of_names, strict=True)):
        if len(own):
            others = mask.clone()
            others[own] = False
            ranks[index] = ((row >= row[own].max()) & others).sum()
    return ranks


def own_word_share(ranks: Int[Tensor, "emotion"], k: int) -> float:
    """Share of emotions whose own word is among the first `k`; one without a token is a miss.

    Raises
    ------
    InvalidInput
        There is no emotion or `k` is below one.
    """
    if len(ranks) == 0 or k < 1:
        raise InvalidInput(f"Expected at least one rank and k of 1 or more, got {len(ranks)}, {k}.")
    return float((ranks < k).double().mean())


def shuffled_own_word_share(
    logits: Logits,
    mask: Mask,
    ids_of_own_words: Sequence[Sequence[int]],
    k: int,
    n_shuffles: int,
    seed: int,
) -> ShuffledShare:
    """Deal the emotions' names out at random, and measure `own_word_share` each time.

    An emotion may draw its own name. Arguments are those of `own_word_rank` and `own_word_share`.

    Raises
    ------
    InvalidInput
        As `own_word_rank`, and when `k` or `n_shuffles` is out of range.
    """
    if n_shuffles < 1:
        raise InvalidInput(f"Expected at least one shuffle, got {n_shuffles}.")
    hits, emotions = named_hits(logits, mask, ids_of_own_words, k), torch.arange(len(logits))
    shuffled = hits[emotions, permute_within(emotions, None, n_shuffles, seed)].double()
    shares = reduce(shuffled, "shuffle emotion -> shuffle", "mean")
    return ShuffledShare(mean=float(shares.mean()), upper=float(shares.quantile(0.95)))


def named_hits(
    logits: Logits, mask: Mask, ids_of_own_words: Sequence[Sequence[int]], k: int
) -> Bool[Tensor, "emotion name"]:
    """Tell which names each vector has among its first `k` readable tokens.

    Arguments and errors are those of `own_word_rank` and `own_word_share`.
    """
    _require_reading(logits, mask, k)
    of_names = own_tokens(mask, ids_of_own_words, len(logits))
    # Of the tokens at least as high as a name's best, at most max(len(own)) are its own; so this
    # many leaders decide whether k others are, and the rest of the vocabulary need not be sorted.
    n_leaders = min(k + max(map(len, of_names)), int(mask.sum()))
    leaders = top_tokens(logits, mask, n_leaders).values
    hits = torch.zeros(len(logits), len(logits), dtype=torch.bool)
    for name, own in enumerate(of_names):
        if len(own):
            values = logits[:, own]
            best = values.amax(dim=1, keepdim=True)
            n_others = (leaders >= best).sum(dim=1) - (values == best).sum(dim=1)
            hits[:, name] = n_others < k
    return hits


def own_tokens(
    mask: Mask, ids_of_own_words: Sequence[Sequence[int]], n_emotions: int
) -> list[Int[Tensor, "_own"]]:
    """Return the readable ids that name each emotion, each id once; raises as `own_word_rank`."""
    if len(ids_of_own_words) != n_emotions:
        raise InvalidInput(
            f"Expected one list of own-word ids per emotion, got {len(ids_of_own_words)} lists for "
            f"{n_emotions} emotions."
        )
    outside = [i for ids in ids_of_own_words for i in ids if not 0 <= i < len(mask)]
    if outside:
        raise InvalidInput(
            f"Expected own-word ids in 0..{len(mask) - 1}, got {outside[0]}. Use the tokenizer of "
            "the model that gave the logits."
        )
    # A repeated id would be subtracted twice when ties are counted.
    unique = [torch.tensor(sorted(set(ids)), dtype=torch.int64) for ids in ids_of_own_words]
    return [ids[mask[ids]] for ids in unique]


def _require_reading(logits: Logits, mask: Mask, k: int) -> None:
    n_readable = int(mask.sum())
    if len(logits) == 0 or not 1 <= k <= n_readable:
        raise InvalidInput(
            f"Expected at least one emotion and k in 1..{n_readable}, the number of readable "
            f"tokens, got {len(logits)} emotions and k={k}."
        )
    if not bool(torch.isfinite(logits).all()):
        raise DataError("Expected finite logits, got NaN or infinity. Check the vectors.")


def _bare(tokens: Sequence[str]) -> list[str]:
    return [token.replace(_SENTENCEPIECE_SPACE, " ").strip() for token in tokens]
