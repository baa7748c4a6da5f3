"""One layer read on held-out topics: with its own labels, with shuffled ones, learned anew.

What a run that chooses its layer needs beside it (`nested`): who was right at every layer, and
`inner_hits`, also of shuffled labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.held_out import Design, inner_hits, logistic_ranks
from probes.experiments.decoding.coarse_accuracy import CoarseReader
from probes.experiments.folds import TopicFolds

Ranks = Int[Tensor, "row"]
TOP_1, TOP_3, BALANCED = "top_1", "top_3", "balanced"


@dataclass(frozen=True)
class Dealings:
    """Labels shuffled within topics, and within topics and valence sides."""

    topics: Sequence[Design]
    sides: Sequence[Design]

    @classmethod
    def of(cls, design: Design, coarse: CoarseReader, n: int, seed: int) -> "Dealings":
        """Shuffle a run's labels `n` times in both ways."""
        side = coarse.groups.side if coarse.knows_sides else None
        within_topics = held_out.permute_within_topics(design, n, seed)
        within_sides = held_out.permute_within_topics(design, n, seed, side)
        return cls(within_topics, within_sides)

    def first(self, n: int) -> "Dealings":
        """Return the first of both."""
        return Dealings(self.topics[:n], self.sides[:n])

    @property
    def of_topics(self) -> "Dealings":
        """Return those within topics alone."""
        return Dealings(self.topics, ())


@dataclass(frozen=True)
class NestedReading:
    """Who was right, and `inner_hits`, with labels shuffled in one of both ways."""

    hits: Bool[Tensor, "permutation way row"]
    inner: Float[Tensor, "permutation outer inner"]


@dataclass(frozen=True)
class LayerReading:
    """What is kept of one layer.

    `null` and `refits` are shares of right rows by statistic, or way to be right; `by_emotion` are
    those of each emotion with shuffled labels.
    """

    nearest: Ranks
    logistic: Ranks
    right: Mapping[str, Bool[Tensor, "row"]]
    inner: Float[Tensor, "outer inner"]
    null: Mapping[str, Float[Tensor, "permutation"]]
    refits: Mapping[str, Float[Tensor, "refit"]]
    logistic_null: Float[Tensor, "_permutation"]
    by_emotion: Mapping[str, Float[Tensor, "permutation emotion"]] = field(default_factory=dict)
    nested: Mapping[str, NestedReading] = field(default_factory=dict)


