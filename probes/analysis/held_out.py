r"""Telling the emotion of a story on a topic that no vector was made from.

1. Topics are dealt into folds. From the other topics come a fold's vectors :math:`v_e`: mean over
   the stories of emotion :math:`e` minus the mean over emotions :math:`\bar m`, minus the
   projection on components of neutral text on the other topics.
2. A held-out story :math:`x` scores :math:`(x - \bar m) \cdot v_e / |v_e|`: the order is that of
   centered cosines. An emotion without a story outside the fold scores minus infinity. Accuracies
   are made of the rank of the story's own emotion; ties count against the reader.
3. Null: emotions of whole cells permuted within each topic (or each topic and valence side),
   everything after that repeated.
4. Choosing a layer is nested: for the stories of fold :math:`f` by the accuracy on every other fold
   :math:`g` with vectors from topics in neither :math:`f` nor :math:`g`.

A row is a story, or the mean of a cell's stories.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.resampling import permute_within, topic_counts
from probes.vectors.denoising import CellSums, FittedVectors, fit_vectors

Rows = Float[Tensor, "row d_model"]
Labels = Int[Tensor, "row"]
Scores = Float[Tensor, "row emotion"]
Vectors = Float[Tensor, "emotion d_model"]
NeutralBasis = Float[Tensor, "_component d_model"]

LOGISTIC_COMPONENTS = 60
"""Leading components of the training stories that the logistic reader sees, whitened."""


@dataclass(frozen=True)
class Design:
    """Which row is what, and which fold holds it out; `weight`: stories that it is the mean of."""

    emotion: Labels
    topic: Labels
    weight: Labels
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
    def fold(self) -> Labels:
        """Fold of every row."""
        return self.fold_of_topic[self.topic]


def topic_folds(n_topics: int, n_folds: int, seed: int) -> Int[Tensor, "topic"]:
    """Deal topics into folds of sizes that differ by at most one."""
    if n_topics < 2 or n_folds < 2:
        raise InvalidInput(
            f"Expected at least two topics and two folds, got {n_topics} and {n_folds}. Write "
            "stories on more topics."
        )
    order = torch.randperm(n_topics, generator=torch.Generator().manual_seed(seed))
    fold = torch.empty(n_topics, dtype=torch.long)
    fold[order] = torch.arange(n_topics) % min(n_folds, n_topics)
    return fold


def centered(rows: Rows) -> Rows:
    """Subtract the mean row in float64: differences between rows are all that counts here."""
    wide = rows.double()
    return (wide - wide.mean(dim=0)).float()


def sum_cells(rows: Rows, design: Design) -> CellSums:
    """Sum rows per topic and emotion."""
    shape = len(design.fold_of_topic), design.n_emotions
    return CellSums.of(rows, (design.topic, design.emotion), design.weight, shape)


def scores(rows: Rows, trained: FittedVectors) -> Scores:
    """Length of each centered row along each vector; the order is that of centered cosines."""
    length = torch.linalg.vector_norm(trained.vectors, dim=1, keepdim=True)
    direction = trained.vectors / length.clamp(min=torch.finfo(rows.dtype).tiny)
    lengths = einsum(rows - trained.center, direction, "row d, emotion d -> row emotion")
    return lengths.masked_fill(~trained.present, -math.inf)


def rank_of(scored: Scores, emotion: Labels) -> Labels:
    """How many other emotions score at least as high as the row's own; 0 is right."""
    of_own = scored.gather(1, rearrange(emotion, "row -> row 1"))
    return reduce((scored >= of_own).long(), "row emotion -> row", "sum") - 1


def held_out_scores(
    rows: Rows,
    design: Design,
    bases: Sequence[NeutralBasis],
    topic_weight: Float[Tensor, "topic"] | None = None,
    changed: Callable[[Vectors], Vectors] = lambda vectors: vectors,
) -> Scores:
    """Score every row, `centered`, with vectors and neutral bases from the folds it is not in.

    `topic_weight` is how often each topic is learned from (once), `changed` what is done to a
    fold's vectors before they read.
    """
    cells, fold = sum_cells(rows, design), design.fold
    weight = torch.ones(len(design.fold_of_topic)) if topic_weight is None else topic_weight
    scored = rows.new_zeros(len(rows), design.n_emotions)
    for held, basis in enumerate(bases):
        members = fold == held
        trained = fit_vectors(cells, weight * (design.fold_of_topic != held), basis)
        trained = replace(trained, vectors=changed(trained.vectors))
        scored[members] = scores(rows[members], trained)
    return scored


def topics_drawn_again(design: Design, n_refits: int, seed: int) -> Float[Tensor, "refit topic"]:
    """Count how often each topic is learned from in each refit; the same seed draws the same."""
    counts = topic_counts(design.topic, n_refits, seed).float()
    return torch.nn.functional.pad(counts, (0, len(design.fold_of_topic) - counts.shape[1]))


