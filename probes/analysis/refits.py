"""Vectors made again, to see how much of what is found in them hangs on the stories at hand.

1. Topics drawn again: whole topics with replacement, as many as there are; a draw that leaves an
   emotion without a story is dropped.
2. Emotions dealt out anew: the same stories under shuffled labels, the null of everything that
   vectors are said to show.

Contract: pure; vectors of one layer, made as `holdout.CellSums` makes them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.held_out import Basis, CellSums, Design, Rows, Trained
from probes.analysis.intervals import topic_counts

Vectors = Float[Tensor, "emotion d_model"]


def of_all_topics(cells: CellSums, design: Design, basis: Basis) -> Trained:
    """Make vectors of every topic, each counted once."""
    return cells.train(torch.ones(len(design.fold_of_topic)), basis)


def of_topics_drawn_again(
    cells: CellSums, design: Design, basis: Basis, n_resamples: int, seed: int
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


def of_emotions_dealt_anew(
    rows: Rows, design: Design, basis: Basis, dealt: Sequence[Int[Tensor, "row"]] | Tensor
) -> list[Vectors]:
    """Make vectors of all topics under each labeling of the rows."""
    return [
        of_all_topics(CellSums(rows, design, labels), design, basis).vectors for labels in dealt
    ]
