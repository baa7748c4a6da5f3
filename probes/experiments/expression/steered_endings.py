"""Endings of one way of expression, read under vectors of another and under control directions.

An ending is read after its opening, which all endings of a topic share, and all its tokens are
scored; every token is steered, those of the opening too. What any direction does to an ending is
the ending's slope along it (`hooks.log_prob_slopes`) times the dose: right to first order, and one
pass serves all directions. How right is seen by steering with a few vectors (`Steerer`).

The method was chosen after Gemma-3-270m had been seen on the first four topics: of a corpus with
twice as many, the next four are read.

Directions of a way are made as the run's vectors are. What they are compared with:

* Random: directions with the stories' covariance, the same for all ways.
* Shuffled labels: directions of the same way, its emotions dealt out anew within topics or frames.
* Valence: the mean of the way's vectors of pleasant emotions less that of unpleasant ones, pointing
  to each emotion's own side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

import hooks
from hooks import LanguageModel
from hooks.reading.pieces import join
from hooks.reading.scoring import mean_log_probs
from hooks.tokens.encoding import n_common
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.resampling import permute_within
from probes.experiments.expression.own_endings import SteeredEndings
from probes.runs.ways import PlacedText, WayRows
from probes.vectors.denoising import CellSums, fit_vectors


@dataclass(frozen=True)
class AfterOpening:
    """Endings on a topic after the same tokens, and of which emotions (columns) they are."""

    topic: str
    opening: Sequence[int]
    columns: Sequence[int]
    tokens: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Endings:
    """Endings of `n_emotions` emotions, one of each on every topic."""

    topics: Sequence[str]
    n_emotions: int
    groups: Sequence[AfterOpening]

    @property
    def tokens_per_ending(self) -> float:
        """How many tokens an ending has, on average."""
        lengths = [len(tokens) for group in self.groups for tokens in group.tokens]
        return sum(lengths) / len(lengths)

    @property
    def n_endings(self) -> int:
        """How many there are."""
        return sum(len(group.tokens) for group in self.groups)

    def on(self, topic: str) -> "Endings":
        """Return those on one topic."""
        groups = [group for group in self.groups if group.topic == topic]
        return Endings([topic], self.n_emotions, groups)

    def slopes(
        self,
        model: LanguageModel,
        layer: int,
        advance: Callable[[int], object] = lambda _count: None,
    ) -> Float[Tensor, "topic emotion d_model"]:
        """Return slopes of each emotion's ending on each topic, in nats per token."""
        slopes = torch.zeros(len(self.topics), self.n_emotions, model.d_model)
        for group in self.groups:
            texts = [(group.opening, tokens) for tokens in group.tokens]
            row = self.topics.index(group.topic)
            slopes[row, list(group.columns)] = hooks.log_prob_slopes(model, texts, layer)
            advance(len(texts))
        return slopes

    def log_probs(self, model: LanguageModel) -> Float[Tensor, "emotion"]:
        """Return nats per token of each emotion's endings, averaged over topics."""
        sums = torch.zeros(self.n_emotions, dtype=torch.float64)
        for group in self.groups:
            scored = mean_log_probs(model, group.opening, group.tokens)
            sums.index_add_(0, torch.tensor(group.columns), scored)
        return sums / len(self.topics)


def choose_endings(
    model: LanguageModel, texts: Sequence[PlacedText], emotions: Sequence[int], n_topics: int
) -> Endings | None:
    """Take topics on which there is an ending of every emotion; None without any.

    They are the second `n_topics` of at least twice as many, else the first: a corpus may order
    its topics so that the first few are balanced, and the next as well.
    """
    of_topic: dict[str, dict[int, PlacedText]] = {}
    for text in texts:
        of_topic.setdefault(text.topic, {}).setdefault(text.emotion, text)
    complete = [topic for topic, known in of_topic.items() if set(emotions) <= set(known)]
    start = n_topics if len(complete) >= 2 * n_topics else 0
    chosen = complete[start : start + n_topics]
    groups: dict[tuple[str, tuple[int, ...]], list[tuple[int, list[int]]]] = {}
    for topic in chosen:
        for column, emotion in enumerate(emotions):
            opening, tokens = _parted(model, of_topic[topic][emotion])
            groups.setdefault((topic, tuple(opening)), []).append((column, tokens))
    if not complete:
        return None
    after = [AfterOpening(*shared, *zip(*each, strict=True)) for shared, each in groups.items()]
    return Endings(chosen, len(emotions), after)


