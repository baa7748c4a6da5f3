"""Whether a topic is pleasant or unpleasant by itself, whatever emotion its stories have.

Stories of one topic may all lie to one side of valence. Where every emotion has every topic, that
moves all vectors alike and is subtracted with their mean; where cells are missing, or few topics
are taken, it is not.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.intervals import mean_over


def topic_tilt(
    rows: Float[Tensor, "row d_model"],
    emotion: Int[Tensor, "row"],
    topic: Int[Tensor, "row"],
    axis: Float[Tensor, "d_model"],
) -> dict[int, Estimate]:
    """Return each topic's mean along the axis, as a share of the axis' length, over emotions.

    Of an axis from unpleasant to pleasant, 1 is the distance between the two. Each emotion's own
    mean over its topics is zero; intervals are over emotions. Topics of one emotion are left out.
    """
    axis = axis.double()
    along = rows.double() @ axis / (axis @ axis)
    for number in emotion.unique():
        own = emotion == number
        along[own] -= _mean_of_topics(along[own], topic[own])
    tilts = {}
    for number in topic.unique().tolist():
        here = topic == number
        if len(emotion[here].unique()) > 1:
            tilts[number] = mean_over(along[here], emotion[here])
    return tilts


def _mean_of_topics(values: Float[Tensor, "row"], topic: Int[Tensor, "row"]) -> Float[Tensor, ""]:
    """Every topic counts once, however many stories it has."""
    return torch.stack([values[topic == each].mean() for each in topic.unique()]).mean()
