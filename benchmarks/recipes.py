"""Ways to average `resid_post` over each text's content tokens: ours, and those of peers.

Every recipe is a function of (model, texts) -> [text layer d_model] and gives the same numbers.
nnsight's recipe is there where it is installed, as the extra `bench` does.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

import hooks
from hooks.reading.compilation import compiled
from hooks.tokens.encoding import pad


def ours(model: hooks.LanguageModel, texts: Sequence[str], **options: Any) -> Tensor:
    """Hooks that pool inside the pass, sorted by length, no logits."""
    return hooks.pooled_resid_post(model, texts, **options).mean


def ours_compiled(model: hooks.LanguageModel, texts: Sequence[str], **options: Any) -> Tensor:
    """As `ours`, through compiled blocks."""
    with compiled(model):
        return ours(model, texts, **options)


def all_hidden_states(
    model: hooks.LanguageModel, texts: Sequence[str] | Sequence[list[int]]
) -> Tensor:
    """Left-padded batches of 8 in the order given; every hidden state and all logits are kept."""
    means = []
    for start in range(0, len(texts), 8):
        some = texts[start : start + 8]
        encoded = [model.encode(it) if isinstance(it, str) else it for it in some]
        batch = pad(encoded, model.special_ids, side="left")
        last: list[Tensor] = []  # the last hidden state is after the final norm
        block = model.bulk.structure.blocks[-1]
        handle = block.register_forward_hook(
            lambda _m, _i, output, last=last: last.append(
                output[0] if isinstance(output, tuple) else output
            )
        )
        with torch.no_grad():
            out = model.hf(
                input_ids=batch.ids.to(model.device),
                attention_mask=batch.attention_mask.to(model.device),
                position_ids=(batch.attention_mask.cumsum(dim=1) - 1).clamp(min=0).to(model.device),
                output_hidden_states=True,
            )
        handle.remove()
        stream = torch.stack([*out.hidden_states[1:-1], last[0]], dim=1).float()
        content = batch.content.to(model.device)
        weight = rearrange(content, "text position -> text 1 position 1").float()
        means.append((stream * weight).sum(dim=2) / weight.sum(dim=2))
    return torch.cat(means)


def one_at_a_time(model: hooks.LanguageModel, texts: Sequence[str]) -> Tensor:
    """Our hooks, one text per pass."""
    return hooks.pooled_resid_post(model, texts, batch_tokens=1).mean


def run_with_cache(model: hooks.LanguageModel, texts: Sequence[str]) -> Tensor:
    """Read one text per pass with TransformerLens' `run_with_cache`, which keeps everything."""
    means = []
    for text in texts:
        batch = pad([model.encode(text)], model.special_ids)
        with torch.no_grad():
            _, cache = model.hooked.run_with_cache(batch.ids)
        layers = [cache[f"blocks.{layer}.hook_resid_post"][0] for layer in range(model.n_layers)]
        means.append(torch.stack([layer[batch.content[0]].mean(dim=0) for layer in layers]))
    return torch.stack(means)


def nnsight_trace(model: hooks.LanguageModel, texts: Sequence[str]) -> Tensor:
    """Read one text per pass with an nnsight trace that pools in it and stops at the last block."""
    import nnsight

    traced = nnsight.NNsight(model.hf)
    means = []
    for text in texts:
        batch = pad([model.encode(text)], model.special_ids)
        content = batch.content[0]
        with torch.no_grad(), traced.trace(input_ids=batch.ids) as tracer:
            pooled = nnsight.save([])
            for block in _blocks(traced, model):
                output = block.output
                stream = output[0] if isinstance(output, tuple) else output
                pooled.append(stream.reshape(len(content), -1)[content].float().mean(dim=0))
            tracer.stop()
        means.append(torch.stack(pooled))
    return torch.stack(means)


def _blocks(traced: Any, model: hooks.LanguageModel) -> Any:
    """Find the decoder blocks in nnsight's tree."""
    path = next(n for n, m in model.hf.named_modules() if m is model.bulk.structure.blocks)
    for part in path.split("."):
        traced = getattr(traced, part)
    return traced


OURS, COMPILED = "ours", "ours, compiled blocks"
HIDDEN_STATES = "all hidden states and logits, left-padded batches of 8"
ALONE = "one text at a time"
RECIPES: dict[str, Callable[..., Tensor]] = {
    OURS: ours,
    COMPILED: ours_compiled,
    HIDDEN_STATES: all_hidden_states,
    ALONE: one_at_a_time,
    "TransformerLens run_with_cache": run_with_cache,
}
if importlib.util.find_spec("nnsight"):
    RECIPES["nnsight trace"] = nnsight_trace
