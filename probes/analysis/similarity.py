r"""How alike two sets of emotion vectors are, whatever the basis of each.

With :math:`A` and :math:`B` one row per shared emotion, in the same order, and rows of unit norm:

* *RSA*: Spearman correlation of the two cosine matrices above the diagonal (Kriegeskorte, Mur &
  Bandettini 2008, doi:10.3389/neuro.06.004.2008).
* *CKA*: :math:`HSIC(K, L) / \sqrt{HSIC(K, K)\,HSIC(L, L)}` of the Gram matrices, with the unbiased
  estimator of Song et al. 2012. The biased one is near 1 for unrelated vectors as soon as there are
  more dimensions than emotions (Murphy, Zylberberg & Fyshe 2024, arXiv:2405.01012).
* *Procrustes*: what the best rotation and scaling leave over of the centered vectors, in 0..1:
  :math:`1 - (\sum_i \sigma_i)^2`, :math:`\sigma` the singular values of :math:`A^\top B`, both of
  unit Frobenius norm.
* *Cosine* of each emotion's two vectors, where both lie in one basis.

Interval: the spread over random halves of the emotions, which equals that over samples of emotions
(delete-half jackknife, Shao & Wu 1989, doi:10.1214/aos/1176347263). A bootstrap would draw emotions
twice, each at distance zero from itself in both runs: any two runs would look alike. Null: the
emotions of the second are permuted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import standard_ranks
from probes.vectors.normalize import normalize

FEWEST = 8
"""Shared emotions: a half of fewer has too few distances to compare."""


@dataclass(frozen=True)
class Comparison:
    """One measure of likeness with what is needed to judge it.

    Attributes
    ----------
    value, low, high
        The statistic, with a 95% interval over the `n` shared emotions.
    null_mean, null_bound, p
        Its mean under permuted emotions, what 5% of them reach on the side of likeness, and how
        often they are so alike, or more.
    """

    value: float
    low: float
    high: float
    null_mean: float
    null_bound: float
    p: float
    n: int


Vectors = Float[Tensor, "emotion d_model"]
Others = Float[Tensor, "emotion d_other"]
Square = Float[Tensor, "emotion emotion"]
Grams = Float[Tensor, "sample emotion emotion"]
Samples = Float[Tensor, "sample"]

_CHUNK = 2_000_000
"""Numbers of Gram matrices that are held at once."""


@dataclass(frozen=True)
class _Measure:
    """A statistic of two Gram matrices: what each gives by itself, then what both give.

    What one gives by itself is permuted with its emotions: a permutation need not repeat it.
    """

    of_first: Callable[[Grams], Grams]
    of_second: Callable[[Grams], Grams]
    of_both: Callable[[Grams, Grams], Samples]
    like: Literal["greater", "less"] = "greater"

    def __call__(self, first: Grams, second: Grams) -> Samples:
        return self.of_both(self.of_first(first), self.of_second(second))


def rsa(first: Vectors, second: Others, *, n_resamples: int = 1000, seed: int) -> Comparison:
    """Compare which emotions lie close to which; InvalidInput with fewer than eight emotions."""
    measure = _Measure(_ranked, _ranked, _spearman)
    return _compare(_cosines(first), _cosines(second), measure, n_resamples, seed)


def cka(first: Vectors, second: Others, *, n_resamples: int = 1000, seed: int) -> Comparison:
    """Compare Gram matrices; 1 for a rotated copy, about 0 for unrelated vectors. See `rsa`."""
    measure = _Measure(_as_it_is, _as_it_is, _unbiased)
    return _compare(_cosines(first), _cosines(second), measure, n_resamples, seed)


def procrustes(first: Vectors, second: Others, *, n_resamples: int = 1000, seed: int) -> Comparison:
    """Return what the best rotation leaves over, in 0..1.

    Its value under permuted emotions is far below 1 where there are more dimensions than emotions:
    read it beside its null.
    """
    measure = _Measure(_root, _centered, _left_over, like="less")
    return _compare(_cosines(first), _cosines(second), measure, n_resamples, seed)


def mean_cosine(
    first: Vectors, second: Others, *, n_resamples: int = 1000, seed: int
) -> Comparison:
    """Average the cosine of each emotion's two vectors; `InvalidInput` where dimensions differ."""
    cross = _cross(first, second)

    def mean(_: Grams, cosines: Grams) -> Samples:
        return cosines.diagonal(dim1=1, dim2=2).mean(dim=1)

    measure = _Measure(_as_it_is, _as_it_is, mean)
    return _compare(cross, cross, measure, n_resamples, seed, columns_only=True)


def own_cosines(first: Vectors, second: Others) -> Float[Tensor, "emotion"]:
    """Cosine of each emotion's two vectors."""
    return _cross(first, second).diagonal()


def rsa_by_layer(
    first: Float[Tensor, "layer emotion d_model"], second: Float[Tensor, "other emotion d_other"]
) -> Float[Tensor, "layer other"]:
    """RSA of every layer of one set of vectors with every layer of another; see `rsa`."""
    sides = [torch.stack([_cosines(layer) for layer in vectors]) for vectors in (first, second)]
    row, column = torch.triu_indices(first.shape[1], first.shape[1], offset=1)
    ranks = [standard_ranks(side[:, row, column]) for side in sides]
    return einsum(ranks[0], ranks[1], "layer pair, other pair -> layer other")


