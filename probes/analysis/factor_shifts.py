"""What a factor adds to a row's score on every vector, as the rows of other emotions show it.

A topic, a length or a writer adds a direction of its own to all stories that have it. On the own
emotion's vector that shows as a rise for one emotion and a fall for another, and over all emotions
as nothing: one coefficient for all cannot see it. So the scores of the *other* emotions' rows on a
vector are regressed on the factor, and the row is given what that predicts. Nothing of the row's
own emotion is used, so where the factor adds nothing the prediction says nothing of the row.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor


def within(
    values: Float[Tensor, "row *column"], group: Int[Tensor, "row"]
) -> Float[Tensor, "row *column"]:
    """Subtract the mean over the rows of the same group."""
    n_groups = int(group.max()) + 1
    sums = values.new_zeros(n_groups, *values.shape[1:]).index_add_(0, group, values)
    counts = torch.bincount(group, minlength=n_groups).clamp(min=1).to(values.dtype)
    means = sums / counts.reshape(-1, *[1] * (values.ndim - 1))
    return values - means[group]


def factor_shifts(
    scored: Float[Tensor, "row emotion"],
    columns: Float[Tensor, "row column"],
    emotion: Int[Tensor, "row"],
) -> Float[Tensor, "row emotion"]:
    """Predict from a factor's columns how far each row's scores lie from its emotion's mean.

    Every column counts less its mean over the rows of the same emotion.
    """
    scores, x = within(scored.double(), emotion), within(columns.double(), emotion)
    products, with_scores = x.T @ x, x.T @ scores
    shifts = torch.zeros_like(scores)
    for own in emotion.unique():
        rows = emotion == own
        inner = products - x[rows].T @ x[rows]
        others = with_scores - x[rows].T @ scores[rows]
        shifts[rows] = x[rows] @ (torch.linalg.pinv(inner, rtol=1e-9, hermitian=True) @ others)
    return shifts


def on_own(
    scored: Float[Tensor, "row emotion"], emotion: Int[Tensor, "row"]
) -> Float[Tensor, "row"]:
    """Return each row's score on its own emotion's vector."""
    return scored.gather(1, rearrange(emotion, "row -> row 1"))[:, 0]
