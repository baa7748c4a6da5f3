"""Read `resid_post` at the very last token of a prompt, from which a reply is written."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.generation.prefill import read_prompts
from hooks.memory import DEFAULT_BATCH_TOKENS, batches_by_length
from hooks.models.backends import check_layers
from hooks.models.model import LanguageModel
from hooks.models.phases import prompt_rows
from hooks.tokens.encoding import pad


@torch.no_grad()
def at_end(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    layers: Sequence[int],
    *,
    batch_tokens: int | None = None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Float[Tensor, "prompt layer d_model"]:
    """Return `resid_post` at the last token of each prompt (ids), float32 on the CPU.

    Parameters
    ----------
    layers
        Layers to read, 0-based.
    progress
        Called with the number of prompts of each finished batch.

    Raises
    ------
    InvalidInput
        For a layer the model does not have, or a prompt that is empty or too long.
    """
    _check(model, prompts, layers)
    residuals = torch.empty(len(prompts), len(layers), model.d_model)
    lengths = [len(prompt) for prompt in prompts]
    for rows in batches_by_length(lengths, batch_tokens or DEFAULT_BATCH_TOKENS):
        with prompt_rows(rows, len(prompts)):
            residuals[rows] = batch_at_end(model, [prompts[row] for row in rows], layers)
        progress(len(rows))
    return residuals


@torch.no_grad()
def batch_at_end(
    model: LanguageModel, prompts: Sequence[Sequence[int]], layers: Sequence[int]
) -> Float[Tensor, "prompt layer d_model"]:
    """Do as `at_end` in one forward pass, rows in the order given."""
    _check(model, prompts, layers)
    batch = pad(prompts, model.special_ids)
    last = torch.tensor([len(prompt) - 1 for prompt in prompts])
    read: dict[int, Tensor] = {}

    def keep(residual: Tensor, layer: int) -> None:
        rows = torch.arange(len(last), device=residual.device)
        read[layer] = residual[rows, last.to(residual.device)].float().cpu()

    with model.bulk.hooked(dict.fromkeys(layers, keep)):
        model.bulk.run(batch.ids, batch.attention_mask, max(layers))
    return torch.stack([read[layer] for layer in layers], dim=1)


@torch.no_grad()
def next_token_logits(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    tokens: Sequence[int],
    *,
    batch_size: int = 64,
    progress: Callable[[int], None] = lambda _count: None,
) -> Float[Tensor, "prompt token"]:
    """Return the logits of tokens after each prompt; beginnings of neighbors are read once."""
    last = [model.n_layers - 1]
    _check(model, prompts, last)
    chosen = torch.empty(len(prompts), len(tokens))
    for start in range(0, len(prompts), batch_size):
        chunk = [list(prompt) for prompt in prompts[start : start + batch_size]]
        with prompt_rows(range(start, start + len(chunk)), len(prompts)):
            if model.hf is None or not model.conventions.pads_left:
                logits = model.unembed(batch_at_end(model, chunk, last)[:, 0])
            else:
                read = read_prompts(model.hf, chunk, 0, model.device, model.conventions)
                logits = read[0]
        chosen[start : start + len(chunk)] = logits[:, list(tokens)].float().cpu()
        progress(len(chunk))
    return chosen


def _check(model: LanguageModel, prompts: Sequence[Sequence[int]], layers: Sequence[int]) -> None:
    check_layers(list(layers), model.n_layers)
    if not layers or not prompts:
        raise InvalidInput("expected at least one prompt and one layer, got none.")
    limit = model.n_positions
    for index, prompt in enumerate(prompts):
        if not prompt or (limit is not None and len(prompt) > limit):
            raise InvalidInput(
                f"prompt {index}: expected 1 to {limit} tokens for {model.name}, got {len(prompt)}."
            )
