r"""Stories of one run, read by the vectors of another: what is learned from one writer, on another.

1. Rows are centered on their own mean over emotions, so that what all stories of a writer share is
   no emotion's; vectors on their mean over the emotions that both runs have, which makes them what
   their run would have found with those emotions alone.
2. A row is named after the vector with the largest cosine (`held_out.scores`).
3. Interval: over topics (`mean_over`). Null: the emotions of the vectors are permuted.

The rows must be no text that the vectors were made from; topics may be the same.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.findings import Estimate
from probes.analysis.intervals import SHARE, mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.vectors.denoising import FittedVectors


@dataclass(frozen=True)
class CrossReading:
    """How often vectors name the emotion of stories of another run.

    Attributes
    ----------
    top_1, chance
        Share of rows that are nearest to their own emotion, and that of a blind reader.
    null_bound, p
        What 5% of permuted emotions reach, and how often they do as well, or better.
    n, n_topics, n_emotions
        Rows, their topics, and the emotions that are told apart.
    """

    top_1: Estimate
    chance: float
    null_bound: float
    p: float
    n: int
    n_topics: int
    n_emotions: int


def cross_reading(
    rows: Float[Tensor, "row d_model"],
    emotion: Int[Tensor, "row"],
    topic: Int[Tensor, "row"],
    vectors: Float[Tensor, "emotion d_model"],
    *,
    n_resamples: int = 1000,
    seed: int,
) -> CrossReading:
    """Name rows by vectors that were made from others.

    `emotion` and `topic` number each row's from 0, emotions as the vectors. With a single topic
    there is no interval.
    """
    wide = rows.double()
    means = [wide[emotion == each].mean(dim=0) for each in emotion.unique()]
    trained = FittedVectors(
        vectors.double() - vectors.double().mean(dim=0),
        torch.stack(means).mean(dim=0),
        torch.ones(len(vectors), dtype=torch.bool),
    )
    scored = held_out.scores(wide, trained)
    right = (held_out.rank_of(scored, emotion) == 0).double()
    top_1 = mean_over(right, topic, within=SHARE)
    null = _permuted(scored, emotion, n_resamples, seed)
    return CrossReading(
        top_1=top_1,
        chance=1 / len(vectors),
        null_bound=float(null.quantile(0.95)),
        p=permutation_p_value(top_1.value, null, "greater"),
        n=len(rows),
        n_topics=len(topic.unique()),
        n_emotions=len(vectors),
    )


def _permuted(
    scored: Float[Tensor, "row emotion"], emotion: Int[Tensor, "row"], n: int, seed: int
) -> Float[Tensor, "permutation"]:
    """Accuracy under permuted emotions of the vectors, from how often each row's names which."""
    n_emotions = scored.shape[1]
    named = torch.zeros(n_emotions, n_emotions, dtype=torch.float64)
    named.index_put_(
        (emotion, scored.argmax(dim=1)), torch.ones_like(scored[:, 0]), accumulate=True
    )
    everything = torch.arange(n_emotions)
    orders = permute_within(everything, None, n, seed)
    return named[orders, everything].sum(dim=1) / len(scored)
