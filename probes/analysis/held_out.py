r"""Telling the emotion of a story on a topic that no vector was made from.

1. Topics are dealt into folds; a fold's stories are held out together, never a random part of them.
2. From the other topics come the vectors :math:`v_e`: mean over the stories of emotion :math:`e`
   minus the mean over emotions :math:`\bar m`, minus the projection on neutral components that were
   themselves taken from neutral text on the other topics.
3. A held-out story :math:`x` scores :math:`(x - \bar m) \cdot v_e / |v_e|` on every emotion. Its
   own norm is the same for all of them, so the order is that of centered cosines.
4. The rank of the story's own emotion (0 is best) is all that accuracies are made of.
5. Null: emotions dealt out anew within each topic, everything after that repeated.
6. Choosing a layer is nested: for the stories of fold :math:`f` the layer is chosen by the accuracy
   on every other fold :math:`g` with vectors from topics in neither :math:`f` nor :math:`g`.

Contract
--------
* Pure functions of one layer's rows. A row is a story, or the mean of a cell's stories.
* An emotion without a story outside a fold cannot be named there: it scores minus infinity.
* Ties count against the reader, so a reader that says the same of every emotion is never right.

Does not know models, files, or which layer a row is from.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Int
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.intervals import topic_counts

Rows = Float[Tensor, "row d_model"]
NeutralBasis = Float[Tensor, "_component d_model"]

LOGISTIC_COMPONENTS = 60
"""Leading components of the training stories that the logistic reader sees, whitened."""
_LOGISTIC_C = 0.1


@dataclass(frozen=True)
class Design:
    """Which row is what, and which fold holds it out.

    Attributes
    ----------
    emotion, topic
        Place of each row's emotion and topic.
    weight
        Stories that a row is the mean of.
    fold_of_topic
        Fold of every topic, in 0..n_folds-1.
    n_emotions
        Number of emotions.
    """

    emotion: Int[Tensor, "row"]
    topic: Int[Tensor, "row"]
    weight: Int[Tensor, "row"]
    fold_of_topic: Int[Tensor, "topic"]
    n_emotions: int

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold_of_topic.max()) + 1

    @property
    def n_topics(self) -> int:
        """Number of topics that have a row."""
        return len(self.topic.unique())

    @property
    def fold(self) -> Int[Tensor, "row"]:
        """Fold of every row."""
        return self.fold_of_topic[self.topic]


@dataclass(frozen=True)
class FittedVectors:
    """Vectors from the topics of one training set.

    Attributes
    ----------
    vectors
        Denoised; a row of an emotion without a story is zero.
    center
        Mean over emotions.
    present
        Emotions that had a story.
    """

    vectors: Float[Tensor, "emotion d_model"]
    center: Float[Tensor, "d_model"]
    present: Bool[Tensor, "emotion"]


def topic_folds(n_topics: int, n_folds: int, seed: int) -> Int[Tensor, "topic"]:
    """Deal topics into folds of sizes that differ by at most one.

    Raises
    ------
    InvalidInput
        With fewer than two topics or folds.
    """
    if n_topics < 2 or n_folds < 2:
        raise InvalidInput(
            f"Expected at least two topics and two folds to hold topics out, got {n_topics} and "
            f"{n_folds}. Write stories on more topics."
        )
    order = torch.randperm(n_topics, generator=torch.Generator().manual_seed(seed))
    fold = torch.empty(n_topics, dtype=torch.long)
    fold[order] = torch.arange(n_topics) % min(n_folds, n_topics)
    return fold


def centered(rows: Rows) -> Rows:
    """Subtract the mean row in float64: differences between rows are all that counts here."""
    wide = rows.double()
    return (wide - wide.mean(dim=0)).float()


class CellSums:
    """Sums and counts of rows per (topic, emotion), from which any training set's means follow."""

    def __init__(self, rows: Rows, design: Design, emotion: Int[Tensor, "row"] | None = None):
        label = design.emotion if emotion is None else emotion
        n_topics = len(design.fold_of_topic)
        cell = design.topic * design.n_emotions + label
        weight = design.weight.to(rows.dtype)
        sums = rows.new_zeros(n_topics * design.n_emotions, rows.shape[1])
        counts = rows.new_zeros(n_topics * design.n_emotions)
        sums.index_add_(0, cell, rows * rearrange(weight, "row -> row 1"))
        counts.index_add_(0, cell, weight)
        self.sums = rearrange(sums, "(topic emotion) d -> topic emotion d", topic=n_topics)
        self.counts = rearrange(counts, "(topic emotion) -> topic emotion", topic=n_topics)

    def train(self, topic_weight: Float[Tensor, "topic"], basis: NeutralBasis) -> FittedVectors:
        """Make vectors of the topics of a training set, each counted `topic_weight` times."""
        weight = topic_weight.to(self.sums.dtype)
        counts = einsum(self.counts, weight, "topic emotion, topic -> emotion")
        sums = einsum(self.sums, weight, "topic emotion d, topic -> emotion d")
        present = counts > 0
        means = sums / rearrange(counts.clamp(min=1), "emotion -> emotion 1")
        center = means[present].mean(dim=0)
        vectors = (means - center) * rearrange(present, "emotion -> emotion 1")
        return FittedVectors(without(vectors, basis), center, present)


