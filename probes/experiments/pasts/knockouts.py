"""Pairs of pasts before the same end, read while some tokens cannot attend to others."""

from typing import NamedTuple

from jaxtyping import Float

from hooks.tokens.positions import Ordinals
from probes.experiments.pasts.axes import ratings_of, valence_axes
from probes.experiments.pasts.pairs import GOOD_BAD, pairs_before
from probes.experiments.pasts.reading import Pair, vectors_of
from probes.runs.materials import Materials
from probes.runs.ways import CARRIED
from probes.stimuli.pasts import dose_templates, same_words

OPEN, READ, BETWEEN, BOTH, OTHER = (
    "nothing blocked",
    "the words read cannot look back",
    "the words between cannot look back",
    "neither can look back",
    "as many other tokens blocked",
)
CONDITIONS = (OPEN, READ, BETWEEN, BOTH, OTHER)
_N_CLOSINGS = 16


class Case(NamedTuple):
    """A pleasant and an unpleasant past before the same end, and the axis they are read along."""

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
        self, materials: Materials, cases: Sequence[Case], advance: Callable[[int], object]
    ) -> None:
        self._materials, self._cases, self._advance = materials, cases, advance
        self._model, self._bundle = materials.subject(), vectors_of(materials)
        self._texts = [text for case in cases for text in case.pair]
        self._layouts = [layout for case in cases for layout in _layouts(self._model, case)]

    def effects(
        self, condition: str, layers: Sequence[int] | None = None
    ) -> Float[Tensor, "pair layer"]:
        """Return pleasant less unpleasant past at every layer, in mean residual norms."""
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
            pooled = pooled_resid_post(
                self._model,
                self._texts,
                read,
                layers=self._bundle.layers,
                batch_tokens=self._materials.batch_tokens,
                progress=self._advance,
            )
        norm = rearrange(self._bundle.residual_norm, "layer -> layer 1")
        pleasant, unpleasant = rearrange(
            pooled.mean / norm, "(pair past) l d -> past pair l d", past=2
        )
        axes = torch.stack([case.axis for case in self._cases])
        return einsum(pleasant - unpleasant, axes, "pair l d, pair l d -> pair l").double()


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
    stimuli, vectors = same_words(), vectors_of(materials).vectors
    cases = []
    for number, suffix in enumerate(stimuli.suffixes):
        for it in pairs_before(stimuli, number):
            if it.kind == GOOD_BAD and it.number % len(stimuli.suffixes) == number:
                implies = stimuli.pairs[it.number].implies.values()
                without = {name for names in implies for name in names}
                axis = valence_axes(vectors, ratings_of(materials.emotions, without))
                cases.append(Case(it.pair, suffix, axis))
    return cases


def closings(materials: Materials) -> list[Case]:
    """Pair stories of one topic: of emotions rated pleasant, and of as many unpleasant ones."""
    if CARRIED not in materials.ways:
        return []
    emotions, vectors = materials.emotions, vectors_of(materials).vectors
    ratings = ratings_of(emotions)
    ranked = [n for n in ratings.argsort(stable=True).tolist() if ratings[n] != 0]
    placed = {(it.emotion, it.topic): it for it in materials.placed_texts(CARRIED)}
    topics = list(dict.fromkeys(topic for _, topic in placed))
    cases = []
    for number in range(_N_CLOSINGS):
        topic, rank = topics[number % len(topics)], number % (len(ranked) // 2)
        bad, good = ranked[rank], ranked[-1 - rank]
        texts = [placed.get((emotion, topic)) for emotion in (good, bad)]
        if None in texts or ratings[bad] > 0 or ratings[good] < 0:
            continue
        wholes = [it.whole for it in texts if it]
        axis = valence_axes(vectors, ratings_of(emotions, {emotions[good], emotions[bad]}))
        cases.append(Case(Pair(*wholes), texts[0].closing if texts[0] else "", axis))
    return cases


def doses(materials: Materials) -> list[Case]:
    """Return the texts of `dose_templates` with their smallest and their largest number."""
    vectors = vectors_of(materials).vectors
    cases = []
    for it in dose_templates():
        low, high = (f"{it.with_number(it.numbers[at])} {it.suffix}" for at in (0, -1))
        axis = valence_axes(vectors, ratings_of(materials.emotions, {*it.rises, *it.falls}))
        cases.append(Case(Pair(low, high) if it.high_is_bad else Pair(high, low), it.suffix, axis))
    return cases
