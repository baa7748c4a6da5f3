"""Read `resid_post`: whole for one text, pooled inside the forward pass for many.

1. Texts become token ids by the model's one tokenisation path.
2. They are sorted by length and packed into batches of about `batch_tokens` padded tokens
   (`batching`). A batch that runs out of memory is halved until it fits; no text is read twice.
3. At every wanted layer a hook *selects* the positions that count (a NaN at a padded position
   cannot leak, as it would through multiplication by a mask), sums them in float32 and keeps
   nothing else.
4. The forward pass stops after the last wanted layer; no logits are computed.

Contract: a batch gives the same numbers as its texts one by one; results are in the order given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks.backends import Backend, check_layers
from hooks.batching import (
    DEFAULT_BATCH_TOKENS,
    ceiling,
    is_out_of_memory,
    largest_first,
    recall,
    release_memory,
    remember_ceiling,
    rows_that_fit,
)
from hooks.errors import InvalidInput, ModelError
from hooks.model import LanguageModel
from hooks.phases import serving
from hooks.positions import FromToken, Positions
from hooks.tokens import TokenBatch, pad


@dataclass(frozen=True)
class Pooled:
    """Residual streams averaged over the selected tokens of each text."""

    mean: Float[Tensor, "text layer d_model"]
    """Float32, on the CPU; NaN for a text with no selected token."""
    n_tokens: Int[Tensor, "text"]
    """Selected tokens per text; 0 marks a text with none left."""
    norm: Float[Tensor, "text layer"]
    """Mean Euclidean norm of the selected tokens' residuals."""
    tokens: Float[Tensor, "token layer d_model"]
    """Residuals of single tokens picked by `keep`, in the order of the texts."""
    token_text: Int[Tensor, "token"]
    """Which text each kept token belongs to."""


@dataclass(frozen=True)
class Residuals:
    """The residual stream of one text at every token."""

    resid: Float[Tensor, "layer position d_model"]
    token_ids: list[int]
    token_strings: list[str]


def _layers(model: LanguageModel, layers: Sequence[int] | None) -> list[int]:
    chosen = list(range(model.n_layers)) if layers is None else [int(layer) for layer in layers]
    if not chosen:
        raise InvalidInput("layers: expected at least one layer, got none.")
    if len(set(chosen)) != len(chosen):
        raise InvalidInput(f"layers: expected each layer once, got {chosen}.")
    check_layers(chosen, model.n_layers)
    return chosen


def _encode(model: LanguageModel, texts: Sequence[str | Sequence[int]]) -> list[list[int]]:
    encoded = [model.encode(text) if isinstance(text, str) else list(text) for text in texts]
    limit = model.n_positions
    for index, ids in enumerate(encoded):
        if limit is not None and len(ids) > limit:
            raise InvalidInput(
                f"text {index} has {len(ids)} tokens and {model.name} reads at most {limit}; "
                "shorten it or split it."
            )
    return encoded


