"""Strengths from comparisons of pairs: Bradley-Terry, in Elo points.

With s_i the strength of item i, and q_ij the share with which i is preferred to j:

    P(i over j) = sigmoid(s_i - s_j);  s maximizes sum_ij q_ij log P(i over j)
    Elo = s * 400 / ln 10

Intervals are of what strengths leave unexplained of single pairs (sandwich errors); leverages give
each residual the size it has when its pair is left out (HC3). At six comparisons an item they held
the truth 96% of the time, those of pairs drawn again 86%.

Source: Bradley & Terry (1952), Biometrika 39, 324-345; MacKinnon & White (1985), J. Econom. 29.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hooks.errors import InvalidInput

ELO = 400 / math.log(10)
"""Elo points in one unit of log-odds."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Strengths:
    """Elo of every item, centered at zero, with 95% intervals; infinite with too few pairs."""

    elo: Float[Tensor, "item"]
    low: Float[Tensor, "item"]
    high: Float[Tensor, "item"]


def balanced_pairs(n_items: int, n_pairs: int | None, seed: int) -> list[Pair]:
    """Pick pairs in rounds in which every one of an even number of items occurs once.

    Rounds are in random order. Where so many pairs can connect all items, they do. Raises
    `InvalidInput` for an odd number of items, or fewer pairs than one.
    """
    if n_items < 2 or n_items % 2 or (n_pairs is not None and n_pairs < 1):
        raise InvalidInput(
            f"expected an even number of items and at least one pair, got {n_items}, {n_pairs}."
        )
    generator = torch.Generator().manual_seed(seed)
    names = torch.randperm(n_items, generator=generator).tolist()
    while True:
        pairs: list[Pair] = []
        # The circle method of tournaments: one stays, the others move on by one each round.
        for turn in torch.randperm(n_items - 1, generator=generator).tolist():
            moved = names[1:][turn:] + names[1:][:turn]
            ring = [names[0], *moved]
            pairs += [(ring[i], ring[-1 - i]) for i in range(n_items // 2)]
        pairs = pairs[:n_pairs]
        # Neighboring rounds make one ring of all items, so this ends.
        if len(pairs) < n_items - 1 or _n_groups(pairs, n_items) == 1:
            return pairs


def _n_groups(pairs: Sequence[Pair], n_items: int) -> int:
    """Into how many groups that are never compared with each other the items fall."""
    first, second = np.array(pairs).T
    graph = coo_matrix((np.ones(len(pairs)), (first, second)), shape=(n_items, n_items))
    return connected_components(graph, directed=False)[0]


def fit(pairs: Sequence[Pair], share: Float[Tensor, "pair"], n_items: int) -> Strengths:
    """Fit strengths to the share with which the first of each pair (all connected) is preferred."""
    if not bool(((share >= 0) & (share <= 1)).all()) or len(share) != len(pairs):
        raise InvalidInput("expected one share in 0..1 for each pair.")
    groups = _n_groups(pairs, n_items)
    if groups > 1:
        raise InvalidInput(
            f"{len(pairs)} pairs leave {n_items} items in {groups} groups that are never compared; "
            "raise validation.preference_pairs."
        )
    first, second = np.array(pairs).T
    design = np.zeros((len(pairs), n_items))
    design[np.arange(len(pairs)), first] = 1.0
    design[np.arange(len(pairs)), second] = -1.0
    wins = share.double().numpy(force=True)
    # A penalty too small to see: shares of 0 or 1 would have no finite strength.
    model = LogisticRegression(C=1e6, fit_intercept=False, solver="newton-cholesky", tol=1e-6)
    # Only differences are determined: the first item is held at zero.
    model.fit(
        np.concatenate([design, design])[:, 1:],
        np.repeat([1, 0], len(wins)),
        sample_weight=np.concatenate([wins, 1 - wins]),
    )
    strength = np.concatenate([[0.0], model.coef_[0]])
    strength = strength - strength.mean()
    half = stats.norm.ppf(0.975) * _errors(design, wins, strength)
    ends = (strength, strength - half, strength + half)
    return Strengths(*(torch.from_numpy(each * ELO) for each in ends))


def _errors(
    design: Float[np.ndarray, "pair item"],
    wins: Float[np.ndarray, "pair"],
    strength: Float[np.ndarray, "item"],
) -> Float[np.ndarray, "item"]:
    """Return standard errors of centered strengths, infinite where nothing is left to see them."""
    n_pairs, n_items = design.shape
    if n_pairs < n_items:
        return np.full(n_items, np.inf)
    expected = 1 / (1 + np.exp(-design @ strength))
    information = expected * (1 - expected)
    # A constant in every entry: strengths are known up to a shift, which centering takes away.
    curvature = design.T @ (information[:, None] * design) + 1 / n_items
    influence = np.linalg.solve(curvature, design.T)
    leverage = information * np.einsum("pi,ip->p", design, influence)
    residual = (wins - expected) / np.maximum(1 - leverage, 1e-12)
    return np.sqrt(((influence * residual) ** 2).sum(axis=1))