def _cross(first: Vectors, second: Others) -> Square:
    if first.shape != second.shape:
        raise InvalidInput(
            f"expected vectors of one basis, got shapes {tuple(first.shape)} and "
            f"{tuple(second.shape)}; compare their geometry instead (rsa, cka, procrustes)."
        )
    one, two = normalize(first.double()), normalize(second.double())
    return einsum(one, two, "a d_model, b d_model -> a b")


def _cosines(vectors: Vectors) -> Square:
    if not bool(torch.isfinite(vectors).all()):
        raise DataError("expected finite vectors, got NaN or infinity; compute them again.")
    return _cross(vectors, vectors)


def _compare(
    first: Square,
    second: Float[Tensor, "other other"],
    measure: _Measure,
    n_resamples: int,
    seed: int,
    *,
    columns_only: bool = False,
) -> Comparison:
    n = len(first)
    if n < FEWEST or len(second) != n or n_resamples < 1:
        raise InvalidInput(
            f"expected at least {FEWEST} shared emotions, the same in both, got {n} and "
            f"{len(second)}. Compare runs that share more emotions."
        )
    everything = torch.arange(n)
    one = measure.of_first(_picked(first, everything[None]))
    two = measure.of_second(_picked(second, everything[None]))
    value = float(measure.of_both(one, two))
    orders = permute_within(everything, None, n_resamples, seed, keys=torch.float32)
    null, halves = [], []
    for order in orders.split(max(1, _CHUNK // n**2)):
        same = everything.expand(len(order), n)
        shuffled = _picked(two[0], same if columns_only else order, order)
        null.append(measure.of_both(one.expand(shuffled.shape), shuffled))
        half = order[:, : n // 2]
        halves.append(measure(_picked(first, half), _picked(second, half)))
    by_chance, spread = torch.cat(null), torch.cat(halves)
    ends = torch.tensor([0.025, 0.975], dtype=spread.dtype)
    low, high = torch.quantile(value + spread - spread.mean(), ends).tolist()
    return Comparison(
        value=value,
        low=max(low, 0.0 if measure.like == "less" else -1.0),
        high=min(high, 1.0),
        null_mean=float(by_chance.mean()),
        null_bound=float(torch.quantile(by_chance, 0.95 if measure.like == "greater" else 0.05)),
        p=permutation_p_value(value, by_chance, measure.like),
        n=n,
    )


def _picked(
    gram: Square, rows: Int[Tensor, "sample row"], columns: Int[Tensor, "sample row"] | None = None
) -> Float[Tensor, "sample row row"]:
    """Take rows and columns of a Gram matrix, once per sample; the same ones unless given."""
    columns = rows if columns is None else columns
    return gram[rows[:, :, None], columns[:, None, :]]


def _as_it_is(grams: Grams) -> Grams:
    return grams


def _ranked(grams: Grams) -> Grams:
    row, column = torch.triu_indices(grams.shape[1], grams.shape[1], offset=1)
    ranks = torch.zeros_like(grams)
    ranks[:, row, column] = standard_ranks(grams[:, row, column])
    return ranks + ranks.mT


def _spearman(first: Grams, second: Grams) -> Samples:
    rho = einsum(first, second, "sample a b, sample a b -> sample") / 2
    if bool(rho.isnan().any()):
        raise DataError("expected cosines that differ between emotions, got equal ones.")
    return rho


def _unbiased(first: Grams, second: Grams) -> Samples:
    return _hsic(first, second) / (_hsic(first, first) * _hsic(second, second)).sqrt()


def _hsic(first: Grams, second: Grams) -> Samples:
    """Unbiased estimate of the Hilbert-Schmidt independence criterion (Song et al. 2012)."""
    n = first.shape[1]
    off_diagonal = 1 - torch.eye(n, dtype=first.dtype)
    k, m = first * off_diagonal, second * off_diagonal
    total = k.sum(dim=(1, 2)) * m.sum(dim=(1, 2)) / ((n - 1) * (n - 2))
    mixed = (k.sum(dim=1) * m.sum(dim=1)).sum(dim=1)
    return ((k * m).sum(dim=(1, 2)) + total - 2 * mixed / (n - 2)) / (n * (n - 3))


def _root(grams: Grams) -> Grams:
    values, vectors = torch.linalg.eigh(_centered(grams))
    roots = values.clamp(min=0).sqrt()
    return einsum(vectors, roots, vectors, "s a factor, s factor, s b factor -> s a b")


def _left_over(root: Grams, gram: Grams) -> Samples:
    # From the Gram matrices K and L alone, centered and of unit trace, the singular values of A^T B
    # are the square roots of the eigenvalues of K^1/2 L K^1/2.
    nuclear = torch.linalg.eigvalsh(root @ gram @ root).clamp(min=0).sqrt().sum(dim=1)
    return (1.0 - nuclear**2).clamp(min=0)


def _centered(gram: Grams) -> Grams:
    rows, columns = gram.mean(dim=2, keepdim=True), gram.mean(dim=1, keepdim=True)
    centered = gram - rows - columns + gram.mean(dim=(1, 2), keepdim=True)
    return centered / centered.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
