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
    texts: Sequence[str | Sequence[int]],
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
    texts
        Each as it is, or as its token ids.
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
    if padding_side == "left" and not model.conventions.pads_left:
        raise InvalidInput(
            f"padding_side: {model.name} counts padding on the left as text, got 'left'; use "
            "'right', which gives the same numbers as no padding."
        )
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
        _read_groups(model, encoded, groups, batch_of, gather, pace, read_texts, progress)
    if pace.halved:
        set_limit(model, "reading", pace.limit)
    return read_texts.pooled()


@dataclass
class _Pace:
    """How much is read at once, as far as memory has taught it."""

    limit: int
    at_once: int
    halved: bool = False


@dataclass
class _Waiting:
    """Texts of one group that are still to be read, the largest first."""

    group: TextGroup
    lengths: list[int]
    """Tokens of every text that are read for it alone."""
    texts: list[int]
    limit: int
    """Padded tokens of a batch, so that batches are of about equal size."""
    beginning: "_Beginning | None"

    @classmethod
    def of(cls, encoded: list[list[int]], group: TextGroup, limit: int) -> "_Waiting":
        lengths = [len(ids) - group.n_shared for ids in encoded]
        balanced = balanced_batch_tokens([lengths[text] for text in group.texts], limit)
        shared = encoded[group.texts[0]][: group.n_shared]
        beginning = _Beginning(shared) if shared else None
        return cls(group, lengths, largest_first(lengths, group.texts), balanced, beginning)

    @property
    def n_batches(self) -> int:
        return sum(
            1 for _ in batches_by_length([self.lengths[it] for it in self.texts], self.limit)
        )

    def take(self, limit: int) -> list[int]:
        """Take the texts of the next batch."""
        n_rows = rows_that_fit(self.texts, self.lengths, min(self.limit, limit))
        rows, self.texts = self.texts[:n_rows], self.texts[n_rows:]
        return rows

    def put_back(self, rows: list[int]) -> None:
        """Let texts wait again."""
        self.texts = largest_first(self.lengths, rows + self.texts)


def _read_groups(
    model: LanguageModel,
    encoded: list[list[int]],
    groups: Sequence[TextGroup],
    batch_of: Callable[..., "Batch"],
    gather: "_Gather",
    pace: _Pace,
    read_texts: "Accumulator",
    progress: Callable[[int], None] | None,
) -> None:
    """Read groups of texts, in batches of about equal size, several side by side."""
    queue = [_Waiting.of(encoded, group, pace.limit) for group in groups if group.texts]
    at_once = max(1, min(sum(waiting.n_batches for waiting in queue), pace.at_once))
    with ForwardPool(at_once) as pool:
        running: dict[Future[bool], tuple[Batch, _Waiting]] = {}
        while queue or running:
            # The next group begins while the last batches of the one before are read.
            while queue and len(running) < at_once:
                waiting = queue[0]
                group, rows = waiting.group, waiting.take(pace.limit)
                if not waiting.texts:
                    queue.pop(0)
                batch = batch_of(rows, group, alone=at_once == 1)
                read = functools.partial(gather.read, batch, waiting.beginning)
                with prompt_rows(rows, len(encoded)):
                    running[pool.submit(read)] = batch, waiting
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                batch, waiting = running.pop(future)
                if future.result():
                    read_texts.add(batch)
                    if progress is not None:
                        progress(len(batch.rows))
                    continue
                release_memory()
                if not waiting.texts:
                    queue.insert(0, waiting)
                waiting.put_back(batch.rows)
                if len(batch.rows) > 1:
                    pace.limit = min(pace.limit, max(1, batch.ids.numel() // 2))
                    pace.halved = True
                elif not batch.alone:
                    at_once = pace.at_once = 1
                else:
                    raise ModelError(
                        f"{model.name} ran out of memory on one text of "
                        f"{waiting.lengths[batch.rows[0]]} tokens. Shorten it, or load the model "
                        "in a smaller dtype."
                    )


class _Beginning:
    """A beginning that texts share, read by whichever thread needs it first."""

    def __init__(self, ids: list[int]) -> None:
        self._ids, self._lock = ids, threading.Lock()
        self._cache: DynamicCache | None = None

    def read(self, tree: HuggingFaceBackend, last_layer: int) -> DynamicCache:
        """Return its keys and values, of which alone something is wanted."""
        with self._lock:
            if self._cache is None:
                self._cache = tree.begin(torch.tensor(self._ids), last_layer)
            return self._cache


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

    def read(self, batch: Batch, beginning: _Beginning | None) -> bool:
        """Read a batch; tells whether it fitted into memory."""
        shared = []
        try:
            if beginning is not None:
                assert isinstance(self._tree, HuggingFaceBackend)
                shared = [for_rows(beginning.read(self._tree, self._last), len(batch.rows))]
            self._of_thread.batch = batch
            self._tree.run(batch.ids, batch.attention_mask, self._last, *shared)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            self._of_thread.batch = None
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