def _parted(model: LanguageModel, text: PlacedText) -> tuple[list[int], list[int]]:
    """Return the tokens before an ending, one at least, and those of the ending."""
    whole = model.encode(join((text.opening, text.text)))
    edge = max(n_common(model.encode(text.opening), whole), 1)
    return whole[:edge], whole[edge:]


@dataclass(frozen=True)
class Steerer:
    """Adds directions to every token at one layer, at a fraction of the mean residual norm."""

    model: LanguageModel
    layer: int
    residual_norm: float

    def changes(
        self,
        endings: Endings,
        directions: Float[Tensor, "direction d_model"],
        dose: float,
        advance: Callable[[int], object] = lambda _count: None,
    ) -> Float[Tensor, "direction emotion"]:
        """Return by how many nats per token each direction changes each emotion's endings."""
        before = endings.log_probs(self.model)
        changes = []
        for direction in directions:
            how = {"layers": [self.layer], "dose": dose, "residual_norm": self.residual_norm}
            with hooks.steer(self.model, direction, **how):
                changes.append(endings.log_probs(self.model) - before)
            advance(1)
        return torch.stack(changes)


def way_vectors(
    rows: WayRows,
    basis: Float[Tensor, "component d_model"],
    shape: tuple[int, int],
    *,
    shuffled_by: int | None = None,
) -> Float[Tensor, "emotion d_model"]:
    """Make one layer's vectors of a way, as the run's are made; zero for an emotion without a row.

    `shape` is the number of units and of emotions; `shuffled_by` a seed that deals the emotions out
    anew within each unit.
    """
    emotion = rows.emotion
    if shuffled_by is not None:
        [emotion] = permute_within(emotion, rows.unit, 1, shuffled_by)
    cells = CellSums.of(rows.mean.double(), (rows.unit, emotion), torch.ones_like(emotion), shape)
    return fit_vectors(cells, torch.ones(shape[0], dtype=torch.float64), basis).vectors.float()


@dataclass(frozen=True)
class ControlDirections:
    """Different directions, and which of them stands in for each emotion (columns)."""

    directions: Float[Tensor, "direction d_model"]
    standing_in: Mapping[int, int]

    def spread(self, changes: Float[Tensor, "direction emotion"]) -> SteeredEndings:
        """Give each emotion the changes under the direction that stands in for its vector."""
        rows = list(self.standing_in)
        chosen = torch.tensor([self.standing_in[row] for row in rows])
        return SteeredEndings(changes[chosen], rows, len(self.directions))


def in_turns(
    directions: Float[Tensor, "direction d_model"], n_emotions: int
) -> ControlDirections | None:
    """Let directions stand in for emotions in turns; one alone, or none, can favor no emotion."""
    if len(directions) < 2:
        return None
    places = {row: row % len(directions) for row in range(n_emotions)}
    return ControlDirections(directions, places)


def valence_directions(
    vectors: Float[Tensor, "emotion d_model"], names: Sequence[str], columns: Sequence[int]
) -> ControlDirections | None:
    """Make the axis of valence from all vectors of a way; None where a side has no emotion.

    `columns` are the emotions to stand in for; one whose side is unknown has no direction.
    """
    side = EmotionGroups.of(names).side
    there = _nonzero(vectors)
    up, down = there & (side > 0), there & (side < 0)
    if not (bool(up.any()) and bool(down.any())):
        return None
    axis = vectors[up].mean(dim=0) - vectors[down].mean(dim=0)
    sides = side[list(columns)].tolist()
    places = {row: int(it < 0) for row, it in enumerate(sides) if it != 0}
    return ControlDirections(torch.stack([axis, -axis]), places)


def _nonzero(vectors: Float[Tensor, "emotion d_model"]) -> Bool[Tensor, "emotion"]:
    return vectors.norm(dim=1) > 0
