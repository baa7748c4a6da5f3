"""The words for emotions as a model's next token, steered and unsteered.

A word's first token, as it follows a sentence, stands for the word.
"""

from collections.abc import Sequence
from typing import Any

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.generation.last_token import batch_at_end

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


def steered_log_probs(
    model: LanguageModel,
    directions: Float[Tensor, "direction d_model"],
    text: str,
    *,
    replay: hooks.Replay,
    layers: Sequence[int],
    **how: Any,
) -> Float[Tensor, "direction d_vocab"]:
    """Log-probabilities of what follows a text, each direction added as `hooks.steer_each` does."""
    prompts = [model.encode(text)] * len(directions)
    with replay.until(min(layers)), hooks.steer_each(model, directions, layers=layers, **how):
        ends = batch_at_end(model, prompts, [model.n_layers - 1])
    return log_probs(model, rearrange(ends, "direction 1 d_model -> direction d_model"))


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
