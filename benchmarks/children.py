"""A process per recipe, so that each has a peak memory of its own; they are asked in turn.

`prepare(*arguments)` runs once in the new process and returns the job; each `ask` calls the job and
tells how long it took and how much memory the process has held at most since it was prepared.
"""

import contextlib
import multiprocessing
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import forget_peak, peak_bytes, resident_bytes


@dataclass(frozen=True)
class Turn:
    """One call of a job."""

    seconds: float
    result: Any
    peak_bytes: int
    ready_bytes: int
    """Resident when the job was prepared: packages and weights."""


class Child:
    """A process that holds one job."""

    def __init__(self, prepare: Callable[..., Callable[..., Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, prepare, arguments))
        self._process.start()
        other.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        self._process.join()

    def ask(self, **how: Any) -> Turn:
        """Call the job.

        Raises
        ------
        RuntimeError
            With the child's traceback, when the job fails.
        """
        self._pipe.send(how)
        failed, answer = self._pipe.recv()
        if failed:
            raise RuntimeError(f"a recipe failed in its process:\n{answer}")
        return answer


def _serve(pipe: Any, prepare: Callable[..., Callable[..., Any]], arguments: tuple[Any]) -> None:
    job, ready = None, 0
    while True:
        try:
            how = pipe.recv()
        except EOFError:
            return
        if how is None:
            return
        try:
            if job is None:
                job = prepare(*arguments)
                forget_peak()
                ready = resident_bytes()
            start = time.perf_counter()
            result = job(**how)
            taken = time.perf_counter() - start
            pipe.send((False, Turn(taken, result, peak_bytes(), ready)))
        except Exception:  # noqa: BLE001 - the parent raises it again
            pipe.send((True, traceback.format_exc()))
