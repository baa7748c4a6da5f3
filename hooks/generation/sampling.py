"""Batched sampling on a plain Hugging Face causal language model.

Row `i`'s step `t` uses draw `[i, t]` of a matrix of uniform numbers made from the seed, and inverts
the cumulative distribution at it. Global random state is neither read nor changed.
"""

import contextlib
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, SupportsIndex

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from hooks.generation.cache import select_rows
from hooks.generation.prefill import next_logits, read_prompts
from hooks.models.conventions import Conventions
from hooks.models.phases import generation_phase, prompt_rows, prompts_must_be_whole
from hooks.tokens.text_positions import turn_end

_USUAL = Conventions()


@dataclass(frozen=True)
class Generation:
    """One continuation."""

    text: str
    tokens: list[int]
    """Generated ids, without the end-of-sequence token."""
    finished: bool
    """Whether the model ended the text itself, rather than the limit or a `monitor`."""


def check_sampling(max_new_tokens: int, temperature: float, top_p: float, top_k: int) -> None:
    """Refuse sampling settings that have no meaning."""
    if max_new_tokens < 1:
        raise InvalidInput(f"max_new_tokens: expected 1 or more, got {max_new_tokens}.")
    if temperature < 0:
        raise InvalidInput(f"temperature: expected 0 (greedy) or more, got {temperature}.")
    if not 0 < top_p <= 1:
        raise InvalidInput(f"top_p: expected 0 < top_p <= 1, got {top_p}.")
    if top_k < 0:
        raise InvalidInput(f"top_k: expected 0 (all) or more, got {top_k}.")


def pick_tokens(
    logits: Float[Tensor, "row d_vocab"],
    uniform: Float[Tensor, "row"],
    *,
    temperature: float,
    top_p: float,
    top_k: int,
) -> Int[Tensor, "row"]:
    """Draw one token per row by inverting the cumulative distribution at `uniform`."""
    if temperature == 0:
        best = logits.max(dim=-1)
        _refuse_nan(best.values)
        return best.indices
    ids = None
    if top_k and top_k < logits.shape[-1]:
        logits, ids = logits.topk(top_k, dim=-1)
    elif top_p < 1:
        logits, ids = logits.sort(dim=-1, descending=True)
    # A NaN sorts before every number, and one NaN makes a whole row of probabilities NaN.
    probabilities = (logits.float() / temperature).softmax(dim=-1)
    _refuse_nan(probabilities[:, 0])
    if top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.masked_fill(before >= top_p, 0)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaling the draw instead of the distribution keeps it inside, whatever rounding did.
    target = rearrange(uniform.to(cumulative), "row -> row 1") * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True)
    drawn = drawn.clamp(max=cumulative.shape[-1] - 1)
    chosen = drawn if ids is None else ids.gather(1, drawn)
    return rearrange(chosen, "row 1 -> row")


def _refuse_nan(values: Float[Tensor, "row"]) -> None:
    if values.isnan().any():
        raise DataError(
            "the model's logits are not numbers (NaN): it overflowed, or its weights are "
            "damaged. Load it in another dtype (float32 or bfloat16), and run the doctor on it."
        )


def stop_ids(hf: Any, tokenizer: Any) -> frozenset[int]:
    """Token ids that end a text: those that model and tokenizer name, and the end of a turn."""
    configured = getattr(hf.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list | tuple) else [configured]
    ends = (*listed, tokenizer.eos_token_id, turn_end(tokenizer))
    return frozenset(i for i in ends if i is not None)


