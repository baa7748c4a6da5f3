"""The words for emotions as a model's next token, steered and unsteered.

A word's first token, as it follows a sentence, stands for the word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.generation.last_token import batch_at_end
from hooks.reading.scoring import ROWS_IN_CACHE

CARRIERS = (
    "He feels",
    "I feel",
    "When the door closed behind her, she felt",
    "Asked how the day had been, they said they were",
)


def last_residuals(model: LanguageModel, texts: Sequence[str]) -> Float[Tensor, "text d_model"]:
    """Residual stream after the last block at each text's last token."""
    pooled = hooks.pooled_resid_post(model, texts, hooks.Last(), layers=[model.n_layers - 1])
    return rearrange(pooled.mean, "text 1 d_model -> text d_model")


def log_probs(
    model: LanguageModel, residuals: Float[Tensor, "text d_model"]
) -> Float[Tensor, "text d_vocab"]:
    """Log-probabilities of the next token."""
    return model.unembed(residuals).log_softmax(dim=-1).cpu()


@dataclass(frozen=True)
class WordChanges:
    """What each direction did to the next token: log-probabilities of some words, in nats, and KL.

    The divergence is that of the steered distribution from the unsteered one.
    """

    changes: Float[Tensor, "direction word"]
    divergence: Float[Tensor, "direction"]


def steered(
    model: LanguageModel,
    directions: Float[Tensor, "direction d_model"],
    text: str,
    before: Float[Tensor, "d_vocab"],
    words: Int[Tensor, "word"],
    *,
    replay: hooks.Replay,
    layers: Sequence[int],
    **how: Any,
) -> WordChanges:
    """Compare what follows a text with `before`, each direction added as `hooks.steer_each` does.

    `before` are the unsteered log-probabilities, `words` the tokens whose change is wanted.
    """
    prompts = [model.encode(text)] * len(directions)
    with replay.until(min(layers)), hooks.steer_each(model, directions, layers=layers, **how):
        ends = batch_at_end(model, prompts, [model.n_layers - 1])
    logits = model.unembed(rearrange(ends, "direction 1 d_model -> direction d_model"))
    changes, divergence = [], []
    before = before.to(logits.device)
    # Few rows at a time stay in the processor's cache.
    for few in logits.split(ROWS_IN_CACHE):
        after = few.log_softmax(dim=-1)
        change = after - before
        changes.append(change[:, words.to(logits.device)].cpu())
        mean = reduce(after.exp() * change, "direction d_vocab -> direction", "sum")
        divergence.append(mean.cpu())
    return WordChanges(torch.cat(changes), torch.cat(divergence))


def first_tokens(model: LanguageModel, words: Sequence[str]) -> list[list[int]]:
    """Token ids of each word as it follows a sentence."""
    n_before = len(model.encode(CARRIERS[0]))
    return [model.encode(f"{CARRIERS[0]} {word}")[n_before:] for word in words]


def swept_layers(
    available: Sequence[int], target: int, n_layers: int, wanted: Sequence[int] | None
) -> list[int]:
    """Layers to try: those asked for, or the target and its surroundings."""
    if wanted is not None:
        if missing := [layer for layer in wanted if layer not in available]:
            raise InvalidInput(
                f"validation.sweep_layers: no vectors at layer {missing[0]}; there are vectors at "
                f"{', '.join(map(str, available))}."
            )
        return sorted(set(wanted))
    step = max(1, n_layers // 6)
    return [layer for layer in (target - step, target, target + step) if layer in available]
