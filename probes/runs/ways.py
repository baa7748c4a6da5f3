"""Ways of expressing an emotion: which texts of a run express it how, and where they are read.

* *said*: a frame names it; read from the phrase on, to the end.
* *shown*: an ending shows it and does not name it; *narrated* and *voiced* are its two forms.
* *carried*: the closing after an ending, word for word the same after all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import DataError
from probes.corpus.cells import Passage, read_corpus
from probes.runs.folder import Run
from probes.vectors.activations import Kind, Part, ShardRows
from probes.vectors.bundle import CARRIED, SAID, SHOWN

NARRATED, VOICED = "narrated", "voiced"
WAYS = (SAID, NARRATED, VOICED, SHOWN, CARRIED)


@dataclass(frozen=True, kw_only=True)
class WayRows:
    """Pooled activations of all texts of one way at one layer."""

    emotion: Int[Tensor, "row"]
    """Index in `Materials.emotions`."""
    unit: Int[Tensor, "row"]
    """Index in `Materials.units`: of the topic, or the frame."""
    mean: Float[Tensor, "row d_model"]

    def where(self, chosen: Bool[Tensor, "row"]) -> "WayRows":
        """Return some of the rows."""
        return WayRows(emotion=self.emotion[chosen], unit=self.unit[chosen], mean=self.mean[chosen])


class PlacedText(NamedTuple):
    """A text of one emotion, and what stands around it."""

    emotion: int
    """Index in `Materials.emotions`."""
    topic: str
    """Or the frame."""
    opening: str
    text: str
    closing: str

    @property
    def whole(self) -> str:
        """All of it, as a model reads it."""
        return Passage(self.text, self.opening, self.closing).whole


def with_closing(
    mean: Float[Tensor, "row d_model"],
    n_tokens: Int[Tensor, "row"],
    apart: Float[Tensor, "row d_model"],
    n_apart: Int[Tensor, "row"],
) -> Float[Tensor, "row d_model"]:
    """Return the mean over a text and its closing together."""
    sums = mean * rearrange(n_tokens, "row -> row 1") + apart * rearrange(n_apart, "row -> row 1")
    return sums / rearrange(n_tokens + n_apart, "row -> row 1")


@dataclass(frozen=True)
class KeptRows:
    """What was kept of an extraction, by kind of text."""

    rows: Callable[[Kind], Sequence[ShardRows]]
    """What the rows of each shard are."""
    layer: Callable[[Kind, Part, int], Float[Tensor, "row d_model"]]
    """One layer of the model, of all shards."""


class Ways:
    """The ways of a run's texts."""

    def __init__(
        self, run: Run, kept: KeptRows, emotions: Sequence[str], topics: Sequence[str]
    ) -> None:
        self._run, self._kept, self._emotions = run, kept, list(emotions)
        self._topics, self._frames = list(topics), list(run.texts.frames)

    @cached_property
    def names(self) -> list[str]:
        """Those that this run has, in the order of `WAYS`."""
        forms = {self._run.texts.forms.get(topic) for topic in self._topics}
        closings = [shard.n_apart for shard in self._kept.rows("stories")]
        has = {
            SAID: bool(self._frames and self._kept.rows("said")),
            NARRATED: NARRATED in forms,
            VOICED: VOICED in forms,
            SHOWN: True,
            CARRIED: any(each is not None and bool((each > 0).any()) for each in closings),
        }
        return [way for way in WAYS if has[way]]

    def units(self, way: str) -> list[str]:
        """Return the names of the frames (said) or topics that a way's texts stand in."""
        return self._frames if way == SAID else self._topics

    def rows(self, way: str, layer: int) -> WayRows:
        """Return the activations of a way's texts at one layer."""
        kind = self._kind(way)
        shards = self._kept.rows(kind)
        n_tokens = torch.cat([shard.n_tokens for shard in shards])
        n_apart = torch.cat([_n_apart(shard) for shard in shards])
        mean = self._kept.layer(kind, "apart" if way == CARRIED else "mean", layer)
        if way == SAID:
            mean = with_closing(mean, n_tokens, self._kept.layer(kind, "apart", layer), n_apart)
        emotion, unit, chosen = self._labels(way)
        return WayRows(emotion=emotion, unit=unit, mean=mean[chosen])

    def texts(self, way: str) -> list[PlacedText]:
        """Return the text of every row, in the order of the rows."""
        texts = self._run.texts
        known = {
            (text.emotion, text.topic, text.index): text.passage
            for text in read_corpus(
                self._run.root, texts.said_cells if way == SAID else texts.story_cells
            )
        }
        rows = [row for shard in self._kept.rows(self._kind(way)) for row in shard.rows]
        _, _, chosen = self._labels(way)
        if any(row.index is None for row in rows):
            raise DataError(
                "activations were kept per cell, not per story; set activation.keep=story and "
                "extract again."
            )
        placed = []
        for row, use in zip(rows, chosen.tolist(), strict=True):
            if use:
                passage = known[row.emotion, row.topic, row.index or 0]
                number = self._emotions.index(row.emotion or "")
                placed.append(PlacedText(number, row.topic, *passage.pieces))
        return placed

    @staticmethod
    def _kind(way: str) -> Kind:
        return "said" if way == SAID else "stories"

    def _labels(
        self, way: str
    ) -> tuple[Int[Tensor, "_row"], Int[Tensor, "_row"], Bool[Tensor, "all"]]:
        """Return emotion and unit of a way's rows, and which of their kind's rows they are."""
        shards = self._kept.rows(self._kind(way))
        rows = [row for shard in shards for row in shard.rows]
        forms = self._run.texts.forms
        chosen = torch.tensor(
            [way not in (NARRATED, VOICED) or forms.get(row.topic) == way for row in rows]
        )
        if way == CARRIED:
            chosen &= torch.cat([_n_apart(shard) for shard in shards]) > 0
        emotions = {name: number for number, name in enumerate(self._emotions)}
        units = {name: number for number, name in enumerate(self.units(way))}
        emotion = torch.tensor([emotions[row.emotion or ""] for row in rows])
        unit = torch.tensor([units[row.topic] for row in rows])
        return emotion[chosen], unit[chosen], chosen


def _n_apart(shard: ShardRows) -> Int[Tensor, "row"]:
    return torch.zeros_like(shard.n_tokens) if shard.n_apart is None else shard.n_apart
