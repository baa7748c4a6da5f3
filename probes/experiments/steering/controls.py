"""Directions that should not name an emotion, made from a run's activations without its model.

* Matched random: the covariance of stories around their own emotion's mean, neutral components
  projected out as they are from the vectors.
* Shuffled labels: vectors made as the run's are, from stories whose emotions were dealt out anew
  within each topic.
* Valence: for each rated emotion the axis from the vectors of the unpleasant emotions to those of
  the pleasant ones, without the emotion's own vector, pointing to the emotion's side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import rating_table
from probes.experiments.steering.nulls import matched_directions
from probes.runs.materials import Materials
from probes.vectors.denoising import MeanAccumulator, mean_difference, project_out


@dataclass(frozen=True)
class Controls:
    """The directions, where there are any; valence axes by emotion."""

    matched: Float[Tensor, "direction d_model"] | None = None
    shuffled: Float[Tensor, "direction d_model"] | None = None
    valence: Mapping[str, Float[Tensor, "d_model"]] | None = None


def controls_of(materials: Materials) -> Controls:
    """Make a run's controls at the target layer."""
    n = materials.config.validation.n_random
    matched = matched_random(materials, n, materials.seed + 1)
    ratings = rating_table(materials.emotions)
    return Controls(
        matched if len(matched) else None,
        independent_shuffled(materials, n),
        valence_axes(
            materials.vectors.at(materials.layer),
            materials.emotions,
            {name: rating["valence"] for name, rating in ratings.items()},
        ),
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
    """Vectors from stories whose emotions were dealt out anew within each topic."""
    [raw] = _dealt(materials, 1)
    return project_out(raw, materials.neutral_components()).float()


def independent_shuffled(materials: Materials, n: int) -> Float[Tensor, "direction d_model"]:
    """Vectors from `n` independent dealings, one from each: names take turns."""
    made = [raw[number % len(raw)] for number, raw in enumerate(_dealt(materials, n))]
    return project_out(torch.stack(made), materials.neutral_components()).float()


def _dealt(materials: Materials, n: int) -> Iterator[Float[Tensor, "emotion d_model"]]:
    """Raw vectors after each dealing."""
    stories = materials.stories()
    activations = rearrange(stories.mean, "row d_model -> row 1 d_model")
    members = [(stories.topic == topic).nonzero()[:, 0] for topic in range(len(materials.topics))]
    generator = torch.Generator().manual_seed(materials.seed)
    for _ in range(n):
        label = stories.emotion.clone()
        for rows in members:
            label[rows] = label[rows[torch.randperm(len(rows), generator=generator)]]
        means = MeanAccumulator(len(materials.emotions), 1, stories.mean.shape[1])
        means.add(activations, label, stories.n_texts)
        raw, _ = mean_difference(means.means())
        yield raw[0]


def valence_axes(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str], valence: Mapping[str, float]
) -> dict[str, Float[Tensor, "d_model"]]:
    """Return each rated emotion's valence axis; none where its own vector is all of a side."""
    sides = [valence.get(name, 0.0) for name in emotions]
    axes = {}
    for own, (name, side) in enumerate(zip(emotions, sides, strict=True)):
        up = [row for row, value in enumerate(sides) if value > 0 and row != own]
        down = [row for row, value in enumerate(sides) if value < 0 and row != own]
        if side and up and down:
            axis = vectors[up].mean(dim=0) - vectors[down].mean(dim=0)
            axes[name] = axis if side > 0 else -axis
    return axes
