"""Read prompts before anything is written: every beginning that prompts share is read once.

Sorted prompts are cut into groups that share a beginning; the threshold of the cut is the one that
leaves the fewest (padded) tokens to read:

    n_groups * longest beginning + n_prompts * longest rest

The beginnings are read as one batch, their cache rows are dealt out to the prompts, and the rests
are read on top of them.

Nothing is shared where padding between beginning and rest would change the numbers, or where hooks
must see each prompt whole (`phases.no_prefix_sharing`).
"""

import contextlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hooks.generation.cache import overlooks_padding, room_for, select_rows
from hooks.models.conventions import Conventions, accepted
from hooks.models.phases import prompts_must_be_whole
from hooks.tokens.encoding import pad

_USUAL = Conventions()
_MIN_SHARED = 16
"""Beginnings shorter than this are not worth a pass of their own."""

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Beginnings:
    """Which beginning each of the sorted prompts continues."""

    lengths: list[int]
    """Tokens of each prompt that its group's beginning covers; at least one stays outside."""
    group: list[int]
    """Number of each prompt's group; groups are runs of neighbors."""

    def cost(self, prompts: Sequence[Prompt]) -> int:
        """Count the padded tokens that are read in all."""
        rests = [len(p) - length for p, length in zip(prompts, self.lengths, strict=True)]
        shared = (self.group[-1] + 1) * max(self.lengths)
        return shared + len(prompts) * max(rests)


def _cut(prompts: Sequence[Prompt], common: Sequence[int], threshold: int) -> Beginnings:
    """Cut sorted prompts wherever two neighbors share fewer than `threshold` tokens."""
    group = [0]
    for shared in common:
        group.append(group[-1] + (shared < threshold))
    members: dict[int, list[int]] = {}
    for index, number in enumerate(group):
        members.setdefault(number, []).append(index)
    longest = {}
    for number, of_group in members.items():
        inside = [common[index] for index in of_group[:-1]]
        longest[number] = min([len(prompts[i]) - 1 for i in of_group] + (inside or [threshold]))
    return Beginnings([longest[number] for number in group], group)


def plan_beginnings(prompts: Sequence[Prompt]) -> Beginnings | None:
    """Return the cheapest way to share beginnings among sorted, distinct prompts, or None."""
    common = [len(os.path.commonprefix(pair)) for pair in itertools.pairwise(prompts)]
    plans = [_cut(prompts, common, length) for length in {c for c in common if c >= _MIN_SHARED}]
    if not plans:
        return None
    best = min(plans, key=lambda plan: (plan.cost(prompts), plan.lengths))
    worth_it = best.cost(prompts) < len(prompts) * max(map(len, prompts))
    return best if worth_it and min(best.lengths) > 0 else None


def tokens_to_read(prompts: Sequence[Sequence[int]]) -> int:
    """Count the (padded) tokens that reading prompts takes, with shared beginnings once."""
    unique = sorted({tuple(prompt) for prompt in prompts})
    plan = plan_beginnings(unique)
    return len(unique) * max(map(len, unique)) if plan is None else plan.cost(unique)


def read_prompts(
    hf: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    device: torch.device,
    conventions: Conventions = _USUAL,
) -> tuple[Float[Tensor, "row d_vocab"], Any, Int[Tensor, "row position"]]:
    """Read the prompts; return the next-token logits, the cache and the attention mask per row.

    A model that takes no cache has none: it reads prompts and what follows anew each time.
    """
    whole = prompts_must_be_whole()
    given = [tuple(prompt) for prompt in prompts]
    caller = _Caller(hf, device, conventions)
    if conventions.why_no_cache is not None:
        logits, mask = caller.read(given, _no_mask(given, device), None)
        return logits, None, mask
    unique = given if whole else sorted(set(given))
    # Beginnings and rests are padded apart, which takes up to the longest beginning more.
    most = 2 * max(map(len, unique)) + max_new_tokens
    shares = conventions.pads_left and not whole and overlooks_padding(room_for(hf.config, 0), most)
    plan = plan_beginnings(unique) if shares else None
    prefixes = plan.lengths if plan is not None else [0] * len(unique)
    rests = [prompt[length:] for prompt, length in zip(unique, prefixes, strict=True)]
    cache = room_for(hf.config, max(prefixes) + max(map(len, rests)) + max_new_tokens)
    mask = _no_mask(unique, device)
    if plan is not None:
        firsts = [plan.group.index(number) for number in range(plan.group[-1] + 1)]
        beginnings = [unique[first][: plan.lengths[first]] for first in firsts]
        _, mask = caller.read(beginnings, mask[: len(firsts)], cache)
        owners = torch.tensor(plan.group, device=device)
        select_rows(cache, owners)
        mask = mask[owners]
    logits, mask = caller.read(rests, mask, cache)
    if given == unique:
        return logits, cache, mask
    row_of = {prompt: row for row, prompt in enumerate(unique)}
    rows = torch.tensor([row_of[prompt] for prompt in given], device=device)
    select_rows(cache, rows)
    return logits[rows], cache, mask[rows]


def _no_mask(rows: Sequence[Prompt], device: torch.device) -> Int[Tensor, "row 0"]:
    return torch.ones(len(rows), 0, dtype=torch.long, device=device)


@dataclass(frozen=True)
class _Caller:
    """A model, where it is, and how it may be called."""

    hf: Any
    device: torch.device
    conventions: Conventions

    def read(
        self, sequences: Sequence[Prompt], mask: Int[Tensor, "row before"], cache: Any | None
    ) -> tuple[Float[Tensor, "row d_vocab"], Int[Tensor, "row position"]]:
        """Read sequences on top of a cache, if any; return the last logits, and the new mask."""
        batch = pad(sequences, frozenset(), side="left")
        mask = torch.cat([mask, batch.attention_mask.to(self.device)], dim=1)
        ids = batch.ids.to(self.device)
        return next_logits(self.hf, ids, mask, cache, self.conventions), mask


def next_logits(
    hf: Any,
    ids: Int[Tensor, "row position"],
    mask: Int[Tensor, "row whole"],
    cache: Any | None,
    conventions: Conventions,
) -> Float[Tensor, "row d_vocab"]:
    """Run the model on new tokens, on top of a cache if any; return the logits after the last."""
    inputs: dict[str, Any] = {"attention_mask": mask, "logits_to_keep": 1}
    if conventions.takes_positions:
        inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    if cache is not None:
        inputs["past_key_values"] = cache
    with _head_of_dense_rows(hf):
        output = hf(input_ids=ids, use_cache=cache is not None, **accepted(hf, inputs))
    return output.logits[:, -1]


def _head_of_dense_rows(hf: Any) -> contextlib.AbstractContextManager[Any]:
    """Hand the unembedding rows of their own, in a context.

    The last positions of a batch are a strided view, which PyTorch multiplies row by row; in
    bfloat16 it first copies the whole unembedding for every row (21 GB for 64 rows of Gemma-3).
    """

    def dense(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].clone(memory_format=torch.contiguous_format), *inputs[1:])

    return hf.get_output_embeddings().register_forward_pre_hook(dense)