@torch.no_grad()
def pooled_resid_post(
    model: LanguageModel,
    texts: Sequence[str],
    positions: Positions = FromToken(0),
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int | None = None,
    padding_side: Literal["right", "left"] = "right",
    keep: Positions | None = None,
    through: Literal["bulk", "reader"] = "bulk",
    progress: Callable[[int], None] | None = None,
) -> Pooled:
    """Average `resid_post` over the selected tokens of each text.

    Parameters
    ----------
    model
        What reads.
    texts
        Plain texts.
    positions
        Which content tokens count, e.g. ``FromToken(50)``.
    layers
        Layers to read, 0-based; None reads all.
    batch_tokens
        Padded tokens per forward pass; None takes the size remembered for this model on this
        machine (`batching`), else `DEFAULT_BATCH_TOKENS`. Where memory ran out before, no pass is
        larger than what fitted then.
    padding_side
        Makes no difference to the result beyond rounding.
    keep
        Tokens whose residuals are also returned one by one (for token-level statistics).
    through
        ``"bulk"`` runs the fastest module tree over the model's tensors, ``"reader"`` the backend's
        own hook points. Both give the same numbers.
    progress
        Called with the number of texts of each finished batch.

    Returns
    -------
    Pooled
        ``mean`` has shape [text layer d_model].

    Raises
    ------
    InvalidInput
        For a layer the model does not have, or a text longer than it reads.
    ModelError
        When one text alone does not fit into memory.
    """
    chosen = _layers(model, layers)
    encoded = _encode(model, texts)
    lengths = [len(ids) for ids in encoded]
    limit = batch_tokens or recall(model) or DEFAULT_BATCH_TOKENS
    limit = min(limit, ceiling(model, "reading") or limit)
    tree = model.bulk if through == "bulk" else model.reader
    shape = (len(texts), len(chosen), model.d_model)
    mean = torch.full(shape, float("nan"))
    norm = torch.full(shape[:2], float("nan"))
    n_tokens = torch.zeros(len(texts), dtype=torch.long)
    kept: dict[int, Tensor] = {}
    waiting = largest_first(lengths)
    halved = False
    while waiting:
        rows = waiting[: rows_that_fit(waiting, lengths, limit)]
        batch = pad([encoded[row] for row in rows], model.special_ids, side=padding_side)
        selected = positions.select(batch.content)
        kept_mask = keep.select(batch.content) if keep is not None else None
        with serving(rows):
            read = _read_if_it_fits(tree, batch, selected, kept_mask, chosen)
        if read is None:
            release_memory()
            if len(rows) == 1:
                raise ModelError(
                    f"{model.name} ran out of memory on one text of {lengths[rows[0]]} tokens. "
                    "Shorten it, read fewer layers, or load the model in a smaller dtype."
                )
            limit, halved = max(1, batch.ids.numel() // 2), True
            continue
        waiting = waiting[len(rows) :]
        sums, norms, singles = read
        counts = selected.sum(dim=1)
        index = torch.tensor(rows)[counts > 0]
        filled = counts[counts > 0]
        mean[index] = sums[counts > 0] / rearrange(filled, "text -> text 1 1")
        norm[index] = norms[counts > 0] / rearrange(filled, "text -> text 1")
        n_tokens[torch.tensor(rows)] = counts
        if kept_mask is not None:
            sizes = kept_mask.sum(dim=1).tolist()
            kept.update(zip(rows, singles.split(sizes), strict=True))
        if progress is not None:
            progress(len(rows))
    if halved:
        remember_ceiling(model, limit, "reading")
    ordered = [kept[text] for text in sorted(kept)]
    tokens = torch.cat(ordered) if ordered else torch.zeros(0, *shape[1:])
    owners = [text for text in sorted(kept) for _ in range(len(kept[text]))]
    return Pooled(mean, n_tokens, norm, tokens, torch.tensor(owners, dtype=torch.long))


def _read_if_it_fits(
    tree: Backend,
    batch: TokenBatch,
    selected: Tensor,
    kept_mask: Tensor | None,
    layers: list[int],
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return what `_read_batch` does, or None when memory ran out."""
    try:
        return _read_batch(tree, batch, selected, kept_mask, layers)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return None


def _read_batch(
    tree: Backend,
    batch: TokenBatch,
    selected: Tensor,
    kept_mask: Tensor | None,
    layers: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sums [text layer d_model], norm sums [text layer], kept [token layer d_model]."""
    owner = selected.nonzero()[:, 0]
    n_texts = selected.shape[0]
    sums: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}
    singles: dict[int, Tensor] = {}

    def reduce(residual: Tensor, layer: int) -> None:
        rows = residual[selected.to(residual.device)].float()
        index = owner.to(residual.device)
        sums[layer] = rows.new_zeros(n_texts, rows.shape[1]).index_add_(0, index, rows).cpu()
        norms[layer] = rows.new_zeros(n_texts).index_add_(0, index, rows.norm(dim=1)).cpu()
        if kept_mask is not None:
            singles[layer] = residual[kept_mask.to(residual.device)].float().cpu()

    with tree.hooked(dict.fromkeys(layers, reduce)):
        tree.run(batch.ids, batch.attention_mask, max(layers))
    return (
        torch.stack([sums[layer] for layer in layers], dim=1),
        torch.stack([norms[layer] for layer in layers], dim=1),
        torch.stack([singles[layer] for layer in layers], dim=1) if singles else torch.empty(0),
    )


@torch.no_grad()
def resid_post(
    model: LanguageModel, text: str | Sequence[int], layers: Sequence[int] | None = None
) -> Residuals:
    """Return the residual stream of one text at every token, special tokens included.

    A text may be given as its token ids, such as `LanguageModel.encode_prompt` returns. It is read
    through the backend's own hook points (TransformerLens where it has the model).

    Returns
    -------
    Residuals
        ``resid`` has shape [layer position d_model], float32, on the CPU, with the tokens beside
        it.
    """
    chosen = _layers(model, layers)
    [ids] = _encode(model, [text])
    if not ids:
        raise InvalidInput("resid_post: expected a text of at least one token, got an empty one.")
    batch = pad([ids], model.special_ids)
    read: dict[int, Tensor] = {}

    def keep(residual: Tensor, layer: int) -> None:
        read[layer] = residual[0].float().cpu()

    with model.reader.hooked(dict.fromkeys(chosen, keep)):
        model.reader.run(batch.ids, batch.attention_mask, max(chosen))
    strings = [model.tokenizer.decode([index]) for index in ids]
    return Residuals(torch.stack([read[layer] for layer in chosen]), ids, strings)
