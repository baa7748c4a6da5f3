"""Pairs of pasts before the same end, read while some tokens cannot attend to others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel, block_attention
from hooks.tokens.encoding import n_common, pad
from hooks.tokens.positions import Ordinals
from probes.corpus.reference import phrase_of
from probes.experiments.pasts.axes import axis_without, ratings_of
from probes.experiments.pasts.pairs import GOOD_BAD, pairs_before
from probes.experiments.pasts.reading import Pair, mean_ends, n_shared
from probes.runs.materials import Materials
from probes.runs.ways import CARRIED, SAID
from probes.stimuli.pasts import dose_templates, negations, same_words
from probes.vectors.normalize import normalize

OPEN, READ, BETWEEN, BOTH, OTHER = (
    "nothing",
    "words read",
    "words between",
    "both",
    "others",
)
CONDITIONS = (OPEN, READ, BETWEEN, BOTH, OTHER)
"""What cannot look back at the past: of the end its second half, its first, or both. Of the others
the words read cannot look at as many tokens that are not the past."""
_N_CLOSINGS = 32
_N_DENIALS = 64


class Case(NamedTuple):
    """Two pasts before the same end, and the axis along which the first should lie farther."""

    pair: Pair
    end: str
    axis: Float[Tensor, "layer d_model"]


class _Layout(NamedTuple):
    """Which content tokens of a text are what: of its past, of as many others, of its end."""

    past: Ordinals
    other: Ordinals
    between: Ordinals
    read: Ordinals


class KnockoutReader:
    """Reads the same cases again and again, with other tokens kept apart."""

    def __init__(
        self, materials: Materials, cases: Sequence[Case], advance: Callable[[int], None]
    ) -> None:
        self._materials, self._cases, self._advance = materials, cases, advance
        self._model = materials.subject()
        self._texts = [text for case in cases for text in case.pair]
        self._layouts = [layout for case in cases for layout in _layouts(self._model, case)]

    def effects(
        self, condition: str, layers: Sequence[int] | None = None
    ) -> Float[Tensor, "pair layer"]:
        """Return the first past less the other at every layer, in mean residual norms."""
        layouts, nothing = self._layouts, [Ordinals(()) for _ in self._layouts]
        past, other = [it.past for it in layouts], [it.other for it in layouts]
        read, between = [it.read for it in layouts], [it.between for it in layouts]
        both = [Ordinals(a.numbers + b.numbers) for a, b in zip(between, read, strict=True)]
        queries, keys = {
            OPEN: (nothing, nothing),
            READ: (read, past),
            BETWEEN: (between, past),
            BOTH: (both, past),
            OTHER: (read, other),
        }[condition]
        with block_attention(self._model, queries=queries, keys=keys, layers=layers):
            n_tokens = [len(it.numbers) for it in read]
            ends = mean_ends(self._materials, self._texts, n_tokens, self._advance)
        one, other_past = rearrange(ends, "(pair past) l d -> past pair l d", past=2)
        axes = torch.stack([case.axis for case in self._cases])
        return einsum(one - other_past, axes, "pair l d, pair l d -> pair l").double()


def _layouts(model: LanguageModel, case: Case) -> list[_Layout]:
    """Find the tokens of both texts: their pasts begin where the texts part."""
    n_end = n_shared(model, list(case.pair), case.end)
    encoded = [model.encode(text) for text in case.pair]
    batches = [pad([ids], model.special_ids) for ids in encoded]
    n_content = [int(batch.content.sum()) for batch in batches]
    start = min(n_common(*encoded) - (len(encoded[0]) - n_content[0]), min(n_content) - n_end - 1)
    start = max(start, 0)
    layouts = []
    for n in n_content:
        end, half = n - n_end, n - n_end // 2
        n_past = end - start
        before, between = range(start), range(end, half)
        # Other tokens that lie near: those just before the past, and where they are few, after it.
        others = [*before[-n_past:], *between[: max(0, n_past - start)]]
        layouts.append(
            _Layout(
                *(
                    Ordinals(tuple(it))
                    for it in (range(start, end), others, between, range(half, n))
                )
            )
        )
    return layouts


def turns(materials: Materials) -> list[Case]:
    """Return the good and bad turns of `same_words`, each before one suffix."""
    stimuli, vectors = same_words(), materials.vectors.vectors
    cases = []
    for number, suffix in enumerate(stimuli.suffixes):
        for it in pairs_before(stimuli, number):
            if it.kind == GOOD_BAD and it.number % len(stimuli.suffixes) == number:
                implied = stimuli.pairs[it.number].implied
                axis = axis_without(vectors, materials.emotions, implied)
                cases.append(Case(it.pair, suffix, axis))
    return cases


def closings(materials: Materials) -> list[Case]:
    """Pair stories of one topic, of emotions rated pleasant with as many unpleasant ones.

    They are read along the difference of both emotions' said vectors, which no topic had a part in;
    openings are left out. None where a run has no closings or no frames.
    """
    if not {CARRIED, SAID} <= {*materials.ways}:
        return []
    emotions, vectors = materials.emotions, materials.vectors.using(SAID).vectors
    ratings = ratings_of(emotions)
    ranked = [n for n in ratings.argsort(stable=True).tolist() if ratings[n] != 0]
    placed = {(it.emotion, it.topic): it for it in materials.placed_texts(CARRIED)}
    topics = list(dict.fromkeys(topic for _, topic in placed))
    cases = []
    for number in range(_N_CLOSINGS):
        topic, rank = topics[number % len(topics)], number % (len(ranked) // 2)
        bad, good = ranked[rank], ranked[-1 - rank]
        pair = [it for it in (placed.get((each, topic)) for each in (good, bad)) if it is not None]
        if len(pair) == 2:
            axis = normalize(vectors[:, good] - vectors[:, bad])
            texts = Pair(*(f"{it.text} {it.closing}" for it in pair))
            cases.append(Case(texts, pair[0].closing, axis))
    return cases


def denials(materials: Materials) -> list[Case]:
    """Return emotions, spread over the run's, said and denied in the frame with the longest end."""
    frame = max(negations(), key=lambda it: len(it.end))
    emotions, vectors = materials.emotions, normalize(materials.vectors.vectors)
    n = min(_N_DENIALS, len(emotions))
    cases = []
    for number in (index * len(emotions) // n for index in range(n)):
        feel = phrase_of(emotions[number])["feel"]
        others = (vectors.sum(dim=1) - vectors[:, number]) / (len(emotions) - 1)
        axis = normalize(vectors[:, number] - others)
        cases.append(Case(Pair(frame.affirmed(feel), frame.negated(feel)), frame.end, axis))
    return cases


def doses(materials: Materials) -> list[Case]:
    """Return the texts of `dose_templates` with their smallest and their largest number."""
    vectors = materials.vectors.vectors
    cases = []
    for it in dose_templates():
        low, high = (f"{it.with_number(it.numbers[at])} {it.suffix}" for at in (0, -1))
        axis = axis_without(vectors, materials.emotions, {*it.rises, *it.falls})
        cases.append(Case(Pair(low, high) if it.high_is_bad else Pair(high, low), it.suffix, axis))
    return cases