@torch.inference_mode()
def sample(
    hf: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    part: Sequence[int] | None = None,
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    top_k: int,
    seed: int | Sequence[int],
    suppress: Sequence[Collection[int]] | None = None,
    progress: Callable[[int], None] = lambda _tokens: None,
    conventions: Conventions = _USUAL,
) -> list[Generation]:
    """Sample a continuation of every prompt, or of `part` with their draws in the whole batch.

    `progress` is called with the number of tokens that each step wrote. Where a model takes no
    cache of ours, each step reads the whole text anew: the same text, later.
    """
    check_sampling(max_new_tokens, temperature, top_p, top_k)
    if not prompts:
        return []
    if any(not prompt for prompt in prompts):
        raise InvalidInput("generate: expected prompts of at least one token, got an empty one.")
    device = hf.get_input_embeddings().weight.device
    n_prompts = len(prompts)
    uniform = _draws(seed, n_prompts, max_new_tokens).to(device)
    ends = torch.tensor(sorted(stop_ids(hf, tokenizer)), device=device)
    banned = [()] * n_prompts if suppress is None else list(map(sorted, suppress))
    if len(banned) != n_prompts:
        raise InvalidInput(
            f"suppress: expected token ids for each of {n_prompts} prompts, got {len(banned)}."
        )
    places = range(n_prompts) if part is None else part
    uniform = uniform[list(places)]
    prompts, banned = [prompts[place] for place in places], [banned[place] for place in places]
    # Rows of shared beginnings serve several prompts; whoever hooks prompts reads them whole.
    whole = prompts_must_be_whole()
    with (
        generation_phase("prompt"),
        prompt_rows(places, n_prompts) if whole else contextlib.nullcontext(),
    ):
        logits, cache, mask = read_prompts(hf, prompts, max_new_tokens, device, conventions)
    written: list[list[int]] = [[] for _ in prompts]
    finished = [False] * len(prompts)
    rows = torch.arange(len(prompts), device=device)  # which prompt each row of the batch serves
    alive = torch.ones(len(prompts), dtype=torch.bool, device=device)
    impossible = _row_and_token(banned, rows)
    for step in range(max_new_tokens):
        logits[impossible] = -torch.inf
        tokens = pick_tokens(
            logits, uniform[rows, step], temperature=temperature, top_p=top_p, top_k=top_k
        )
        ended = torch.isin(tokens, ends)
        each = (rows.tolist(), tokens.tolist(), ended.tolist(), alive.tolist())
        for index, token, end, live in zip(*each, strict=True):
            if live and end:
                finished[index] = True
            elif live:
                written[index].append(token)
        alive = alive & ~ended
        n_alive = int(alive.sum())
        progress(n_alive)
        if n_alive == 0 or step == max_new_tokens - 1:
            break
        if n_alive <= 0.9 * len(rows) or cache is None:
            kept = alive.nonzero()[:, 0]
            if cache is not None:
                select_rows(cache, kept)
            rows, tokens, mask, alive = rows[kept], tokens[kept], mask[kept], alive[kept]
            impossible = _row_and_token(banned, rows)
        stopped: set[int] = set()
        histories = partial(_histories, prompts, written, rows, alive)
        anew = cache is None
        n_prompt = max(len(prompts[row]) for row in rows.tolist()) if anew else None
        with (
            generation_phase("generated", histories, stopped.add, n_prompt),
            prompt_rows([places[row] for row in rows.tolist()], n_prompts),
        ):
            if anew:
                texts_so_far = [[*prompts[row], *written[row]] for row in rows.tolist()]
                logits, _, mask = read_prompts(hf, texts_so_far, 0, device, conventions)
            else:
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
                last = rearrange(tokens, "row -> row 1")
                logits = next_logits(hf, last, mask, cache, conventions)
        if stopped:
            alive[list(stopped)] = False
            if not alive.any():
                break
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    return list(map(Generation, texts, written, finished))


def _draws(
    seed: int | Sequence[int], n_prompts: int, n_tokens: int
) -> Float[Tensor, "prompt token"]:
    """Uniform numbers: of one seed for all prompts, or of each prompt's own."""
    if isinstance(seed, SupportsIndex):
        generator = torch.Generator().manual_seed(operator.index(seed))
        return torch.rand(n_prompts, n_tokens, generator=generator)
    if len(seed) != n_prompts:
        raise InvalidInput(
            f"seed: expected one, or one for each of {n_prompts} prompts, got {len(seed)}."
        )
    generators = [torch.Generator().manual_seed(operator.index(one)) for one in seed]
    return torch.stack([torch.rand(n_tokens, generator=generator) for generator in generators])


def _row_and_token(banned: Sequence[Sequence[int]], rows: Tensor) -> tuple[Tensor, ...]:
    """Where in the logits of a batch's rows the tokens are that must not be drawn."""
    pairs = [(row, token) for row, prompt in enumerate(rows.tolist()) for token in banned[prompt]]
    return torch.tensor(pairs, dtype=torch.long, device=rows.device).reshape(-1, 2).unbind(1)


def _histories(
    prompts: Sequence[Sequence[int]], written: list[list[int]], rows: Tensor, alive: Tensor
) -> list[list[int] | None]:
    """Token ids of each row of the batch so far; None where the text has ended."""
    return [
        [*prompts[index], *written[index]] if live else None
        for index, live in zip(rows.tolist(), alive.tolist(), strict=True)
    ]
