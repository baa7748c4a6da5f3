"""How the model scores texts: log-probabilities of next tokens, under whatever steering is on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.model import LanguageModel
from hooks.tokens.encoding import TokenBatch, pad
from hooks.tokens.positions import FromToken, Positions

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class NextTokens:
    """Distributions over the next token, in nats, on the CPU; the token that comes; its text."""

    log_probs: Float[Tensor, "token d_vocab"]
    next_ids: Int[Tensor, "token"]
    text: Int[Tensor, "token"]

    @property
    def loss(self) -> float:
        """Mean negative log-probability of the tokens that came, in nats; exp of it: perplexity."""
        picked = self.log_probs.gather(1, rearrange(self.next_ids, "token -> token 1"))
        return -float(picked.double().mean())


@torch.no_grad()
def next_tokens(
    model: LanguageModel,
    texts: Sequence[str] | Sequence[Sequence[int]],
    positions: Positions = FromToken(0),
) -> NextTokens:
    """Return distributions over next tokens at chosen tokens of texts or ids (else an error)."""
    encoded = [
        model.encode(text) if isinstance(text, str) else [int(i) for i in text] for text in texts
    ]
    if not encoded or not all(encoded):
        raise InvalidInput("next_tokens: expected texts of at least one token, got an empty one.")
    batch = pad(encoded, model.special_ids)
    has_next = torch.zeros_like(batch.content)
    has_next[:, :-1] = batch.attention_mask[:, 1:].bool()
    chosen = positions.select(batch.content) & has_next
    if not chosen.any():
        raise InvalidInput(f"next_tokens: {positions} picks no token that has a next one.")
    return _read(model, batch, chosen)


@torch.no_grad()
def continuation_tokens(
    model: LanguageModel, prompt: Sequence[int], tokens: Sequence[int]
) -> NextTokens:
    """Return the distributions over each token of a continuation, from the prompt's last on."""
    if not prompt or not tokens:
        raise InvalidInput(
            "continuation_tokens: expected a prompt and a continuation of at least one token each, "
            f"got {len(prompt)} and {len(tokens)}."
        )
    batch = pad([[*prompt, *tokens]], model.special_ids)
    chosen = torch.zeros_like(batch.content)
    chosen[0, len(prompt) - 1 : -1] = True
    return _read(model, batch, chosen)


def _read(
    model: LanguageModel, batch: TokenBatch, chosen: Bool[Tensor, "text position"]
) -> NextTokens:
    """Read a batch; unembed at the chosen tokens only, for a vocabulary is wide."""
    last = model.n_layers - 1
    kept: list[Tensor] = []

    def keep(residual: Tensor, _layer: int) -> None:
        kept.append(residual[chosen.to(residual.device)].float())

    with model.bulk.hooked({last: keep}):
        model.bulk.run(batch.ids, batch.attention_mask, last)
    log_probs = torch.cat(
        [model.unembed(rows).log_softmax(dim=-1).cpu() for rows in kept[0].split(_ROWS_AT_ONCE)]
    )
    places = chosen.nonzero()
    return NextTokens(log_probs, batch.ids[places[:, 0], places[:, 1] + 1], places[:, 0])
