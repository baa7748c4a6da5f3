r"""How much of a score a factor explains among stories of the same emotion.

1. Alone: :math:`R^2` of the scores on the factor's columns (of topic: on the topics' means) and on
   its shift (`factor_shifts`), all less their mean over the stories of the same emotion, adjusted
   for the number of columns :math:`k` and emotions :math:`E` (Ezekiel 1930):
   :math:`1 - (1 - R^2)(n - E) / (n - E - k)`. Zero is expected of a factor that says nothing. The
   columns see what makes every emotion's stories score higher, the shift what raises some and
   lowers others.
2. Beyond the others: adjusted :math:`R^2` of all factors less that of all but this one.
3. Interval: as wide as the share spreads when topics are drawn again (`spread_interval`). p: topic
   is tested with scores dealt out anew within emotions; any other factor is dealt out anew within
   topics, shift and all: what it shares with the topics by chance is in its null as well.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.factor_shifts import within
from probes.analysis.findings import Estimate
from probes.analysis.intervals import estimate_from_spread
from probes.analysis.resampling import permutation_p_value, permute_within, topic_counts

Labels = Int[Tensor, "row"]
Factors = Mapping[str, Float[Tensor, "row _column"]]
Draws = Float[Tensor, "r topic"]
PerDraw = Float[Tensor, "r"]
Shift = Callable[[Float[Tensor, "row column"]], Float[Tensor, "row"]]
TOPIC = "topic"
_CONSTANT = 1e-9
"""A column whose spread within emotions is below this share of its size does not vary."""


@dataclass(frozen=True, kw_only=True)
class Share(Estimate):
    """Adjusted R2 of a factor with interval and p; `beyond`: what it adds to all other factors."""

    p: float
    beyond: float


def variance_explained(
    score: Float[Tensor, "row"],
    factors: Factors,
    emotion: Labels,
    topic: Labels,
    *,
    shift: Shift | None = None,
    n_resamples: int,
    n_permutations: int,
    seed: int,
) -> dict[str, Share | None]:
    """Share of the scores' variance that the topic, then each factor explain.

    A factor has one column, or one per level of a category; its share is None where it does not
    vary within emotions. `shift` gives that of a factor's columns. `InvalidInput` when there are
    too few stories, or all scores are equal.
    """
    y = within(score.double(), emotion)
    topic = topic.unique(return_inverse=True)[1]

    def columns(x: Float[Tensor, "row _column"], *, alone: bool = False) -> Tensor:
        """Return what varies of a factor within emotions, with its shift, or of its shift alone."""
        varying = _varying(within(x.double(), emotion), x)
        if shift is None or not varying.shape[1]:
            return varying[:, :0] if alone else varying
        further = within(rearrange(shift(x.double()), "row -> row 1"), emotion)
        parts = [further] if alone else [varying, further]
        return _varying(torch.cat(parts, dim=1), further)

    topics = torch.nn.functional.one_hot(topic).double()
    known = {name: x for name in factors if (x := columns(factors[name])).shape[1]}
    known = {TOPIC: columns(topics, alone=True), **known}
    free = len(y) - len(emotion.unique())
    n_columns = sum(x.shape[1] for x in known.values()) + int(topic.max())
    if free - n_columns < 2 or not bool(y.abs().max() > 0):
        raise InvalidInput(
            "Expected more stories than emotions, topics and factors together, and scores that "
            f"differ; got {len(y)} stories. Write more stories per topic."
        )
    sums = _Sums(y, known, emotion, topic)
    once = torch.ones(1, int(topic.max()) + 1, dtype=torch.float64)
    drawn = topic_counts(topic, n_resamples, seed)
    orders = permute_within(torch.arange(len(y)), topic, n_permutations, seed)
    dealt = {
        name: (columns(factors[name][order]) for order in orders)
        for name in known
        if name in factors
    }
    nulls = {name: _null(y, each) for name, each in dealt.items()}
    nulls[TOPIC] = _null_of_topic(y, known[TOPIC], emotion, topic, n_permutations, seed)
    shares: dict[str, Share | None] = dict.fromkeys([TOPIC, *factors])
    for name in known:
        value, beyond = float(sums.alone(name, once)), float(sums.beyond(name, once))
        spread = estimate_from_spread(
            value, sums.alone(name, drawn), int(topic.max()) + 1, most=1.0
        )
        assert spread is not None
        low, high = spread.ends
        p = permutation_p_value(float(sums.raw(name, once)), nulls[name], "greater")
        shares[name] = Share(value, low, high, p=p, beyond=beyond)
    return shares


def adjusted_r2(score: Float[Tensor, "row"], columns: Float[Tensor, "row _column"]) -> float | None:
    """Return adjusted R2 of scores on columns; None where nothing varies or stories are too few."""
    kept = _varying(columns.double() - columns.double().mean(dim=0), columns)
    y = score.double() - score.double().mean()
    rank = int(torch.linalg.matrix_rank(kept)) if kept.shape[1] else 0
    free, total = len(y) - 1 - rank, float(y @ y)
    if rank == 0 or free < 2 or total == 0:
        return None
    rest = y - kept @ torch.linalg.lstsq(kept, rearrange(y, "row -> row 1")).solution[:, 0]
    return 1 - float(rest @ rest) / total * (len(y) - 1) / free


def _varying(
    inside: Float[Tensor, "row _column"], before: Float[Tensor, "row _column"]
) -> Float[Tensor, "row _kept"]:
    """Drop columns that do not vary, and the last of those that add up to a constant."""
    size = before.double().abs().max(dim=0).values if len(before) else before.new_zeros(0)
    spread = inside.norm(dim=0)
    kept = inside[:, spread > _CONSTANT * size.clamp(min=1e-30) * len(inside) ** 0.5]
    while kept.shape[1] > 1 and int(torch.linalg.matrix_rank(kept)) < kept.shape[1]:
        kept = kept[:, :-1]
    return kept / kept.norm(dim=0)


class _Sums:
    """Sums over the stories of each topic, from which every regression on drawn topics follows."""

    def __init__(
        self, y: Float[Tensor, "row"], known: Factors, emotion: Labels, topic: Labels
    ) -> None:
        self._n_emotions = len(emotion.unique())
        self._place: dict[str, list[int]] = {}
        start = 0
        for name, x in known.items():
            self._place[name] = list(range(start, start + x.shape[1]))
            start += x.shape[1]
        # The score is the last column.
        table = torch.cat([*known.values(), rearrange(y, "row -> row 1")], dim=1)
        n_topics = int(topic.max()) + 1
        products = einsum(table, table, "row a, row b -> row a b")
        self._n = torch.bincount(topic, minlength=n_topics).double()
        self._sum = table.new_zeros(n_topics, start + 1).index_add_(0, topic, table)
        self._product = table.new_zeros(n_topics, start + 1, start + 1)
        self._product.index_add_(0, topic, products)

    def raw(self, name: str, drawn: Draws) -> PerDraw:
        """R2 of one factor alone."""
        total, inside = self._moments(drawn)
        if name == TOPIC:
            left = inside[:, -1, -1] - self._fit(inside, self._place[TOPIC])
            return 1 - left / total[:, -1, -1]
        return self._fit(total, self._place[name]) / total[:, -1, -1]

    def alone(self, name: str, drawn: Draws) -> PerDraw:
        n_columns = len(self._place[name]) + (self._n_topics(drawn) - 1) * (name == TOPIC)
        return self._adjusted(self.raw(name, drawn), drawn, n_columns)

    def beyond(self, name: str, drawn: Draws) -> PerDraw:
        total, inside = self._moments(drawn)
        everything = [column for columns in self._place.values() for column in columns]
        full = 1 - (inside[:, -1, -1] - self._fit(inside, everything)) / total[:, -1, -1]
        n_topics = self._n_topics(drawn) - 1
        others = [column for column in everything if column not in self._place[name]]
        if name == TOPIC:
            rest, n_rest = self._fit(total, others) / total[:, -1, -1], len(others)
        else:
            rest = 1 - (inside[:, -1, -1] - self._fit(inside, others)) / total[:, -1, -1]
            n_rest = n_topics + len(others)
        return self._adjusted(full, drawn, n_topics + len(everything)) - self._adjusted(
            rest, drawn, n_rest
        )

    def _moments(self, drawn: Draws) -> tuple[Float[Tensor, "r a a"], Float[Tensor, "r a a"]]:
        """Products about the mean over all rows, and about the topics' means."""
        product = einsum(drawn, self._product, "r topic, topic a b -> r a b")
        total = einsum(drawn, self._sum, "r topic, topic a -> r a")
        n = rearrange(drawn @ self._n, "r -> r 1 1")
        means = einsum(self._sum, self._sum, "topic a, topic b -> topic a b")
        between = means / rearrange(self._n.clamp(min=1), "topic -> topic 1 1")
        inside = product - einsum(drawn, between, "r topic, topic a b -> r a b")
        return product - einsum(total, total, "r a, r b -> r a b") / n, inside

    def _fit(self, moments: Float[Tensor, "r a a"], columns: list[int]) -> PerDraw:
        """Sum of squares that some columns explain."""
        if not columns:
            return moments.new_zeros(len(moments))
        own, with_score = moments[:, columns][:, :, columns], moments[:, columns, -1]
        inverse = torch.linalg.pinv(own, rtol=1e-9, hermitian=True)
        return einsum(with_score, inverse, with_score, "r a, r a b, r b -> r")

    def _n_topics(self, drawn: Draws) -> int:
        # A topic that is drawn twice counts as two.
        return int(drawn[0].sum())

    def _adjusted(self, share: PerDraw, drawn: Draws, n_columns: int) -> PerDraw:
        free = drawn @ self._n - self._n_emotions
        return 1 - (1 - share) * free / (free - n_columns).clamp(min=1)


def _null(y: Float[Tensor, "row"], dealt: Iterable[Tensor]) -> Float[Tensor, "permutation"]:
    """R2 of a factor's columns, dealt out anew."""
    total, shares = float(y @ y), []
    for x in dealt:
        axes = torch.linalg.qr(x - x.mean(dim=0)).Q
        shares.append(float((y @ axes).square().sum()) / total)
    return torch.tensor(shares, dtype=torch.float64)


def _null_of_topic(
    y: Float[Tensor, "row"],
    shift: Float[Tensor, "row _column"],
    emotion: Labels,
    topic: Labels,
    n_permutations: int,
    seed: int,
) -> Float[Tensor, "permutation"]:
    """R2 of topics and their shift, of scores dealt out anew within emotions."""
    dealt = permute_within(y, emotion, n_permutations, seed)
    total = float((y - y.mean()).square().sum())
    sums = y.new_zeros(n_permutations, int(topic.max()) + 1).index_add_(1, topic, dealt)
    n = torch.bincount(topic).double()
    between = ((sums / n - y.mean()).square() * n).sum(dim=1)
    axes = torch.linalg.qr(within(shift, topic)).Q
    return (between + (dealt @ axes).square().sum(dim=1)) / total
