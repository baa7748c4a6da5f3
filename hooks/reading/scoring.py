"""How the model scores texts: log-probabilities of next tokens, under whatever steering is on."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.backends import HuggingFaceBackend, for_rows
from hooks.models.model import LanguageModel
from hooks.models.phases import prompts_must_be_whole
from hooks.tokens.encoding import TokenBatch, pad
from hooks.tokens.positions import FromToken, Positions

ROWS_AT_ONCE = 256
"""Tokens unembedded in one product: fewer waste a processor, more its memory."""
ROWS_IN_CACHE = 4
"""Rows of logits that a processor's cache holds."""


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
    chosen = positions.select(batch.content) & _has_next(batch)
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


@torch.no_grad()
def mean_log_probs(
    model: LanguageModel, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> Float[Tensor, "continuation"]:
    """Return each continuation's log-probability per token after one prompt, in nats, in float64.

    The prompt is read once for all of them, under whatever steering is on, unless the model can't
    go on from a cache or a hook asks for whole prompts.
    """
    if not prompt or not continuations or not all(continuations):
        raise InvalidInput(
            "mean_log_probs: expected a prompt and continuations of at least one token each."
        )
    # The prompt's last token predicts the first one of a continuation: it is read with each.
    before, tree, last = list(prompt[:-1]), model.bulk, model.n_layers - 1
    can_share = isinstance(tree, HuggingFaceBackend) and tree.can_go_on
    shared = before if can_share and not prompts_must_be_whole() else []
    own = [[*prompt[len(shared) :], *tokens] for tokens in continuations]
    batch = pad(own, model.special_ids)
    chosen = _has_next(batch)
    chosen[:, : len(before) - len(shared)] = False
    if shared and isinstance(tree, HuggingFaceBackend):
        beginning = for_rows(tree.begin(torch.tensor(shared), last), len(own))
        seen = torch.ones(len(own), len(shared), dtype=torch.long)
        mask = torch.cat([seen, batch.attention_mask], dim=1)
        with _last_residuals(model, chosen) as kept:
            tree.run(batch.ids, mask, last, beginning)
    else:
        with _last_residuals(model, chosen) as kept:
            tree.run(batch.ids, batch.attention_mask, last)
    places = chosen.nonzero()
    log_probs = _log_probs_of(model, kept[0], batch.ids[places[:, 0], places[:, 1] + 1])
    sums = torch.zeros(len(own), dtype=torch.float64)
    return sums.index_add_(0, places[:, 0], log_probs) / chosen.sum(dim=1)


def _log_probs_of(
    model: LanguageModel, residuals: Float[Tensor, "token d_model"], next_ids: Int[Tensor, "token"]
) -> Float[Tensor, "token"]:
    """Return the log-probability of each next token, in float64, and of no other one."""
    log_probs = []
    for rows, ids in zip(residuals.split(ROWS_AT_ONCE), next_ids.split(ROWS_AT_ONCE), strict=True):
        logits = model.unembed(rows)
        wanted = rearrange(ids.to(logits.device), "token -> token 1")
        picked = rearrange(logits.gather(1, wanted), "token 1 -> token")
        # Few rows at a time stay in the processor's cache.
        total = torch.cat([few.logsumexp(dim=1) for few in logits.split(ROWS_IN_CACHE)])
        log_probs.append((picked - total).double().cpu())
    return torch.cat(log_probs)


def _has_next(batch: TokenBatch) -> Bool[Tensor, "text position"]:
    """Whether another token of the text follows."""
    follows = torch.zeros_like(batch.content)
    follows[:, :-1] = batch.attention_mask[:, 1:].bool()
    return follows


@contextlib.contextmanager
def _last_residuals(
    model: LanguageModel, chosen: Bool[Tensor, "text position"]
) -> Iterator[list[Float[Tensor, "token d_model"]]]:
    """Keep the stream after the last block at the chosen tokens of the pass inside the context."""
    kept: list[Tensor] = []

    def keep(residual: Tensor, _layer: int) -> None:
        kept.append(residual[chosen.to(residual.device)].float())

    with model.bulk.hooked({model.n_layers - 1: keep}):
        yield kept


def _read(
    model: LanguageModel, batch: TokenBatch, chosen: Bool[Tensor, "text position"]
) -> NextTokens:
    """Read a batch; unembed at the chosen tokens only, for a vocabulary is wide."""
    with _last_residuals(model, chosen) as kept:
        model.bulk.run(batch.ids, batch.attention_mask, model.n_layers - 1)
    log_probs = torch.cat(
        [model.unembed(rows).log_softmax(dim=-1).cpu() for rows in kept[0].split(ROWS_AT_ONCE)]
    )
    places = chosen.nonzero()
    return NextTokens(log_probs, batch.ids[places[:, 0], places[:, 1] + 1], places[:, 0])
