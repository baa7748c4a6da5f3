"""What matrix products alone would allow: the model's own shapes, nothing between them.

    seconds per token = sum over shapes of (matrices of this shape) * best seconds / rows

The best of several numbers of rows and several tries counts, with weights still in the processor's
cache, so no real pass can reach it. Attention's own products, norms and activations are left out of
the FLOPs on both sides.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

import hooks
from benchmarks.measure import seconds

_ROWS = (512, 1024, 2048)
_TRIES = 3
_SECONDS = 0.1
"""Of one try, about."""


def prepare(name: str, dtype: str) -> Callable[..., dict[str, float]]:
    """Return a job that measures the roofline of a model's decoder blocks."""
    model = hooks.load(name, backend="huggingface", dtype=dtype)
    return lambda: of_blocks(model)


def of_blocks(model: hooks.LanguageModel, rows: Sequence[int] = _ROWS) -> dict[str, float]:
    """Measure the products of a model's blocks where it is, in its dtype."""
    blocks: Any = model.bulk.structure.blocks
    shapes = Counter(tuple(it.shape) for it in blocks.parameters() if it.dim() > 1)
    with torch.inference_mode():
        taken = sum(
            count * _best(torch.randn(shape, dtype=model.dtype, device=model.device), rows)
            for shape, count in shapes.items()
        )
    flops = sum(2.0 * out * width * count for (out, width), count in shapes.items())
    return {"flops_per_token": flops, "tokens_per_second": 1 / taken}


def _best(weight: torch.Tensor, several: Sequence[int]) -> float:
    """Seconds per row of the fastest product of one shape."""
    taken = []
    for rows in several:
        inputs = torch.randn(rows, weight.shape[1], dtype=weight.dtype, device=weight.device)

        def multiply(times: int, inputs: torch.Tensor = inputs) -> None:
            for _ in range(times):
                torch.nn.functional.linear(inputs, weight)

        multiply(1)
        times = max(1, round(_SECONDS / seconds(lambda m=multiply: m(1))))
        taken += [seconds(lambda m=multiply, n=times: m(n)) / times / rows for _ in range(_TRIES)]
    return min(taken)
