"""Run the blocks before a steered layer once per text: steering changes nothing that they compute.

Under many directions the same tokens are read many times. What the last of those blocks gave for
them is kept, and every later pass over them starts there: the same numbers, sooner.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import Cache

from hooks.models.backends import HuggingFaceBackend, check_layers
from hooks.models.model import LanguageModel
from hooks.models.watching import Inputs

_Key = tuple[int, tuple[int, int], bytes]


class Replay:
    """Remembers, for one model, what blocks gave for the tokens of passes it has seen.

    ``with replay.until(12), hooks.steer(...): ...``, in this order, skips blocks 0 to 12 on passes
    over tokens that came before; hooks on layer 12 see what it gave then. Nothing may change an
    earlier layer meanwhile, and none can be read. Passes with a cache run whole, and so does a
    model whose later blocks need more of earlier ones than the residual stream (found out by
    trying): both lose time alone.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._tree = model.bulk
        self._kept: dict[_Key, Float[Tensor, "row position d_model"]] = {}
        self._can: dict[int, bool] = {}

    def until(self, layer: int) -> contextlib.AbstractContextManager[None]:
        """Skip blocks up to and with `layer`, 0-based; InvalidInput where there is no such one."""
        check_layers([layer], self._tree.n_layers)
        if not isinstance(self._tree, HuggingFaceBackend):
            return contextlib.nullcontext()
        if layer not in self._can:
            self._can[layer] = _can_replay(self._tree, layer)
        return self._skipping(self._tree, layer) if self._can[layer] else contextlib.nullcontext()

    @contextlib.contextmanager
    def _skipping(self, tree: HuggingFaceBackend, layer: int) -> Iterator[None]:
        passing: list[tuple[_Key, int]] = []

        def see(inputs: Inputs) -> None:
            passing[:] = [(_key(layer, inputs), len(inputs.ids))]

        def replayed() -> Tensor | None:
            [(key, n_rows)] = passing
            known = self._kept.get(key)
            if known is None or len(known) == n_rows:
                return known
            return known.expand(n_rows, -1, -1)

        def keep(residual: Tensor) -> None:
            [(key, _)] = passing
            n_kept, _ = key[1]
            self._kept[key] = residual.detach()[:n_kept].clone()

        with tree.watched(see), _patched(tree.structure.blocks, layer, replayed, keep):
            yield


def _key(layer: int, inputs: Inputs) -> _Key:
    """Tell passes apart by layer, shape and tokens; rows that are all alike are kept as one."""
    ids, mask = inputs.ids, inputs.mask
    rows = ids if mask is None else torch.cat([ids, mask.to(ids)], dim=1)
    if (rows == rows[:1]).all():
        rows = rows[:1]
    return layer, (len(rows), ids.shape[1]), rows.cpu().numpy().tobytes()


@contextlib.contextmanager
def _patched(
    blocks: nn.ModuleList,
    layer: int,
    replayed: Callable[[], Tensor | None],
    keep: Callable[[Tensor], None],
) -> Iterator[None]:
    """Let block `layer` give what `replayed` returns, where it does, and those before it nothing.

    Blocks get a `forward` of their own: hooks on them, which steer, still run after it.
    """
    before = [(block, vars(block).get("forward")) for block in blocks[: layer + 1]]

    def skipping(forward: Callable[..., Any], is_last: bool) -> Callable[..., Any]:
        def skip(*inputs: Any, **named: Any) -> Any:
            fills_cache = any(isinstance(it, Cache) for it in (*inputs, *named.values()))
            known = None if fills_cache else replayed()
            if known is None:
                output = forward(*inputs, **named)
                if is_last and isinstance(output, Tensor):
                    keep(output)
                return output
            return known if is_last else (inputs[0] if inputs else named["hidden_states"])

        return skip

    try:
        for number, (block, _) in enumerate(before):
            block.forward = skipping(block.forward, number == layer)
        yield
    finally:
        for block, own in before:
            if own is None:
                del block.forward
            else:
                block.forward = own


@torch.no_grad()
def _can_replay(tree: HuggingFaceBackend, layer: int) -> bool:
    """Try whether later blocks give the same, bit for bit, when those up to `layer` are skipped."""
    last, ids = tree.n_layers - 1, torch.tensor([[0, 1, 1], [1, 0, 1]])
    read: list[Tensor] = []
    kept: list[Tensor] = []

    def run(replayed: Callable[[], Tensor | None]) -> None:
        with (
            _patched(tree.structure.blocks, layer, replayed, kept.append),
            tree.hooked({last: lambda residual, _layer: read.append(residual)}),
        ):
            tree.run(ids, torch.ones_like(ids), last)

    run(lambda: None)
    if not kept or kept[0].ndim != 3:
        return False  # a block gives more than one stream
    try:
        run(lambda: kept[0])
    except Exception:  # noqa: BLE001 - whatever a block of another kind misses
        return False
    return torch.equal(*read)
