"""Every causal architecture that transformers knows, as a tiny random model before the doctor.

Each is judged in a process that is ended when its time is over: one that hangs, or takes the
process down with it, costs its own verdict alone.
"""

import multiprocessing
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from hooks.doctor import TEXTS, examine
from hooks.errors import ModelError
from hooks.models.loading import load
from hooks.models.miniature import tiny_model, tiny_tokenizer

Outcome = Literal["works", "refused", "fails", "not by itself", "not built"]
RUN = ("works", "refused", "fails")
"""Outcomes of those that run by themselves, of which `share` is."""
_REFUSED = ModelError.__name__
_IDS = tuple(range(10, 22))
_SECONDS_TO_START = 600


@dataclass(frozen=True)
class ArchitectureVerdict:
    """What became of one architecture, and in which words."""

    kind: str
    outcome: Outcome
    words: str


def share(verdicts: Sequence[ArchitectureVerdict]) -> float:
    """Return the share that works, of those that run by themselves as tiny models."""
    count = Counter(verdict.outcome for verdict in verdicts)
    return count["works"] / max(1, sum(count[outcome] for outcome in RUN))


def judge(kind: str) -> ArchitectureVerdict:
    """Build one architecture and examine it; every error is a verdict."""
    try:
        hf: Any = tiny_model(kind)
    except ModelError as error:
        return ArchitectureVerdict(kind, "not built", _line(error))
    if (obstacle := _obstacle(hf)) is not None:
        return ArchitectureVerdict(kind, "not by itself", obstacle)
    try:
        model = load(hf, tokenizer=tiny_tokenizer(TEXTS), backend="huggingface")
        _ = model.n_layers  # a model that has no residual stream says so
        diagnosis = examine(model)
    except ModelError as error:
        return ArchitectureVerdict(kind, "refused", _line(error))
    except Exception as error:  # noqa: BLE001 - what should have been refused in words
        return ArchitectureVerdict(kind, "fails", f"{type(error).__name__}: {_line(error)}")
    failed = [check for check in diagnosis.checks if check.passed is False]
    if not failed:
        slow = model.conventions.why_no_cache
        return ArchitectureVerdict(
            kind, "works", "" if slow is None else f"writes without a cache: {slow}"
        )
    in_words = all(check.detail.startswith(_REFUSED) for check in failed)
    words = "; ".join(dict.fromkeys(f"{check.name}: {check.detail}" for check in failed))
    return ArchitectureVerdict(kind, "refused" if in_words else "fails", words)


@torch.no_grad()
def _obstacle(hf: Any) -> str | None:
    """Say why a model cannot be asked what comes next: it needs more than ids, or looks ahead."""
    ids = torch.tensor([_IDS])
    try:
        logits, other = (
            hf(input_ids=it, use_cache=False).logits for it in (ids, ids.flip(1)[:, :6])
        )
        changed = torch.cat([ids[:, :6], ids.flip(1)[:, :6]], dim=1)
        ahead = hf(input_ids=changed, use_cache=False).logits[:, :6]
    except Exception as error:  # noqa: BLE001 - whatever a model needs is the obstacle
        return f"{type(error).__name__}: {_line(error)}"
    if logits.ndim != 3 or not logits.isfinite().all() or not other.isfinite().all():
        return f"its logits are not finite [text position d_vocab], but {tuple(logits.shape)}"
    if (ahead - logits[:, :6]).abs().max() > 1e-3 * logits.abs().max():
        return "it looks ahead: later tokens change the logits of earlier ones"
    return None


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def survey(kinds: Sequence[str], seconds: float) -> Iterator[ArchitectureVerdict]:
    """Yield the verdict on each architecture; one that takes longer than `seconds` fails."""
    worker = _Worker()
    try:
        for kind in kinds:
            yield worker.judge(kind, seconds)
    finally:
        worker.end()


class _Worker:
    """A process that judges one architecture after the other, and a new one after an accident."""

    def __init__(self) -> None:
        self._process: Any = None

    def judge(self, kind: str, seconds: float) -> ArchitectureVerdict:
        if self._process is None:
            self._start()
        try:
            self._connection.send(kind)
            if self._connection.poll(seconds):
                return self._connection.recv()
            words = f"took longer than {seconds:g} s"
        except (EOFError, ConnectionError):
            words = "took its process down"
        self.end()
        return ArchitectureVerdict(kind, "fails", words)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(_SECONDS_TO_START) or self._connection.recv() != "ready":
            raise ModelError("the process that judges architectures did not start.")

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _serve(connection: Any) -> None:
    """Judge what is sent, until nobody sends any more."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    connection.send("ready")
    while True:
        try:
            connection.send(judge(connection.recv()))
        except EOFError:
            return
