r"""What is learned from one way of expressing emotions, read on another.

1. Vectors are made of every unit of the learned way (`ways`); a text on topic :math:`u` is read by
   those of all other topics, so nothing is learned from the topic, or frame, that is read.
2. A row :math:`x` is nearest to the emotion of the largest cosine of :math:`x - c` with
   :math:`v_e`, :math:`c` the mean of the way that is read, each unit and emotion weighing the same.
   A tie goes to the first of the list, so that texts which do not differ are read at chance.
3. Interval: over the units that are read, wider by what learning anew changes from units drawn
   again, among those that stand in the same ways (`intervals.mean_of_units`).
4. Null: whole cells change their emotions within each unit that is learned from.

Dot products of rows with differences are taken once; draws and permutations are sums of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from probes.analysis import held_out
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import Estimate
from probes.analysis.intervals import SHARE, mean_of_units
from probes.experiments.expression.ways import Way
from probes.vectors.denoising import FittedVectors
from probes.vectors.normalize import normalize

_VECTORS_AT_ONCE = 10_000
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class ReadShare:
    """A share of rows, by the units that are read, and what it was whenever learned anew."""

    right: Float[Tensor, "unit"]
    of: Float[Tensor, "unit"]
    refits: Float[Tensor, "refit"]

    @property
    def value(self) -> float:
        """The share of all rows."""
        return float(self.right.sum() / self.of.sum())

    def estimate(self) -> Estimate:
        """Return the share with its interval."""
        return mean_of_units(self.right, self.of, refits=self.refits, within=SHARE)

    def less(self, other: "ReadShare") -> Estimate:
        """Return the difference to another share of the same rows, learned anew from the same."""
        return mean_of_units(self.right - other.right, self.of, refits=self.refits - other.refits)

    def all_at(self, value: float) -> "ReadShare":
        """Return the same share of every unit, whatever is learned."""
        return ReadShare(value * self.of, self.of, torch.full_like(self.refits, value))


@dataclass(frozen=True)
class Transfer:
    """Shares of one way's rows that another's vectors name; None where no row could count.

    `null` are accuracies with permuted emotions.
    """

    accuracy: ReadShare
    clusters: ReadShare | None
    within_side: ReadShare | None
    mean_rank: float
    n_rows: int
    null: Float[Tensor, "permutation"]


def draw_units(ways: Sequence[Way], n_draws: int, seed: int) -> Float[Tensor, "draw unit"]:
    """Count how often each unit is drawn among those of the same ways; the first row is all once.

    At least two different ones are drawn wherever there are two: one alone cannot be left out.
    """
    n_units = 1 + max(int(way.units.max()) for way in ways)
    there = torch.stack([torch.bincount(way.units, minlength=n_units) > 0 for way in ways], dim=1)
    stratum = there.unique(dim=0, return_inverse=True)[1]
    generator = torch.Generator().manual_seed(seed)
    counts = torch.ones(n_draws + 1, n_units)
    for number in range(int(stratum.max()) + 1):
        [members] = torch.nonzero(stratum == number, as_tuple=True)
        n = len(members)
        drawn = torch.randint(n, (n_draws, n), generator=generator)
        while n > 1 and bool((alone := (drawn == drawn[:, :1]).all(dim=1)).any()):
            drawn[alone] = torch.randint(n, (int(alone.sum()), n), generator=generator)
        counts[1:, members] = torch.nn.functional.one_hot(drawn, n).sum(dim=1).float()
    return counts


def permuted_cells(
    present: Bool[Tensor, "unit emotion"], n_permutations: int, seed: int
) -> Int[Tensor, "permutation unit emotion"]:
    """Permute the emotions that each unit has; every permutation holds indices of emotions."""
    generator = torch.Generator().manual_seed(seed)
    n_units, n_emotions = present.shape
    permuted = torch.arange(n_emotions).repeat(n_permutations, n_units, 1)
    for unit in range(n_units):
        [members] = torch.nonzero(present[unit], as_tuple=True)
        keys = torch.rand(n_permutations, len(members), generator=generator)
        permuted[:, unit, members] = members[keys.argsort(dim=1)]
    return permuted


class Permuted:
    """Vectors of a way whose cells have changed their emotions, as `permuted_cells` says."""

    def __init__(self, learned: Way, permuted: Int[Tensor, "permutation unit emotion"]) -> None:
        n_units, n_emotions = learned.present.shape
        self._n = len(permuted)
        first = rearrange(torch.arange(n_units) * n_emotions, "unit -> unit 1")
        self._index = rearrange(permuted + first, "p unit emotion -> (p emotion) unit")
        flat = rearrange(learned.differences, "unit emotion d -> (unit emotion) d")
        self._lengths = torch.cat(
            [_lengths(index, flat) for index in self._index.split(_VECTORS_AT_ONCE)]
        )

    def named(self, block: "_Block") -> Int[Tensor, "permutation row"]:
        """Return the emotion that each permutation names for each row."""
        centered = block.dots - block.center.mean(dim=1, keepdim=True)
        table = rearrange(centered, "unit row emotion -> (unit emotion) row").contiguous()
        index = self._index[:, block.kept].contiguous()
        [left_out] = torch.nonzero(~block.kept, as_tuple=True)
        length = self._lengths[:, int(left_out) if len(left_out) else -1]
        scored = embedding_bag(index, table, mode="sum") / rearrange(length, "vector -> vector 1")
        return rearrange(scored, "(p emotion) row -> p emotion row", p=self._n).argmax(dim=1)


def _lengths(
    index: Int[Tensor, "vector unit"], flat: Float[Tensor, "cell feature"]
) -> Float[Tensor, "vector unit_or_none"]:
    """Lengths of sums over units, with each unit left out in turn, and at last with none."""
    total = embedding_bag(index, flat, mode="sum")
    each = [(total - flat[of_unit]).norm(dim=1) for of_unit in index.unbind(dim=1)]
    return torch.stack([*each, total.norm(dim=1)], dim=1).clamp(min=_TINY)


def can_be_read(learned: Way, read: Way) -> bool:
    """Whether every unit that is read leaves one to learn from."""
    return all(bool((learned.units != unit).any()) for unit in read.units)


def read_accuracy(learned: Sequence[Way], read: Way) -> float:
    """Share of rows that are named right, without an interval.

    What is learned from several ways is the sum of their vectors, each of length one.
    """
    center, right = read.means.mean(dim=0), 0
    for number, unit in enumerate(read.units):
        vectors, present = zip(*(_without_unit(way, int(unit)) for way in learned), strict=True)
        whole = vectors[0] if len(vectors) == 1 else torch.stack([*map(normalize, vectors)]).sum(0)
        trained = FittedVectors(whole, center, torch.stack(present).all(dim=0))
        rows, emotion = read.rows_of(number)
        assert isinstance(rows, Tensor)
        right += int((held_out.scores(rows, trained).argmax(dim=1) == emotion).sum())
    return right / len(read.emotion)


def _without_unit(
    learned: Way, unit: int
) -> tuple[Float[Tensor, "emotion feature"], Bool[Tensor, "emotion"]]:
    """Sum a way's differences over its other units; tells which emotions these have."""
    kept = learned.units != unit
    return learned.differences[kept].sum(dim=0), learned.present[kept].any(dim=0)


