"""How the log-probability of a text's tokens changes with a vector that is added to the stream.

One forward and one backward pass of a text give its slope along every direction at once: what
`hooks.steer` does to it, to first order in the dose.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.backends import check_layers
from hooks.models.model import LanguageModel
from hooks.reading.scoring import ROWS_AT_ONCE, ROWS_IN_CACHE
from hooks.tokens.encoding import pad

_TOKENS_AT_ONCE = 2048


def log_prob_slopes(
    model: LanguageModel,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    layer: int,
) -> Float[Tensor, "text d_model"]:
    """Differentiate each continuation's log-probability per token.

    Parameters
    ----------
    texts
        Token ids of a prompt and of its continuation; only the continuation is scored.
    layer
        The vector is added after this block, at every token of prompt and continuation.

    Returns
    -------
    Tensor
        Float32, in nats per token and unit of the stream: its dot product with a small vector is
        the change that adding the vector makes.

    Raises
    ------
    InvalidInput
        For an empty prompt or continuation, or a layer that the model does not have.
    """
    if not texts or not all(prompt and continuation for prompt, continuation in texts):
        raise InvalidInput(
            "log_prob_slopes: expected a prompt and a continuation of at least one token each."
        )
    check_layers([layer], model.n_layers)
    lengths = [len(prompt) + len(continuation) for prompt, continuation in texts]
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    slopes = torch.zeros(len(texts), model.d_model)
    at_once = max(1, _TOKENS_AT_ONCE // max(lengths))
    for start in range(0, len(order), at_once):
        rows = order[start : start + at_once]
        slopes[rows] = _slopes(model, [texts[row] for row in rows], layer)
    return slopes


@torch.enable_grad()
def _slopes(
    model: LanguageModel,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    layer: int,
) -> Float[Tensor, "text d_model"]:
    batch = pad([[*prompt, *continuation] for prompt, continuation in texts], model.special_ids)
    chosen = torch.zeros_like(batch.content)
    for row, (prompt, continuation) in enumerate(texts):
        chosen[row, len(prompt) - 1 : len(prompt) + len(continuation) - 1] = True
    added = torch.zeros(len(texts), model.d_model, requires_grad=True)
    kept: list[Tensor] = []

    def add(residual: Tensor, _layer: int) -> Tensor:
        wide = rearrange(added.to(residual.device), "text d -> text 1 d")
        return (residual.float() + wide).to(residual.dtype)

    def keep(residual: Tensor, _layer: int) -> None:
        kept.append(residual[chosen.to(residual.device)].float())

    last = model.n_layers - 1
    with model.bulk.hooked({layer: add}), model.bulk.hooked({last: keep}):
        model.bulk.run(batch.ids, batch.attention_mask, last)
    places = chosen.nonzero()
    next_ids = batch.ids[places[:, 0], places[:, 1] + 1]
    [residuals] = kept
    upstream = _slopes_of_next(model, residuals.detach(), next_ids)
    residuals.backward(upstream)
    assert added.grad is not None
    return added.grad / rearrange(chosen.sum(dim=1), "text -> text 1")


def _slopes_of_next(
    model: LanguageModel, residuals: Float[Tensor, "token d_model"], next_ids: Int[Tensor, "token"]
) -> Float[Tensor, "token d_model"]:
    """Differentiate the log-probability of each next token by the last block's output."""
    slopes = []
    for rows, ids in zip(residuals.split(ROWS_AT_ONCE), next_ids.split(ROWS_AT_ONCE), strict=True):
        leaf = rows.requires_grad_()
        logits = model.bulk.unembed(leaf)
        [slope] = torch.autograd.grad(logits, leaf, _slopes_by_logits(logits.detach(), ids))
        slopes.append(slope)
    return torch.cat(slopes)


def _slopes_by_logits(
    logits: Float[Tensor, "token d_vocab"], next_ids: Int[Tensor, "token"]
) -> Float[Tensor, "token d_vocab"]:
    """Differentiate each next token's log-probability by the logits: one there, minus softmax."""
    slopes = torch.empty_like(logits)
    # Few rows at a time stay in the processor's cache.
    for few, out in zip(logits.split(ROWS_IN_CACHE), slopes.split(ROWS_IN_CACHE), strict=True):
        torch.neg(few.softmax(dim=-1), out=out)
    rows = torch.arange(len(logits), device=logits.device)
    slopes[rows, next_ids.to(logits.device)] += 1
    return slopes