class LayerReader:
    """Reads one layer of a run."""

    def __init__(self, folds: TopicFolds, layer: int, coarse: CoarseReader) -> None:
        self._rows, self._design, self._coarse = folds.rows(layer), folds.design, coarse
        self._basis, self._seed = folds.basis(layer), folds.seed
        self._bases = folds.bases(layer)

    def read(
        self,
        dealings: Dealings,
        n_refits: int,
        *,
        ways: Sequence[str] = (),
        n_nested: int = 0,
        n_logistic: int = 0,
    ) -> LayerReading:
        """Read the layer, also in other `ways` to be right.

        It is read `n_nested` and `n_logistic` times with shuffled labels for a null.
        """
        design = self._design
        ranks, right = self._right(design, ways)
        null, by_emotion = self._nulls(dealings, ways)
        seen = held_out.whitened(self._rows, design)
        shuffled = [logistic_ranks(seen, each) for each in dealings.topics[:n_logistic]]
        few = dealings.first(n_nested)
        nested = {"topics": few.topics, "sides": few.sides} if n_nested else {}
        return LayerReading(
            nearest=ranks,
            logistic=logistic_ranks(seen, design),
            right=right,
            inner=inner_hits(self._rows, design, self._basis),
            null=null,
            refits=self._refits(n_refits, ways),
            logistic_null=torch.tensor([share(each == 0) for each in shuffled]).double(),
            by_emotion=by_emotion,
            nested={name: self._nested(designs, ways) for name, designs in nested.items()},
        )

    def _right(
        self, design: Design, ways: Sequence[str], weight: Float[Tensor, "topic"] | None = None
    ) -> tuple[Ranks, dict[str, Bool[Tensor, "row"]]]:
        """Rank each row's own emotion, and tell who is right in which way."""
        scored = held_out.held_out_scores(self._rows, design, self._bases, weight)
        off = scored
        if self._coarse.BEYOND in ways:
            off = held_out.held_out_scores(
                self._rows, design, self._bases, weight, self._coarse.off_plane
            )
        hits = self._coarse.hits(scored, off, design.emotion, ways)
        return held_out.rank_of(scored, design.emotion), hits

    def _nulls(
        self, dealings: Dealings, ways: Sequence[str]
    ) -> tuple[dict[str, Float[Tensor, "permutation"]], dict[str, Tensor]]:
        """Return what shuffled labels reach, and reach of each emotion."""
        of_sides = [way for way in ways if way in self._coarse.of_sides]
        of_topics = [way for way in ways if way not in of_sides]
        shares: dict[str, list[float]] = {}
        recalls: dict[str, list[Tensor]] = {}
        for each in dealings.topics:
            ranks, hits = self._right(each, of_topics)
            for name, value in statistics(ranks, each.emotion).items():
                shares.setdefault(name, []).append(value)
            for way, right in hits.items():
                shares.setdefault(way, []).append(share(right))
        for each in dealings.sides if of_sides else ():
            _, hits = self._right(each, of_sides)
            for way, right in hits.items():
                shares.setdefault(way, []).append(share(right))
                recalls.setdefault(way, []).append(recall(right, each))
        null = {name: torch.tensor(values).double() for name, values in shares.items()}
        return null, {way: torch.stack(each) for way, each in recalls.items()}

    def _refits(self, n: int, ways: Sequence[str]) -> dict[str, Float[Tensor, "refit"]]:
        """Return what vectors of topics drawn again reach on the same rows."""
        shares: dict[str, list[float]] = {}
        for weight in held_out.topics_drawn_again(self._design, n, self._seed):
            ranks, right = self._right(self._design, ways, weight)
            values = statistics(ranks, self._design.emotion)
            values |= {way: share(hits) for way, hits in right.items()}
            for name, value in values.items():
                shares.setdefault(name, []).append(value)
        return {name: torch.tensor(values).double() for name, values in shares.items()}

    def _nested(self, designs: Sequence[Design], ways: Sequence[str]) -> NestedReading:
        """Return who is right with shuffled labels: first of all, then in each way."""
        hits = []
        for each in designs:
            ranks, right = self._right(each, ways)
            hits.append(torch.stack([ranks == 0, *right.values()]))
        inner = [inner_hits(self._rows, each, self._basis) for each in designs]
        return NestedReading(torch.stack(hits), torch.stack(inner))


def share(right: Bool[Tensor, "row"]) -> float:
    """Share of rows that are right."""
    return float(right.double().mean())


def statistics(ranks: Ranks, emotion: Int[Tensor, "row"]) -> dict[str, float]:
    """Top-1, top-3 and balanced accuracy."""
    first = ranks == 0
    return {
        TOP_1: share(first),
        TOP_3: share(ranks < 3),
        BALANCED: float((first.double() * balance(emotion)).sum()),
    }


def balance(emotion: Int[Tensor, "row"]) -> Float[Tensor, "row"]:
    """Weigh rows so that each emotion that has any counts the same; weights sum to one."""
    of = torch.bincount(emotion).double()
    return 1 / (of[emotion] * int((of > 0).sum()))


def recall(right: Bool[Tensor, "row"], design: Design) -> Float[Tensor, "emotion"]:
    """Share of right rows of each emotion; NaN for one without a row."""
    hits = torch.bincount(design.emotion, weights=right.double(), minlength=design.n_emotions)
    return hits / torch.bincount(design.emotion, minlength=design.n_emotions)