def held_out_ranks(rows: Rows, design: Design, bases: Sequence[NeutralBasis]) -> Labels:
    """Rank of every row's own emotion by vectors from the folds it is not in."""
    return rank_of(held_out_scores(rows, design, bases), design.emotion)


def permute_within_topics(
    design: Design, n_permutations: int, seed: int, side: Int[Tensor, "emotion"] | None = None
) -> list[Design]:
    """Shuffle emotions among the cells of each topic; with `side`, among those of one side.

    Stories of a cell share a prompt and a plot, so all of them change their emotion together.
    """
    cells, cell = (design.topic * design.n_emotions + design.emotion).unique(return_inverse=True)
    topic, emotion = cells // design.n_emotions, cells % design.n_emotions
    group = topic if side is None else 3 * topic + side[emotion] + 1
    shuffled = permute_within(emotion, group, n_permutations, seed)
    return [replace(design, emotion=labels[cell]) for labels in shuffled]


def inner_hits(
    rows: Rows, design: Design, basis_without: Callable[[int, int], NeutralBasis]
) -> Float[Tensor, "outer inner"]:
    """Count rows of fold `inner` named right by vectors and bases from neither of two folds."""
    cells, fold = sum_cells(rows, design), design.fold
    hits = torch.zeros(design.n_folds, design.n_folds, dtype=torch.float64)
    for first, second in combinations(range(design.n_folds), 2):
        outside = (design.fold_of_topic != first) & (design.fold_of_topic != second)
        if not outside.any():
            continue
        trained = fit_vectors(cells, outside, basis_without(first, second))
        for outer, inner in ((first, second), (second, first)):
            members = fold == inner
            ranks = rank_of(scores(rows[members], trained), design.emotion[members])
            hits[outer, inner] = (ranks == 0).sum()
    return hits


def choose_nested(hits: Float[Tensor, "layer outer inner"]) -> Int[Tensor, "outer"]:
    """Layer for each outer fold: most rows right in all the other folds; the earliest of equals."""
    return reduce(hits, "layer outer inner -> layer outer", "sum").argmax(dim=0)


def whitened(rows: Rows, design: Design) -> Float[Tensor, "fold row component"]:
    """Leading principal components of the rows outside each fold, with a spread of one there."""
    by_fold, data = [], rows.double().numpy(force=True)
    fewest = min(int((design.fold != held).sum()) for held in range(design.n_folds))
    n_components = min(LOGISTIC_COMPONENTS, fewest - 1, rows.shape[1])
    solver = "covariance_eigh" if rows.shape[1] <= fewest else "full"  # exact, the faster one
    for held in range(design.n_folds):
        reduced = PCA(n_components, whiten=True, svd_solver=solver)
        reduced.fit(data[(design.fold != held).numpy()])
        # In float32, which is where logistic regression of many classes spends its time.
        by_fold.append(torch.from_numpy(reduced.transform(data)).float())
    return torch.stack(by_fold)


def logistic_ranks(seen: Float[Tensor, "fold row component"], design: Design) -> Labels:
    """Rank of every row's own emotion by logistic regression on the other folds, not tuned."""
    fold, label = design.fold, design.emotion.numpy(force=True)
    scored = torch.full((len(label), design.n_emotions), -math.inf, dtype=torch.float64)
    for held in range(design.n_folds):
        inside, outside = (fold == held).numpy(), (fold != held).numpy()
        if len(set(label[outside])) < 2:
            continue
        data = seen[held].numpy(force=True)
        model = LogisticRegression(C=0.1, max_iter=1000)
        model.fit(data[outside], label[outside])
        decided = torch.from_numpy(model.decision_function(data[inside])).double()
        if decided.ndim == 1:
            # Two classes: scikit-learn gives one column, for the second.
            decided = torch.stack([-decided, decided], dim=1)
        members = torch.from_numpy(inside).nonzero()
        scored[members, torch.from_numpy(model.classes_)] = decided
    return rank_of(scored, design.emotion)


def vectors_of_all_topics(cells: CellSums, basis: NeutralBasis) -> Vectors:
    """Make vectors of every topic, each counted once."""
    return fit_vectors(cells, torch.ones(len(cells.sums)), basis).vectors


def bootstrap_vectors(
    cells: CellSums, design: Design, basis: NeutralBasis, n_resamples: int, seed: int
) -> list[Vectors]:
    """Make vectors of topics drawn again; the same seed draws the same topics."""
    resampled = []
    for weight in topics_drawn_again(design, n_resamples, seed):
        trained = fit_vectors(cells, weight, basis)
        if trained.present.all():
            resampled.append(trained.vectors)
    return resampled
