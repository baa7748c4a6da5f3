r"""Mean-difference vectors of emotions, and their denoising with neutral text.

With :math:`x_{s,l}` the pooled activation of story :math:`s` at layer :math:`l`:

1. :math:`m_{e,l}` is the mean of :math:`x_{s,l}` over the stories of emotion :math:`e`
   (`emotion_means`, or `MeanAccumulator` when the stories come in shards).
2. :math:`v_{e,l} = m_{e,l} - \bar m_l`, with :math:`\bar m_l` the unweighted mean over emotions: an
   emotion with more stories does not pull the origin toward itself (`mean_difference`).
3. :math:`C_l` are the first principal components of neutral activations at layer :math:`l`, as few
   as together explain a given share of the neutral variance (`neutral.neutral_components`).
4. The denoised vector is :math:`v_{e,l}` minus its orthogonal projection on the span of
   :math:`C_l` (`neutral.project_out`).

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

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from probes.vectors.neutral import neutral_components as neutral_components
from probes.vectors.neutral import project_out as project_out
from probes.vectors.neutral import require_finite

# Stories converted to float64 at a time by `emotion_means`; bounds its memory, not its result.
_STORIES_AT_ONCE = 256


@dataclass(frozen=True)
class OutlierDimensions:
    """The dimensions of the residual stream that hold most of its mean squared norm.

    `share` is what they hold of it together, in 0..1; `dimensions` are their indices, largest
    first.
    """

    share: Float[Tensor, "layer"]
    dimensions: Int[Tensor, "layer top"]


class MeanAccumulator:
    """Running means of pooled activations per emotion, in float64 on the CPU."""

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
            When layers, d_model or an emotion index do not fit.
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
        require_finite(activations, "story", first_index=int(self._counts.sum()))
        label = emotion.to("cpu", torch.int64)
        # index_add_ walks the stories one after another, so shard borders leave no trace.
        wide = activations.detach().to("cpu", torch.float64)
        weight = torch.ones_like(label) if n_stories is None else n_stories.to(label)
        self._sums.index_add_(0, label, wide * rearrange(weight, "story -> story 1 1"))
        self._counts.index_add_(0, label, weight)

    def means(self) -> Float[Tensor, "emotion layer d_model"]:
        """Mean per emotion so far, in float64; DataError for one without a story."""
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

    Returns
    -------
    Tensor
        In float64: rounded to float32 they could not be subtracted from each other any more where
        the residual stream has a large common offset.

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

    Returns
    -------
    raw, global_mean
        The raw vectors, which sum to zero over emotions, and the mean that was subtracted, both in
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


@dataclass(frozen=True)
class CellSums:
    """One layer's activations summed per cell: all that any choice of topics needs."""

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

        `cell` holds the index of each row's topic and of its emotion, `weight` how many stories it
        is the mean of, `shape` the number of topics and of emotions.
        """
        topic, emotion = cell
        n_topics, n_emotions = shape
        owner = topic * n_emotions + emotion
        times = weight.to(rows.dtype)
        sums = rows.new_zeros(n_topics * n_emotions, rows.shape[1])
        counts = rows.new_zeros(n_topics * n_emotions)
        sums.index_add_(0, owner, rows * rearrange(times, "row -> row 1"))
        counts.index_add_(0, owner, times)
        return cls(
            rearrange(sums, "(topic emotion) d -> topic emotion d", topic=n_topics),
            rearrange(counts, "(topic emotion) -> topic emotion", topic=n_topics),
        )


@dataclass(frozen=True)
class FittedVectors:
    """Denoised vectors from some topics (zero where not `present`), and the mean over emotions."""

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

    Evenly spread activations give about k / d_model. A share far above says that a few massive
    dimensions own the norm, and with it every dot product that is not centered or scaled. Raises
    InvalidInput for a `k` outside 1..d_model or no sample, DataError for NaN, infinity or all
    zeros.
    """
    n_samples, _, d_model = activations.shape
    if not 1 <= k <= d_model or n_samples == 0:
        raise InvalidInput(
            f"Expected k in 1..{d_model} and at least one sample, got k={k} and "
            f"{n_samples} samples. Lower k or pass activations."
        )
    require_finite(activations, "sample")
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
