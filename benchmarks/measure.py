"""Wall-clock seconds and resident memory of this process, and how quiet the machine was."""

import contextlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_BEGAN = time.monotonic()


def say(what: str) -> None:
    """Say on standard error what is going on, with the seconds since the program began."""
    print(f"{time.monotonic() - _BEGAN:4.0f} s  {what}", file=sys.stderr, flush=True)


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, and of all that it left to a GPU."""
    _wait()
    start = time.perf_counter()
    function()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    torch: Any = sys.modules.get("torch")  # who measures without it has nothing to wait for
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def forget_peak() -> None:
    """Let the peak begin again at what is resident now, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Largest resident memory since `forget_peak`, else since the process began."""
    return _kilobytes("VmHWM", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def resident_bytes() -> int:
    """Resident memory now."""
    return _kilobytes("VmRSS", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _kilobytes(name: str, otherwise: int) -> int:
    if not _STATUS.exists():
        return otherwise
    lines = _STATUS.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), otherwise)


class Company:
    """What share of the machine's processors other programs took since this was made."""

    def __init__(self) -> None:
        self._before = self._times()

    def share(self) -> float | None:
        """Share between 0 and 1; None where the system does not tell."""
        if self._before is None or (now := self._times()) is None:
            return None
        total, busy, own = (b - a for a, b in zip(self._before, now, strict=True))
        return max(0.0, busy - own) / max(total, 1e-9)

    @staticmethod
    def _times() -> tuple[float, float, float] | None:
        """Return seconds of all processors, of those not idle, and of this program."""
        with contextlib.suppress(OSError):
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
            ticks = [int(field) / 100 for field in fields]
            whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            used = [resource.getrusage(who) for who in whose]
            own = sum(one.ru_utime + one.ru_stime for one in used)
            return sum(ticks), sum(ticks) - ticks[3] - ticks[4], own
        return None
