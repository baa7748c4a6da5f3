"""Where the time of reading goes: matrix products, attention, and what lies between them.

torch's profiler adds up the time that each operator takes by itself, in passes one after another on
all threads.
"""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

import hooks
from benchmarks.texts import texts

PRODUCTS, ATTENTION, BETWEEN = "matrix products", "attention", "elementwise, norms and copies"
_KINDS = {
    PRODUCTS: ("mm", "linear", "matmul", "mkldnn"),
    ATTENTION: ("attention",),
}
"""What names of operators hold."""
N_SLOWEST = 5


def prepare(name: str, dtype: str) -> Callable[..., list[tuple[str, float]]]:
    """Return a job that gives shares of time by kind, then those of the slowest operators."""
    model = hooks.load(name, backend="huggingface", dtype=dtype)
    # Under anybody's hook passes follow each other in the thread that is watched.
    model.hf.register_forward_hook(lambda *_: None)

    def job(n_texts: int) -> list[tuple[str, float]]:
        given = texts(n_texts)
        hooks.pooled_resid_post(model, given)
        with profile(activities=[ProfilerActivity.CPU]) as watched:
            hooks.pooled_resid_post(model, given)
        taken = {it.key: it.self_cpu_time_total for it in watched.key_averages()}
        return shares(taken)

    return job


def shares(taken: dict[str, float]) -> list[tuple[str, float]]:
    """Add operators' times up by kind, and name the slowest of what lies between."""
    whole = sum(taken.values())
    kinds = {name: kind_of(name) for name in taken}
    by_kind = [
        (kind, sum(time for name, time in taken.items() if kinds[name] == kind) / whole)
        for kind in (PRODUCTS, ATTENTION, BETWEEN)
    ]
    between = sorted((name for name in taken if kinds[name] == BETWEEN), key=lambda it: -taken[it])
    return by_kind + [(name, taken[name] / whole) for name in between[:N_SLOWEST]]


def kind_of(operator: str) -> str:
    """Tell what an operator is, by its name."""
    for kind in (ATTENTION, PRODUCTS):
        if any(part in operator for part in _KINDS[kind]):
            return kind
    return BETWEEN
