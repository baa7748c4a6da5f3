"""Read `resid_post`: whole for one text, pooled inside the forward pass for many.

A beginning that texts share and nobody wants is read once (`beginnings`). Batches that run out of
memory are halved until they fit (`memory`), and on a CPU several are read side by side. At every
wanted layer a hook *selects* the positions that count (a NaN at a padded one cannot leak, as it
would through multiplication by a mask) and sums them in float32. A batch gives the same numbers as
its texts one by one.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from hooks.errors import InvalidInput, ModelError
from hooks.memory import (
    DEFAULT_BATCH_TOKENS,
    balanced_batch_tokens,
    batches_by_length,
    is_out_of_memory,
    largest_first,
    release_memory,
    rows_that_fit,
    set_limit,
)
from hooks.memory import limit as memory_limit
from hooks.models.backends import (
    Backend,
    HuggingFaceBackend,
    check_layers,
    for_rows,
    plain_layers,
)
from hooks.models.model import LanguageModel
from hooks.models.phases import prompt_rows
from hooks.reading.beginnings import TextGroup, group_texts
from hooks.reading.pooling import Accumulator, Batch, Pooled, PoolingRules
from hooks.reading.side_by_side import ForwardPool, passes_at_once
from hooks.tokens.encoding import pad, plain_ids, several
from hooks.tokens.positions import FromToken, Rule


@dataclass(frozen=True)
class Residuals:
    """The residual stream of one text at every token."""

    resid: Float[Tensor, "layer position d_model"]
    token_ids: list[int]
    token_strings: list[str]


def _layers(model: LanguageModel, layers: Sequence[int] | None) -> list[int]:
    chosen = list(range(model.n_layers)) if layers is None else plain_layers(layers)
    if not chosen or len(set(chosen)) != len(chosen):
        raise InvalidInput(f"layers: expected at least one layer, each once, got {chosen}.")
    check_layers(chosen, model.n_layers)
    return chosen


def _encode(model: LanguageModel, texts: Sequence[str | Sequence[int]]) -> list[list[int]]:
    encoded = [
        model.encode(text)
        if isinstance(text, str)
        else plain_ids(text, model.d_vocab, f"text {index}")
        for index, text in enumerate(several(texts, "texts"))
    ]
    for index, ids in enumerate(encoded):
        if model.n_positions is not None and len(ids) > model.n_positions:
            raise InvalidInput(
                f"text {index} has {len(ids)} tokens and {model.name} reads at most "
                f"{model.n_positions}; shorten it or split it."
            )
    return encoded


@torch.no_grad()
def pooled_resid_post(
    model: LanguageModel,
    texts: Sequence[str],
    positions: Rule = FromToken(0),
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int | None = None,
    padding_side: Literal["right", "left"] = "right",
    keep: Rule | None = None,
    apart: Rule | None = None,
    through: Literal["bulk", "reader"] = "bulk",
    progress: Callable[[int], None] | None = None,
) -> Pooled:
    """Average `resid_post` over the selected tokens of each text.

    Parameters
    ----------
    positions
        Which content tokens count, e.g. ``FromToken(50)``; or a rule for each text.
    layers
        Layers to read, 0-based; None reads all.
    batch_tokens
        Padded tokens per forward pass; no pass is larger than what fitted where memory ran out.
    padding_side
        Makes no difference to the result beyond rounding.
    keep
        Tokens whose residuals are also returned one by one (for token-level statistics).
    apart
        Tokens that are averaged apart, in the same pass.
    through
        `LanguageModel.bulk` or `LanguageModel.reader`; both give the same numbers.
    progress
        Called with the number of texts of each finished batch.

    Returns
    -------
    Pooled
        ``mean`` has shape [text layer d_model].

    Raises
    ------
    InvalidInput
        For a layer the model does not have, a text longer than it reads, or a list of rules that
        has not one for each text.
    ModelError
        When one text alone does not fit into memory.
    """
    chosen = _layers(model, layers)
    encoded = _encode(model, texts)
    tree = model.bulk if through == "bulk" else model.reader
    rules = PoolingRules(positions, keep, apart)
    rules.check(len(encoded))
    everything = [TextGroup(list(range(len(encoded))), 0)]
    right = padding_side == "right"
    groups = group_texts(model, tree, encoded, rules.given) if right else everything
    limit = batch_tokens or DEFAULT_BATCH_TOKENS
    # Asked before our own hooks hang on the model.
    at_once = passes_at_once(model, tree)
    pace = _Pace(min(limit, memory_limit(model, "reading") or limit), at_once)
    read_texts = Accumulator(len(texts), chosen, model.d_model, rules)

    def batch_of(rows: list[int], group: TextGroup, *, alone: bool) -> Batch:
        padded = pad([encoded[row] for row in rows], model.special_ids, side=padding_side)
        ids = padded.ids[:, group.n_shared :]
        masks = rules.masks(padded.content, rows, group.n_shared)
        return Batch(rows, ids, padded.attention_mask, masks, alone)

    with _gathering(tree, chosen) as gather:
        for group in groups:
            _read_group(model, encoded, group, batch_of, gather, pace, read_texts, progress)
    if pace.halved:
        set_limit(model, "reading", pace.limit)
    return read_texts.pooled()


@dataclass
class _Pace:
    """How much is read at once, as far as memory has taught it."""

    limit: int
    at_once: int
    halved: bool = False


def _read_group(
    model: LanguageModel,
    encoded: list[list[int]],
    group: TextGroup,
    batch_of: Callable[..., "Batch"],
    gather: "_Gather",
    pace: _Pace,
    read_texts: "Accumulator",
    progress: Callable[[int], None] | None,
) -> None:
    """Read the texts of one group, in batches of about equal size, several side by side."""
    lengths = [len(ids) - group.n_shared for ids in encoded]
    of_group = [lengths[text] for text in group.texts]
    limit = balanced_batch_tokens(of_group, pace.limit)
    waiting = largest_first(lengths, group.texts)
    n_batches = sum(1 for _ in batches_by_length(of_group, limit))
    at_once = max(1, min(n_batches, pace.at_once))
    beginning = gather.begin(encoded[group.texts[0]][: group.n_shared]) if group.n_shared else None
    with ForwardPool(at_once) as pool:
        running: dict[Future[bool], Batch] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                rows = waiting[: rows_that_fit(waiting, lengths, limit)]
                waiting = waiting[len(rows) :]
                batch = batch_of(rows, group, alone=at_once == 1)
                with prompt_rows(rows, len(encoded)):
                    running[pool.submit(functools.partial(gather.read, batch, beginning))] = batch
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                batch = running.pop(future)
                if future.result():
                    read_texts.add(batch)
                    if progress is not None:
                        progress(len(batch.rows))
                    continue
                release_memory()
                waiting = largest_first(lengths, batch.rows + waiting)
                if len(batch.rows) > 1:
                    limit, pace.halved = min(limit, max(1, batch.ids.numel() // 2)), True
                    pace.limit = min(pace.limit, limit)
                elif not batch.alone:
                    at_once = pace.at_once = 1
                else:
                    raise ModelError(
                        f"{model.name} ran out of memory on one text of {lengths[batch.rows[0]]} "
                        "tokens. Shorten it, or load the model in a smaller dtype."
                    )


class _Gather:
    """Passes through a model whose hooks add to the batch that their own thread reads."""

    def __init__(self, tree: Backend, last_layer: int) -> None:
        self._tree, self._last = tree, last_layer
        self._of_thread = threading.local()

    def reduce(self, residual: Tensor, layer: int) -> None:
        """Add the residual stream after one layer to what is being read, if anything is."""
        batch: Batch | None = getattr(self._of_thread, "batch", None)
        if batch is not None:
            batch.add(residual, layer)

    def begin(self, ids: list[int]) -> DynamicCache:
        """Read a beginning of which nothing is wanted but its keys and values."""
        assert isinstance(self._tree, HuggingFaceBackend)
        return self._tree.begin(torch.tensor(ids), self._last)

    def read(self, batch: Batch, beginning: DynamicCache | None) -> bool:
        """Read a batch; tells whether it fitted into memory."""
        self._of_thread.batch = batch
        try:
            if beginning is None:
                self._tree.run(batch.ids, batch.attention_mask, self._last)
            else:
                assert isinstance(self._tree, HuggingFaceBackend)
                shared = for_rows(beginning, len(batch.rows))
                self._tree.run(batch.ids, batch.attention_mask, self._last, shared)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            del self._of_thread.batch
        return True


@contextlib.contextmanager
def _gathering(tree: Backend, layers: list[int]) -> Iterator[_Gather]:
    """Hang the hooks on the model once."""
    gather = _Gather(tree, max(layers))
    with tree.hooked(dict.fromkeys(layers, gather.reduce)):
        yield gather


@torch.no_grad()
def resid_post(
    model: LanguageModel,
    text: str | Sequence[int],
    layers: Sequence[int] | None = None,
    *,
    through: Literal["bulk", "reader"] = "reader",
) -> Residuals:
    """Return the residual stream of one text at every token, special tokens included.

    A text may be given as its token ids. `through` is as for `pooled_resid_post`.

    Returns
    -------
    Residuals
        ``resid`` has shape [layer position d_model], float32, on the CPU.
    """
    chosen = _layers(model, layers)
    [ids] = _encode(model, [text])
    if not ids:
        raise InvalidInput("resid_post: expected a text of at least one token, got an empty one.")
    batch = pad([ids], model.special_ids)
    read: dict[int, Tensor] = {}

    def keep(residual: Tensor, layer: int) -> None:
        read[layer] = residual[0].float().cpu()

    tree = model.bulk if through == "bulk" else model.reader
    with tree.hooked(dict.fromkeys(chosen, keep)):
        tree.run(batch.ids, batch.attention_mask, max(chosen))
    strings = [model.tokenizer.decode([index]) for index in ids]
    return Residuals(torch.stack([read[layer] for layer in chosen]), ids, strings)
