"""Time recipes in turn in one process; CPU seconds, so that other processes disturb least."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping

import torch


def seconds(function: Callable[[], object]) -> float:
    """CPU seconds of this process over its threads."""
    start = time.process_time()
    function()
    return (time.process_time() - start) / torch.get_num_threads()


def in_turn(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, every round in the same order, after one pass that warms up."""
    for function in functions.values():
        function()
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            taken[name].append(seconds(function))
    return {name: statistics.median(times) for name, times in taken.items()}


def roofline(rows: int, width: int, out: int) -> float:
    """FLOP per second of one matrix product of the model's shape."""
    inputs, weight = torch.randn(rows, width), torch.randn(out, width)
    repeats = max(3, int(4e10 // (2 * rows * width * out)))

    def multiply() -> None:
        for _ in range(repeats):
            torch.nn.functional.linear(inputs, weight)

    multiply()
    return 2 * rows * width * out * repeats / statistics.median(seconds(multiply) for _ in "abc")


def peak_memory() -> float:
    """Largest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
