r"""Mean-difference vectors of emotions, and their denoising with neutral text.

With :math:`x_{s,l}` the pooled activation of story :math:`s` at layer :math:`l`:

1. :math:`m_{e,l}` is the mean of :math:`x_{s,l}` over the stories of emotion :math:`e`
   (`emotion_means`, or `MeanAccumulator` when the stories come in shards).
2. :math:`v_{e,l} = m_{e,l} - \bar m_l`, with :math:`\bar m_l` the unweighted mean over emotions: an
   emotion with more stories does not pull the origin toward itself (`mean_difference`).
3. :math:`C_l` are the first principal components of neutral activations at layer :math:`l`, as few
   as together explain a given share of the neutral variance (`neutral_components`).
4. The denoised vector is :math:`v_{e,l}` minus its orthogonal projection on the span of
   :math:`C_l` (`project_out`).

Contract
--------
* Sums, decompositions and projections run in float64 on the CPU: residual streams carry offsets of
  1e4 next to signals of 1e-2, which float32 sums lose.
* The same input gives the same output, signs of components included. Stories are summed in the
  order given, so cutting them into other shards does not change a bit of the means.
* A story that is not finite is an error that names it; it is never skipped or zeroed.

Does not know about models, files, emotion names or which tokens were pooled.

Source: "Emotion Concepts and their Function in a Large Language Model" (Anthropic, 2026), the
sections on extracting and denoising the vectors. Whether the neutral samples are tokens or
documents is not disclosed there and is the caller's choice.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Int
from sklearn.decomposition import PCA
from torch import Tensor

from hooks.errors import DataError, InvalidInput

# Stories converted to float64 at a time by `emotion_means`; bounds its memory, not its result.
_STORIES_AT_ONCE = 256
# Rounding of a cumulative sum must not cost one more component than the threshold asks for.
_RATIO_ROUNDING = 1e-12


class NeutralComponents(NamedTuple):
    """Principal components of one layer's neutral activations.

    Attributes
    ----------
    directions
        Orthonormal float64 rows, by falling variance. The entry of largest magnitude of each row is
        positive.
    explained_variance_ratio
        Share of the layer's neutral variance that each row explains, in 0..1.
    """

    directions: Float[Tensor, "component d_model"]
    explained_variance_ratio: Float[Tensor, "component"]


@dataclass(frozen=True)
class OutlierDimensions:
    """The dimensions of the residual stream that hold most of its mean squared norm.

    Attributes
    ----------
    share
        Share of the layer's mean squared norm that the listed dimensions hold together, in 0..1.
    dimensions
        Their indices, the largest first.
    """

    share: Float[Tensor, "layer"]
    dimensions: Int[Tensor, "layer top"]


class MeanAccumulator:
    """Running means of pooled activations per emotion, in float64 on the CPU.

    Parameters
    ----------
    n_emotions, n_layers, d_model
        The shape of the means.
    """

    def __init__(self, n_emotions: int, n_layers: int, d_model: int):
        self._sums = torch.zeros(n_emotions, n_layers, d_model, dtype=torch.float64)
        self._counts = torch.zeros(n_emotions, dtype=torch.int64)

    @property
    def counts(self) -> Int[Tensor, "emotion"]:
        """Stories added so far, per emotion."""
        return self._counts.clone()

    def add(
        self,
        activations: Float[Tensor, "story layer d_model"],
        emotion: Int[Tensor, "story"],
        n_stories: Int[Tensor, "story"] | None = None,
    ) -> None:
        """Add stories; a refused batch leaves the means as they were.

        Parameters
        ----------
        activations
            Pooled activations of each story.
        emotion
            Index of each story's emotion, in 0..n_emotions-1.
        n_stories
            How many stories each row is the mean of; None is one each.

        Raises
        ------
        InvalidInput
            When layers or d_model differ from the accumulator's, or an emotion index is outside it.
        DataError
            When a story holds NaN or infinity; the index counts all stories added so far.
        """
        if activations.shape[1:] != self._sums.shape[1:]:
            raise InvalidInput(
                f"Expected activations of (layer, d_model) = {tuple(self._sums.shape[1:])}, got "
                f"{tuple(activations.shape[1:])}. Add only shards that were read with one model "
                "and one choice of layers."
            )
        n_emotions = len(self._counts)
        outside = emotion[(emotion < 0) | (emotion >= n_emotions)]
        if len(outside):
            raise InvalidInput(
                f"Expected emotion indices in 0..{n_emotions - 1}, got {int(outside[0])}. "
                "Index into the same list of emotions that gave n_emotions."
            )
        _require_finite(activations, "story", first_index=int(self._counts.sum()))
        label = emotion.to("cpu", torch.int64)
        # index_add_ walks the stories one after another, so shard borders leave no trace.
        wide = activations.detach().to("cpu", torch.float64)
        weight = torch.ones_like(label) if n_stories is None else n_stories.to(label)
        self._sums.index_add_(0, label, wide * rearrange(weight, "story -> story 1 1"))
        self._counts.index_add_(0, label, weight)

    def means(self) -> Float[Tensor, "emotion layer d_model"]:
        """Mean per emotion of everything added so far, in float64.

        Raises
        ------
        DataError
            When an emotion has no story.
        """
        empty = torch.nonzero(self._counts == 0).flatten().tolist()
        if empty:
            raise DataError(
                f"Expected at least one story per emotion, got none for emotion index {empty}. "
                "Write more stories for it, or leave the emotion out."
            )
        return self._sums / rearrange(self._counts, "emotion -> emotion 1 1")


def emotion_means(
    activations: Float[Tensor, "story layer d_model"],
    emotion: Int[Tensor, "story"],
    n_emotions: int,
) -> Float[Tensor, "emotion layer d_model"]:
    """Mean activation of each emotion's stories.

    Parameters
    ----------
    activations
        Pooled activations of each story.
    emotion
        Index of each story's emotion, in 0..n_emotions-1.
    n_emotions
        Number of emotions; each needs at least one story.

    Returns
    -------
    Tensor
        The means in float64: rounded to float32 they could not be subtracted from each other any
        more where the residual stream has a large common offset.

    Raises
    ------
    InvalidInput
        When an emotion index is outside 0..n_emotions-1.
    DataError
        When an emotion has no story, or a story holds NaN or infinity (its index is named).
    """
    accumulator = MeanAccumulator(n_emotions, *activations.shape[1:])
    for start in range(0, len(activations), _STORIES_AT_ONCE):
        stop = start + _STORIES_AT_ONCE
        accumulator.add(activations[start:stop], emotion[start:stop])
    return accumulator.means()


def mean_difference(
    means: Float[Tensor, "emotion layer d_model"],
) -> tuple[Float[Tensor, "layer emotion d_model"], Float[Tensor, "layer d_model"]]:
    """Subtract the unweighted mean over emotions.

    Parameters
    ----------
    means
        Mean activation per emotion, as `emotion_means` gives it.

    Returns
    -------
    raw, global_mean
        The raw vectors, which sum to zero over emotions, and the mean that was subtracted; both in
        the dtype of `means`.

    Raises
    ------
    InvalidInput
        With fewer than two emotions, whose difference to their own mean would be zero.
    """
    if len(means) < 2:
        raise InvalidInput(
            f"Expected the means of at least 2 emotions, got {len(means)}. "
            "A mean difference needs something to differ from: add emotions."
        )
    wide = means.double()
    global_mean = reduce(wide, "emotion layer d_model -> layer d_model", "mean")
    raw = rearrange(wide - global_mean, "emotion layer d_model -> layer emotion d_model")
    return raw.to(means.dtype), global_mean.to(means.dtype)


def neutral_components(
    neutral: Float[Tensor, "sample d_model"], variance_threshold: float
) -> NeutralComponents:
    """Fewest principal components that explain a share of the neutral variance of one layer.

    Parameters
    ----------
    neutral
        Activations of neutral text; a sample is a token or a pooled document.
    variance_threshold
        Share of the variance to explain, in 0..1. At 0 no component is kept.

    Raises
    ------
    InvalidInput
        With fewer than two samples, or a threshold outside 0..1.
    DataError
        When a sample holds NaN or infinity, or all samples are identical.
    """
    if not 0.0 <= variance_threshold <= 1.0:
        raise InvalidInput(
            f"Expected a variance threshold in 0..1, got {variance_threshold}. "
            "Give a share (0.5), not a percentage, or 0 to remove nothing."
        )
    if len(neutral) < 2:
        raise InvalidInput(
            f"Expected at least 2 neutral samples, got {len(neutral)}. "
            "Write more neutral dialogues: one sample has no variance to decompose."
        )
    _require_finite(neutral, "neutral sample")
    # Compared with the first sample and not with the mean, whose rounding would hide equality.
    if bool((neutral == neutral[0]).all()):
        raise DataError(
            "Expected neutral samples that differ, got identical ones. Check the neutral corpus "
            "and what was captured there."
        )
    # scikit-learn makes the entry of largest magnitude of each component positive.
    pca = PCA(svd_solver="full").fit(neutral.double().numpy(force=True))
    ratio = torch.from_numpy(pca.explained_variance_ratio_)
    enough = ratio.cumsum(0) >= variance_threshold - _RATIO_ROUNDING
    count = 0 if variance_threshold == 0 else len(ratio) - int(enough.sum()) + 1
    # Copies, so that the few rows kept do not hold the whole decomposition in memory.
    rows = torch.from_numpy(pca.components_)[:count].clone()
    return NeutralComponents(rows, ratio[:count].clone())


def project_out(
    vectors: Float[Tensor, "*batch d_model"],
    components: Float[Tensor, "component d_model"],
    *,
    orthonormal: bool = False,
) -> Float[Tensor, "*batch d_model"]:
    """Remove from each vector its orthogonal projection on the span of the components.

    Parameters
    ----------
    vectors
        Vectors of one layer.
    components
        Directions to remove; no rows remove nothing.
    orthonormal
        Whether the components are known to be orthonormal up to the rounding of `vectors`: then
        they are used as they are, in that dtype, which is what thousands of resamples can afford.
        Otherwise they need not be (components stored as float32 are not exactly), and all is done
        in float64.

    Returns
    -------
    Tensor
        What is left, in the dtype of `vectors`. Orthogonal to the components up to the rounding of
        that dtype; projecting again changes nothing beyond it.

    Raises
    ------
    DataError
        When a component holds NaN or infinity.
    """
    if len(components) == 0:
        return vectors.clone()
    if orthonormal:
        wide, basis = vectors, components.to(vectors.dtype)
    else:
        _require_finite(components, "component")
        wide, basis = vectors.double(), _span(components.to(vectors.device))
    weight = einsum(wide, basis, "... d_model, component d_model -> ... component")
    inside = einsum(weight, basis, "... component, component d_model -> ... d_model")
    return (wide - inside).to(vectors.dtype)


def _span(components: Float[Tensor, "component d_model"]) -> Float[Tensor, "_basis d_model"]:
    """Orthonormal float64 rows that span what the components span.

    A row owed only to the rounding of the components' own dtype points anywhere and is left out.
    """
    _, singular, basis = torch.linalg.svd(components.double(), full_matrices=False)
    rounding = singular[0] * max(components.shape) * torch.finfo(components.dtype).eps
    return basis[singular > rounding]


@dataclass(frozen=True)
class CellSums:
    """One layer's activations summed per cell: all that any choice of topics needs.

    Attributes
    ----------
    sums
        Sum over the stories of each cell.
    counts
        Stories of each cell.
    """

    sums: Float[Tensor, "topic emotion d_model"]
    counts: Float[Tensor, "topic emotion"]

    @classmethod
    def of(
        cls,
        rows: Float[Tensor, "row d_model"],
        cell: tuple[Int[Tensor, "row"], Int[Tensor, "row"]],
        weight: Int[Tensor, "row"],
        shape: tuple[int, int],
    ) -> "CellSums":
        """Sum rows in the order given, in their own dtype.

        Parameters
        ----------
        rows
            Pooled activations of one layer.
        cell
            Index of each row's topic, and of its emotion.
        weight
            How many stories each row is the mean of.
        shape
            Number of topics, and of emotions.
        """
        topic, emotion = cell
        n_topics, n_emotions = shape
        place = topic * n_emotions + emotion
        times = weight.to(rows.dtype)
        sums = rows.new_zeros(n_topics * n_emotions, rows.shape[1])
        counts = rows.new_zeros(n_topics * n_emotions)
        sums.index_add_(0, place, rows * rearrange(times, "row -> row 1"))
        counts.index_add_(0, place, times)
        return cls(
            rearrange(sums, "(topic emotion) d -> topic emotion d", topic=n_topics),
            rearrange(counts, "(topic emotion) -> topic emotion", topic=n_topics),
        )

    def train(
        self, topic_weight: Float[Tensor, "topic"], basis: Float[Tensor, "component d_model"]
    ) -> "FittedVectors":
        """Return `fit_vectors` of these cells."""
        return fit_vectors(self, topic_weight, basis)


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


def fit_vectors(
    cells: CellSums,
    topic_weight: Float[Tensor, "topic"] | Bool[Tensor, "topic"],
    basis: Float[Tensor, "component d_model"],
) -> FittedVectors:
    """Make one layer's denoised vectors of any choice of topics (steps 1, 2 and 4).

    Parameters
    ----------
    cells
        Sums of the stories; the arithmetic keeps their dtype, so subtract the mean row first where
        that is float32.
    topic_weight
        How often each topic is counted: 0 or 1 of a training set, the draws of a bootstrap.
    basis
        Orthonormal neutral components.
    """
    weight = topic_weight.to(cells.sums.dtype)
    counts = einsum(cells.counts, weight, "topic emotion, topic -> emotion")
    sums = einsum(cells.sums, weight, "topic emotion d, topic -> emotion d")
    present = counts > 0
    means = sums / rearrange(counts.clamp(min=1), "emotion -> emotion 1")
    center = means[present].mean(dim=0)
    vectors = (means - center) * rearrange(present, "emotion -> emotion 1")
    return FittedVectors(project_out(vectors, basis, orthonormal=True), center, present)


def outlier_dimensions(
    activations: Float[Tensor, "sample layer d_model"], k: int = 1
) -> OutlierDimensions:
    """Share of the mean squared norm that the `k` largest dimensions hold, layer by layer.

    Evenly spread activations give about k / d_model. A share far above that says that a few
    massive dimensions own the norm, and with it every dot product that is not centered or scaled.

    Parameters
    ----------
    activations
        Activations, or vectors, of any kind of sample.
    k
        Number of dimensions to report per layer, in 1..d_model.

    Raises
    ------
    InvalidInput
        When `k` is outside 1..d_model or there is no sample.
    DataError
        When a sample holds NaN or infinity, or a layer is all zeros.
    """
    n_samples, _, d_model = activations.shape
    if not 1 <= k <= d_model or n_samples == 0:
        raise InvalidInput(
            f"Expected k in 1..{d_model} and at least one sample, got k={k} and "
            f"{n_samples} samples. Lower k or pass activations."
        )
    _require_finite(activations, "sample")
    energy = reduce(activations.double() ** 2, "sample layer d_model -> layer d_model", "mean")
    total = reduce(energy, "layer d_model -> layer", "sum")
    silent = torch.nonzero(total == 0).flatten().tolist()
    if silent:
        raise DataError(
            f"Expected activations with a norm at every layer, got all zeros at layer index "
            f"{silent}. Check what was captured there."
        )
    top = energy.topk(k, dim=-1)
    return OutlierDimensions(
        share=reduce(top.values, "layer top -> layer", "sum") / total, dimensions=top.indices
    )


def _require_finite(
    rows: Float[Tensor, "row *inner"],
    noun: str,
    first_index: int = 0,
) -> None:
    finite = reduce(torch.isfinite(rows), "row ... -> row", "all")
    bad = torch.nonzero(~finite).flatten()
    if len(bad):
        raise DataError(
            f"Expected finite numbers, got NaN or infinity in {len(bad)} of {len(rows)} rows, "
            f"first in {noun} index {first_index + int(bad[0])}. A story with no token left has a "
            "NaN row: drop such rows; for others, read the text again in a wider dtype."
        )
