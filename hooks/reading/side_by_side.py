"""Forward passes side by side on a CPU: each on its own share of the threads.

Threads that work on one pass wait for each other after every operation, and most operations of a
pass over a thousand tokens are short; passes on a thread each wait for nobody.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from hooks.models.backends import Backend, HuggingFaceBackend
from hooks.models.model import LanguageModel
from hooks.models.structure import follows_length
from hooks.models.watching import is_watched

Result = TypeVar("Result")
_MOST = 8
"""Passes at once, each of which holds memory of its own; more threads than that share them."""
_CAPTURING = "transformers.utils.output_capturing"


def passes_at_once(model: LanguageModel, tree: Backend) -> int:
    """Return how many passes may run at once through one module tree: 1 where two could disturb.

    So it is on a device, in quantised layers, under anybody's hooks, with rotary frequencies that
    follow the length of the text, and inside contexts of torch that only their own thread sees.
    """
    modes = torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack()
    alone = (
        not isinstance(tree, HuggingFaceBackend)
        or model.quantize is not None
        or any(p.device.type != "cpu" for p in tree.hf.parameters())
        or modes > 0
        or torch.is_autocast_enabled("cpu")
        or any(map(keeps_state, tree.hf.modules()))
    )
    return 1 if alone else min(_MOST, torch.get_num_threads())


def keeps_state(module: torch.nn.Module) -> bool:
    """Whether a module, or what hangs on it, may change from one pass to the next."""
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    # Those that transformers leaves behind speak only in the context that asked for states.
    others = [hook for hook in hooks if getattr(hook, "__module__", None) != _CAPTURING]
    told = is_watched(module) or hasattr(module, "_hf_hook")
    return bool(others) or told or follows_length(module)


class ForwardPool:
    """Threads that run forward passes without gradients, `n` of them on the threads torch has."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(n, "forward", self._begin) if n > 1 else None

    def __enter__(self) -> "ForwardPool":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            # A thread's number is also what threads that start later get.
            torch.set_num_threads(self._threads)

    def _begin(self) -> None:
        torch.set_num_threads(max(1, self._threads // self.n))

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Start some work in the caller's context; at once, in its thread, in a pool of one."""
        if self._pool is not None:
            return self._pool.submit(contextvars.copy_context().run, _without_gradients, work)
        future: Future[Result] = Future()
        try:
            future.set_result(_without_gradients(work))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future


def _without_gradients(work: Callable[[], Result]) -> Result:
    with torch.no_grad():
        return work()