def read_way(
    learned: Way,
    read: Way,
    weights: Float[Tensor, "draw unit"],
    groups: EmotionGroups,
    permuted: Permuted | None = None,
) -> Transfer:
    """Read every row of one way by what is learned from another.

    `weights` are those of `draw_units`, `permuted` is of the learned way.
    """
    tally, once = _Tally(), torch.ones(len(weights), len(read.units))
    ranks, null_hits = [], []
    for block in _blocks(learned, read):
        scored = block.scores(weights[:, learned.units], once)
        _count(tally, scored, block.emotion, groups)
        ranks.append(held_out.rank_of(scored[0], block.emotion))
        if permuted is not None:
            null_hits.append((permuted.named(block) == block.emotion).sum(dim=1))
    n_rows = len(read.emotion)
    accuracy = tally.share("accuracy")
    assert accuracy is not None
    return Transfer(
        accuracy,
        tally.share("clusters"),
        tally.share("within_side"),
        float(torch.cat(ranks).double().mean()),
        n_rows,
        torch.stack(null_hits).sum(dim=0) / n_rows if null_hits else torch.zeros(0),
    )


@dataclass(frozen=True)
class _Block:
    """Rows of one unit of the way that is read, and the units that they are read by.

    `dots` are those of rows with differences, `center` those of the means of all read units.
    """

    learned: Way
    kept: Bool[Tensor, "learned"]
    emotion: Int[Tensor, "row"]
    dots: Float[Tensor, "learned row emotion"]
    center: Float[Tensor, "learned read emotion"]

    def scores(
        self, learned: Float[Tensor, "draw learned"], read: Float[Tensor, "draw read"]
    ) -> Float[Tensor, "draw row emotion"]:
        """Length of each centered row along each vector, for every draw of units."""
        weight = learned * self.kept
        of_rows = einsum(weight, self.dots, "draw l, l row e -> draw row e")
        share = read / read.sum(dim=1, keepdim=True)
        of_center = einsum(weight, share, self.center, "draw l, draw m, l m e -> draw e")
        wide = weight.double()
        square = einsum(wide, self.learned.grams, wide, "draw l, e l m, draw m -> draw e")
        length = square.clamp(min=0).sqrt().float().clamp(min=_TINY)
        there = weight @ self.learned.present.float() > 0
        scale = rearrange(1 / length, "draw e -> draw 1 e")
        scored = (of_rows - rearrange(of_center, "draw e -> draw 1 e")) * scale
        if bool(there.all()):
            return scored
        return scored.masked_fill(~rearrange(there, "draw e -> draw 1 e"), -math.inf)