def without(vectors: Rows, basis: NeutralBasis) -> Rows:
    """Remove the projection on orthonormal rows."""
    axes = basis.to(vectors.dtype)
    weight = einsum(vectors, axes, "row d, component d -> row component")
    return vectors - einsum(weight, axes, "row component, component d -> row d")


def scores(rows: Rows, trained: FittedVectors) -> Float[Tensor, "row emotion"]:
    """Length of each centered row along each vector; the order is that of centered cosines."""
    length = torch.linalg.vector_norm(trained.vectors, dim=1, keepdim=True)
    direction = trained.vectors / length.clamp(min=torch.finfo(rows.dtype).tiny)
    found = einsum(rows - trained.center, direction, "row d, emotion d -> row emotion")
    return found.masked_fill(~trained.present, -math.inf)


def rank_of(found: Float[Tensor, "row emotion"], emotion: Int[Tensor, "row"]) -> Int[Tensor, "row"]:
    """How many other emotions score at least as high as the row's own; 0 is right."""
    own = found.gather(1, rearrange(emotion, "row -> row 1"))
    return reduce((found >= own).long(), "row emotion -> row", "sum") - 1


def held_out_scores(
    rows: Rows,
    design: Design,
    bases: Sequence[NeutralBasis],
    emotion: Int[Tensor, "row"] | None = None,
) -> Float[Tensor, "row emotion"]:
    """Score every row with vectors from the folds it is not in.

    Parameters
    ----------
    rows
        Pooled activations of one layer; give them through `centered`.
    bases
        Orthonormal neutral components for each held-out fold.
    emotion
        Labels to learn from instead of the design's (a permutation of them).
    """
    cells = CellSums(rows, design, emotion)
    fold = design.fold
    found = rows.new_zeros(len(rows), design.n_emotions)
    for held, basis in enumerate(bases):
        trained = cells.train((design.fold_of_topic != held).to(rows.dtype), basis)
        members = fold == held
        found[members] = scores(rows[members], trained)
    return found


def held_out_ranks(rows: Rows, design: Design, bases: Sequence[NeutralBasis]) -> Int[Tensor, "row"]:
    """Rank of every row's own emotion by vectors from the folds it is not in."""
    return rank_of(held_out_scores(rows, design, bases), design.emotion)


def permute_within_topics(
    design: Design, n_permutations: int, seed: int
) -> Int[Tensor, "permutation row"]:
    """Deal out emotions anew among the rows of each topic."""
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(n_permutations, len(design.topic), dtype=torch.float64, generator=generator)
    # Whole part: the topic. So sorting shuffles inside topics only.
    shuffled = (keys + design.topic).argsort(dim=1)
    place = design.topic.argsort(stable=True)
    dealt = torch.empty(n_permutations, len(place), dtype=torch.long)
    dealt[:, place] = design.emotion[shuffled]
    return dealt


def permuted_ranks(
    rows: Rows, design: Design, bases: Sequence[NeutralBasis], labels: Int[Tensor, "row"]
) -> Int[Tensor, "row"]:
    """Rank of what other labels call a row's own emotion, learned and judged by them."""
    return rank_of(held_out_scores(rows, design, bases, labels), labels)


def permuted_hits(
    rows: Rows, design: Design, bases: Sequence[NeutralBasis], dealt: Int[Tensor, "permutation row"]
) -> Float[Tensor, "permutation"]:
    """Held-out accuracy for every permutation of the labels, learned and judged by it."""
    found = [permuted_ranks(rows, design, bases, labels) == 0 for labels in dealt]
    return torch.stack(found).double().mean(dim=1)


