"""Batched sampling on a plain Hugging Face causal language model.

1. Equal prompts are read once; a beginning that all prompts share is read once.
2. One token at a time for all rows, with the KV cache.
3. Row `i`'s step `t` uses draw `[i, t]` of a matrix of uniform numbers made from the seed, and
   inverts the cumulative distribution at it.
4. Finished rows leave the batch, so the remaining ones go faster.

Contract
--------
* Global random state is neither read nor changed; the seed and the batch decide every token.
* The cache is Hugging Face's `DynamicCache`; a static cache of full length attends to positions
  that are not yet written.
* With `top_k`, only the `k` best logits are normalised; the vocabulary is sorted only for a
  `top_p` below 1 without `top_k`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from hooks.phases import announce, prompts_must_be_whole
from hooks.tokens import pad

_MIN_SHARED_PREFIX = 16


@dataclass(frozen=True)
class Generation:
    """One continuation."""

    text: str
    tokens: list[int]
    """Generated ids, without the end-of-sequence token."""
    finished: bool
    """Whether the model ended the text itself, rather than running into the limit."""


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
        return logits.argmax(dim=-1)
    ids = None
    if top_k and top_k < logits.shape[-1]:
        logits, ids = logits.topk(top_k, dim=-1)
    elif top_p < 1:
        logits, ids = logits.sort(dim=-1, descending=True)
    probabilities = (logits.float() / temperature).softmax(dim=-1)
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


def stop_ids(hf: Any, tokenizer: Any) -> frozenset[int]:
    """Token ids that end a text."""
    configured = getattr(hf.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list | tuple) else [configured]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if i is not None)


@torch.inference_mode()
def sample(
    hf: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    top_k: int,
    seed: int,
    suppress: Sequence[Collection[int]] | None = None,
) -> list[Generation]:
    """Sample a continuation of every prompt; see the module's text for how."""
    check_sampling(max_new_tokens, temperature, top_p, top_k)
    if not prompts:
        return []
    if any(not prompt for prompt in prompts):
        raise InvalidInput("generate: expected prompts of at least one token, got an empty one.")
    device = hf.get_input_embeddings().weight.device
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(len(prompts), max_new_tokens, generator=generator).to(device)
    ends = torch.tensor(sorted(stop_ids(hf, tokenizer)), device=device)

    with announce("prompt"):
        logits, cache, mask = _prefill(hf, prompts, max_new_tokens, device)
    forbidden = _forbidden(suppress, logits)
    written: list[list[int]] = [[] for _ in prompts]
    finished = [False] * len(prompts)
    rows = torch.arange(len(prompts), device=device)  # which prompt each row of the batch serves
    alive = torch.ones(len(prompts), dtype=torch.bool, device=device)
    for step in range(max_new_tokens):
        if forbidden is not None:
            logits = logits.masked_fill(forbidden[rows], -torch.inf)
        if logits.isnan().any():
            raise DataError(
                "the model's logits are not numbers (NaN): it overflowed, or its weights are "
                "damaged. Load it in another dtype (float32 or bfloat16), and run the doctor on it."
            )
        tokens = pick_tokens(
            logits, uniform[rows, step], temperature=temperature, top_p=top_p, top_k=top_k
        )
        ended = torch.isin(tokens, ends)
        alive_rows = alive.tolist()
        for index, token, end, live in zip(
            rows.tolist(), tokens.tolist(), ended.tolist(), alive_rows, strict=True
        ):
            if live and end:
                finished[index] = True
            elif live:
                written[index].append(token)
        alive = alive & ~ended
        n_alive = int(alive.sum())
        if n_alive == 0 or step == max_new_tokens - 1:
            break
        if n_alive <= 0.9 * len(rows):
            kept = alive.nonzero()[:, 0]
            cache.reorder_cache(kept)
            rows, tokens, mask, alive = rows[kept], tokens[kept], mask[kept], alive[kept]
        positions = mask.sum(dim=1, keepdim=True)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        with announce("generated"):
            logits = hf(
                input_ids=rearrange(tokens, "row -> row 1"),
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    return [
        Generation(text, tokens, end)
        for text, tokens, end in zip(texts, written, finished, strict=True)
    ]


def _forbidden(
    suppress: Sequence[Collection[int]] | None, logits: Float[Tensor, "row d_vocab"]
) -> Bool[Tensor, "row d_vocab"] | None:
    if suppress is None or not any(suppress):
        return None
    if len(suppress) != len(logits):
        raise InvalidInput(
            f"suppress: expected token ids for each of {len(logits)} prompts, got {len(suppress)}."
        )
    mask = torch.zeros_like(logits, dtype=torch.bool)
    for row, ids in enumerate(suppress):
        mask[row, torch.tensor(sorted(ids), dtype=torch.long, device=logits.device)] = True
    return mask


def _prefill(
    hf: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int, device: torch.device
) -> tuple[Float[Tensor, "row d_vocab"], Any, Int[Tensor, "row position"]]:
    """Read the prompts; return the next-token logits, the cache and the attention mask per row."""
    from transformers import DynamicCache

    unique = sorted({tuple(prompt) for prompt in prompts})
    place = {prompt: index for index, prompt in enumerate(unique)}
    cache: Any = DynamicCache(config=hf.config)
    longest = max(len(prompt) for prompt in unique) + max_new_tokens
    may_share = _overlooks_padding(cache, longest) and not prompts_must_be_whole()
    shared = _shared_prefix(unique) if may_share else 0
    if shared:
        prefix = torch.tensor([unique[0][:shared]], device=device)
        hf(input_ids=prefix, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.reorder_cache(torch.zeros(len(unique), dtype=torch.long, device=device))
    batch = pad([prompt[shared:] for prompt in unique], frozenset(), side="left")
    suffix_mask = batch.attention_mask.to(device)
    mask = torch.cat([suffix_mask.new_ones(len(unique), shared), suffix_mask], dim=1)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:]
    logits = hf(
        input_ids=batch.ids.to(device),
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    expand = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=device)
    if len(unique) != len(prompts) or expand.tolist() != list(range(len(prompts))):
        cache.reorder_cache(expand)
    return logits[expand], cache, mask[expand]


def _overlooks_padding(cache: Any, length: int) -> bool:
    """Whether padding between a shared beginning and the rest changes nothing.

    A recurrent layer forgets over it, and it takes up room in a window shorter than the text.
    """
    windows = [getattr(layer, "sliding_window", None) or length for layer in cache.layers]
    recurrent = any(hasattr(layer, "recurrent_states") for layer in cache.layers)
    return not recurrent and min(windows, default=length) >= length


def _shared_prefix(prompts: Sequence[tuple[int, ...]]) -> int:
    """Length of the beginning that all prompts share, 0 when too short to pay.

    At least one token of each prompt stays outside, so that each has logits of its own.
    """
    if len(prompts) < 2:
        return 0
    first, last = prompts[0], prompts[-1]  # sorted: these two differ the earliest
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    length = min(length, min(len(prompt) for prompt in prompts) - 1)
    return length if length >= _MIN_SHARED_PREFIX else 0