def _blocks(learned: Way, read: Way) -> Iterator[_Block]:
    center = learned.along(read.means)
    for number, unit in enumerate(read.units):
        rows, emotion = read.rows_of(number)
        if len(emotion):
            dots = learned.along(rows)
            yield _Block(learned, learned.units != unit, emotion, dots, center)


class _Tally:
    """Rows named right, read unit by read unit, in each draw."""

    def __init__(self) -> None:
        self._right: dict[str, list[Tensor]] = {}
        self._of: dict[str, list[int]] = {}

    def add(self, what: str, right: Bool[Tensor, "draw _row"]) -> None:
        self._right.setdefault(what, []).append(right.sum(dim=1).double())
        self._of.setdefault(what, []).append(right.shape[1])

    def share(self, what: str) -> ReadShare | None:
        of = torch.tensor(self._of[what], dtype=torch.float64)
        if not of.any():
            return None
        right = torch.stack(self._right[what], dim=1)
        return ReadShare(right[0], of, right[1:].sum(dim=1) / of.sum())


def _count(
    tally: _Tally,
    scored: Float[Tensor, "draw row emotion"],
    emotion: Int[Tensor, "row"],
    groups: EmotionGroups,
) -> None:
    first = scored.argmax(dim=2)
    tally.add("accuracy", first == emotion)
    known = groups.cluster[emotion] >= 0
    tally.add("clusters", groups.same_cluster(first[:, known], emotion[known]))
    hits: list[Tensor] = [torch.zeros(len(scored), 0, dtype=torch.bool)]
    for side in (-1, 1):
        [rivals] = torch.nonzero(groups.side == side, as_tuple=True)
        of_side = groups.side[emotion] == side
        if of_side.any():
            among = scored[:, of_side][:, :, rivals].argmax(dim=2)
            hits.append(rivals[among] == emotion[of_side])
    tally.add("within_side", torch.cat(hits, dim=1))