def inner_hits(
    rows: Rows,
    design: Design,
    basis_without: Callable[[int, int], NeutralBasis],
    emotion: Int[Tensor, "row"] | None = None,
) -> Float[Tensor, "outer inner"]:
    """Rows of fold `inner` named right by vectors from topics in neither `outer` nor `inner`.

    Parameters
    ----------
    basis_without
        Neutral components from the topics in neither of two folds.
    emotion
        Labels to learn from and judge by instead of the design's (a permutation of them).
    """
    label = design.emotion if emotion is None else emotion
    cells, fold = CellSums(rows, design, label), design.fold
    hits = torch.zeros(design.n_folds, design.n_folds, dtype=torch.float64)
    for first in range(design.n_folds):
        for second in range(first + 1, design.n_folds):
            outside = (design.fold_of_topic != first) & (design.fold_of_topic != second)
            if not outside.any():
                continue
            trained = cells.train(outside.to(rows.dtype), basis_without(first, second))
            for outer, inner in ((first, second), (second, first)):
                members = fold == inner
                found = scores(rows[members], trained)
                hits[outer, inner] = (rank_of(found, label[members]) == 0).sum()
    return hits


def choose_nested(hits: Float[Tensor, "layer outer inner"]) -> Int[Tensor, "outer"]:
    """Layer for each outer fold: most rows right in all the other folds; the earliest of equals."""
    return reduce(hits, "layer outer inner -> layer outer", "sum").argmax(dim=0)


def whitened(rows: Rows, design: Design) -> Float[Tensor, "fold row component"]:
    """Leading principal components of the rows outside each fold, with a spread of one there."""
    data, found = rows.double().numpy(force=True), []
    fewest = min(int((design.fold != held).sum()) for held in range(design.n_folds))
    n_components = min(LOGISTIC_COMPONENTS, fewest - 1, rows.shape[1])
    for held in range(design.n_folds):
        outside = (design.fold != held).numpy()
        reduced = PCA(n_components, whiten=True, svd_solver="full").fit(data[outside])
        found.append(torch.from_numpy(reduced.transform(data)))
    return torch.stack(found)


def logistic_ranks(
    seen: Float[Tensor, "fold row component"],
    design: Design,
    emotion: Int[Tensor, "row"] | None = None,
) -> Int[Tensor, "row"]:
    """Rank of every row's own emotion by a multinomial logistic regression on the other folds.

    It sees what `whitened` gives, with an L2 penalty (C = 0.1): enough to see what a trained linear
    reader gets, not tuned. Other labels to learn from and judge by are a permutation of the own.
    """
    own = design.emotion if emotion is None else emotion
    fold, label = design.fold, own.numpy(force=True)
    found = torch.full((len(label), design.n_emotions), -math.inf, dtype=torch.float64)
    for held in range(design.n_folds):
        inside, outside = (fold == held).numpy(), (fold != held).numpy()
        if len(set(label[outside])) < 2:
            continue
        data = seen[held].numpy(force=True)
        model = LogisticRegression(C=_LOGISTIC_C, max_iter=1000)
        model.fit(data[outside], label[outside])
        decided = model.decision_function(data[inside])
        if decided.ndim == 1:
            # Two classes: scikit-learn gives one column, for the second.
            decided = torch.stack(
                [-torch.from_numpy(decided), torch.from_numpy(decided)], 1
            ).numpy()
        members = torch.from_numpy(inside).nonzero()
        found[members, torch.from_numpy(model.classes_)] = torch.from_numpy(decided)
    return rank_of(found, own)


Vectors = Float[Tensor, "emotion d_model"]


def vectors_of_all_topics(cells: CellSums, design: Design, basis: NeutralBasis) -> FittedVectors:
    """Make vectors of every topic, each counted once."""
    return cells.train(torch.ones(len(design.fold_of_topic)), basis)


def bootstrap_vectors(
    cells: CellSums, design: Design, basis: NeutralBasis, n_resamples: int, seed: int
) -> list[Vectors]:
    """Make vectors of topics drawn again; the same seed draws the same topics."""
    found = []
    for drawn in topic_counts(design.topic, n_resamples, seed):
        weight = torch.zeros(len(design.fold_of_topic))
        weight[: len(drawn)] = drawn.float()
        trained = cells.train(weight, basis)
        if trained.present.all():
            found.append(trained.vectors)
    return found


def permuted_vectors(
    rows: Rows, design: Design, basis: NeutralBasis, dealt: Sequence[Int[Tensor, "row"]] | Tensor
) -> list[Vectors]:
    """Make vectors of all topics under each labeling of the rows."""
    return [
        vectors_of_all_topics(CellSums(rows, design, labels), design, basis).vectors
        for labels in dealt
    ]
