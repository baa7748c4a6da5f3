"""Directions that should not name an emotion, made from a run's activations without its model.

* Matched random: the covariance of stories around their own emotion's mean, neutral components
  projected out as they are from the vectors.
* Shuffled labels: vectors made as the run's are, from texts whose emotions were dealt out anew
  within each topic, or frame.
* Valence: for each rated emotion the axis from the vectors of the unpleasant emotions to those of
  the pleasant ones, each weighed by its rating, without the emotion's own vector, pointing to the
  emotion's side.
* Plane: for each rated emotion what its ratings of valence and arousal predict of its vector, by
  regression on the other rated emotions' vectors.
* Nearest: the vector of another emotion with the largest cosine.

Beside them stands each vector without the plane of valence and arousal (`off_plane`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table
from probes.analysis.rating_plane import NEAR_NEUTRAL, rating_plane, valence_axis
from probes.experiments.remade import Remade
from probes.experiments.steering.nulls import matched_directions
from probes.runs.materials import Materials
from probes.vectors.denoising import project_out
from probes.vectors.normalize import normalize

VALENCE, PLANE, NEAREST = "valence", "plane", "nearest"


@dataclass(frozen=True)
class Controls:
    """The directions, where there are any; `rivals` by kind and emotion, one for each.

    `off_plane` are no controls: own vectors without the plane of valence and arousal.
    """

    matched: Float[Tensor, "direction d_model"] | None = None
    shuffled: Float[Tensor, "direction d_model"] | None = None
    rivals: Mapping[str, Mapping[str, Float[Tensor, "d_model"]]] = field(default_factory=dict)
    off_plane: Mapping[str, Float[Tensor, "d_model"]] = field(default_factory=dict)


def controls_of(materials: Materials) -> Controls:
    """Make a run's controls at the target layer."""
    n = materials.config.validation.n_random
    matched = matched_random(materials, n, materials.seed + 1)
    vectors, emotions = materials.vectors.at(materials.layer), materials.emotions
    valence = {name: rating["valence"] for name, rating in rating_table(emotions).items()}
    plane = rating_plane(vectors, emotions)
    off_plane = project_out(vectors, plane, orthonormal=True)
    return Controls(
        matched if len(matched) else None,
        independent_shuffled(materials, n),
        {
            VALENCE: valence_axes(vectors, emotions, valence),
            PLANE: predicted_by_ratings(vectors, emotions),
            NEAREST: dict(zip(emotions, nearest_others(vectors), strict=True)),
        },
        dict(zip(emotions, off_plane, strict=True)) if len(plane) else {},
    )


def matched_random(
    materials: Materials, n: int, seed: int, layer: int | None = None
) -> Float[Tensor, "direction d_model"]:
    """Random directions that lie where stories of one emotion differ; none of too few stories.

    That is variance of the stream that holds no emotion. Emotions of a single row are left out.
    """
    stories = materials.stories(layer)
    residuals = []
    for number in range(len(materials.emotions)):
        rows = stories.mean[stories.emotion == number].double()
        if len(rows) > 1:
            residuals.append(rows - reduce(rows, "row d_model -> 1 d_model", "mean"))
    if not residuals:
        return torch.zeros(0, stories.mean.shape[1])
    samples = project_out(torch.cat(residuals), materials.neutral_components(layer)).float()
    return matched_directions(samples, n, seed)


def shuffled_vectors(materials: Materials) -> Float[Tensor, "emotion d_model"]:
    """Vectors from texts whose emotions were dealt out anew within each topic, or frame."""
    [vectors] = Remade(materials).shuffled(1)
    return vectors


def independent_shuffled(materials: Materials, n: int) -> Float[Tensor, "direction d_model"]:
    """Vectors from `n` independent dealings, one from each: names take turns."""
    dealt = enumerate(Remade(materials).shuffled(n))
    return torch.stack([vectors[number % len(vectors)] for number, vectors in dealt])


def valence_axes(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str], valence: Mapping[str, float]
) -> dict[str, Float[Tensor, "d_model"]]:
    """Return each rated emotion's valence axis; none where its own vector is all of a side.

    Words rated near neutral get none: set against a side that is not theirs, it could not win.
    """
    axes = {}
    for name, side in valence.items():
        axis = valence_axis(vectors, emotions, {**valence, name: 0.0})
        if abs(side) >= NEAR_NEUTRAL and axis is not None:
            axes[name] = axis if side > 0 else -axis
    return axes


def predicted_by_ratings(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str]
) -> dict[str, Float[Tensor, "d_model"]]:
    """Return what valence and arousal tell of each rated emotion's vector, learned of the others.

    Least squares of the other rated emotions' vectors on their ratings and a constant, which is
    left out: it is no emotion's. None where too few others are rated.
    """
    table = rating_table(emotions)
    rated = [index for index, name in enumerate(emotions) if name in table]
    if len(rated) <= MIN_RATED:
        return {}
    ratings = torch.tensor(
        [[table[emotions[index]][scale] for scale in ("valence", "arousal")] for index in rated],
        dtype=torch.float64,
    )
    of_rated = vectors[rated].double().cpu()
    predicted = {}
    for row, index in enumerate(rated):
        others = torch.arange(len(rated)) != row
        center = ratings[others].mean(dim=0)
        apart = of_rated[others] - of_rated[others].mean(dim=0)
        coefficients = torch.linalg.pinv(ratings[others] - center) @ apart
        predicted[emotions[index]] = ((ratings[row] - center) @ coefficients).to(vectors)
    return predicted


def nearest_others(vectors: Float[Tensor, "emotion d_model"]) -> Float[Tensor, "emotion d_model"]:
    """Return for each vector the other one with the largest cosine."""
    unit = normalize(vectors.double())
    cosine = einsum(unit, unit, "emotion d, other d -> emotion other").fill_diagonal_(-torch.inf)
    return vectors[cosine.argmax(dim=1)]
