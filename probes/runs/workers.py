"""Where units of work are computed: in this process, in threads that wait for a server, or on Ray.

A *job* holds a model and turns one unit into its result. Units are fixed before any work and a
result depends on its unit alone, so the three ways give the same results, in another order; to the
last bit where processors, package versions and compute threads (OMP_NUM_THREADS) are the same.

On Ray every worker is an actor that makes the job once. Ray starts one that died again, elsewhere
if its machine is gone, and runs its unit again.

Contract: knows neither models nor files nor what a unit is. Ray is imported when it is used.
"""

import contextlib
import itertools
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hooks.errors import EmotionLensError, InvalidInput
from probes.config import ComputeSettings
from probes.runs.reporting import Advance, unheard

_RESTARTS = 100
"""How often Ray starts a worker again."""
_RETRIES = 3
"""How often Ray repeats a unit whose worker died: one that kills four is itself at fault."""


class ClusterError(EmotionLensError, RuntimeError):
    """Ray is missing, has too little, or lost a worker for good."""


@runtime_checkable
class Job(Protocol):
    """A model and what is done with a unit: a fixed piece of work about `n_texts` texts."""

    def about(self) -> dict[str, Any]:
        """Say which model it is; the same on every worker, or the run stops."""
        ...

    def do(self, unit: Any, advance: Advance) -> Any:
        """Turn a unit into its result, calling `advance` with numbers of finished texts."""
        ...


@runtime_checkable
class Workers(Protocol):
    """Those who do the units."""

    def about(self) -> dict[str, Any]:
        """Say which model they hold."""
        ...

    def notes(self) -> list[str]:
        """Say what the user should know of them."""
        ...

    def map(self, units: Iterable[Any], advance: Advance) -> Iterator[tuple[Any, Any]]:
        """Yield every unit with its result as they are finished; units may be made one by one."""
        ...


class LocalWorkers:
    """One unit after another in this process."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def about(self) -> dict[str, Any]:
        """See `Workers`."""
        return self._job.about()

    def notes(self) -> list[str]:
        """See `Workers`."""
        return []

    def map(self, units: Iterable[Any], advance: Advance) -> Iterator[tuple[Any, Any]]:
        """See `Workers`."""
        for unit in units:
            yield unit, self._job.do(unit, advance)


class ThreadWorkers(LocalWorkers):
    """Several units at once, for jobs that wait for somebody else."""

    def __init__(self, job: Job, at_once: int) -> None:
        super().__init__(job)
        self._at_once = at_once

    def map(self, units: Iterable[Any], advance: Advance) -> Iterator[tuple[Any, Any]]:
        """See `Workers`; no more units are begun than the caller takes results."""
        pool = ThreadPoolExecutor(self._at_once)
        waiting = iter(units)
        running: dict[Future[Any], Any] = {}
        try:
            while True:
                for unit in itertools.islice(waiting, self._at_once - len(running)):
                    running[pool.submit(self._job.do, unit, unheard)] = unit
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    unit = running.pop(future)
                    result = future.result()
                    advance(unit.n_texts)
                    yield unit, result
        finally:
            # Whoever the threads wait for is closed next; waiting for them here could take hours.
            pool.shutdown(wait=False, cancel_futures=True)


class RayWorkers:
    """Units on the actors of a Ray cluster."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors

    def about(self) -> dict[str, Any]:
        """See `Workers`; ClusterError when the workers hold different models."""
        with _ray_errors():
            first, *others = _ray().get([actor.about.remote() for actor in self._actors])
        differing = [(key, other) for other in others for key in first if first[key] != other[key]]
        for key, other in differing[:1]:
            raise ClusterError(
                f"workers hold different models: {key} is {first[key]!r} on one and "
                f"{other[key]!r} on another. Put the same files and package versions on all "
                "machines."
            )
        return first

    def notes(self) -> list[str]:
        """See `Workers`; machines that round differently are said."""
        with _ray_errors():
            machines = _ray().get([actor.machine.remote() for actor in self._actors])
        kinds = sorted(set(machines))
        if len(kinds) == 1:
            return []
        return [
            f"workers compute on {len(kinds)} kinds of machines ({'; '.join(kinds)}): results "
            "agree up to rounding, not to the last bit."
        ]

    def map(self, units: Iterable[Any], advance: Advance) -> Iterator[tuple[Any, Any]]:
        """See `Workers`."""
        _ray()
        from ray.util import ActorPool

        pool = ActorPool(list(self._actors))
        with _ray_errors():
            waiting = iter(enumerate(units))
            sent: dict[int, Any] = {}
            while True:
                while pool.has_free() and (item := next(waiting, None)) is not None:
                    sent[item[0]] = item[1]
                    pool.submit(lambda actor, item: actor.do.remote(*item), item)
                if not pool.has_next():
                    return
                number, result = pool.get_next_unordered()
                unit = sent.pop(number)
                advance(unit.n_texts)
                yield unit, result


class _Worker:
    """What runs in a worker's process."""

    def __init__(self, make: Callable[[], Job], folder: str) -> None:
        self._make = make
        self._job: Job | None = None
        if os.path.isdir(folder):  # names of models and corpora may be relative paths
            os.chdir(folder)

    def _ready(self) -> Job:
        if self._job is None:  # not in __init__, whose errors Ray wraps beyond recognition
            self._job = self._make()
        return self._job

    def about(self) -> dict[str, Any]:
        """Say which model it holds."""
        return self._ready().about()

    def machine(self) -> str:
        """Say what decides the rounding of its results."""
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        capability = torch.backends.cpu.get_cpu_capability()
        threads = torch.get_num_threads()
        return f"torch {torch.__version__}, {capability} x {threads} threads, {gpu}"

    def do(self, number: int, unit: Any) -> tuple[int, Any]:
        """Do one unit."""
        return number, self._ready().do(unit, unheard)


@contextlib.contextmanager
def workers(
    settings: ComputeSettings, here: Callable[[], Job], there: Callable[[], Job]
) -> Iterator[Workers]:
    """Open the workers that a run asks for.

    `here` makes the job in this process, `there` (pickled) the same job in another one. Raises
    ClusterError when Ray is not installed, cannot be reached, or has too little.
    """
    if settings.engine == "local":
        yield LocalWorkers(here())
        return
    # `ray start` checks tokens wherever the user has one; whoever joins has to say so before the
    # import, which is when Ray reads it.
    if settings.address is not None and (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = _ray()
    _connect(settings)
    worker = ray.remote(_Worker).options(
        num_cpus=settings.cpus_per_worker,
        num_gpus=settings.gpus_per_worker,
        max_restarts=_RESTARTS,
        max_task_retries=_RETRIES,
    )
    actors = [worker.remote(there, os.getcwd()) for _ in range(settings.workers)]
    try:
        yield RayWorkers(actors)
    finally:
        for actor in actors:  # their memory is wanted by what comes next
            with contextlib.suppress(Exception):
                ray.kill(actor)


def _ray() -> Any:
    try:
        with _quiet():
            import ray
    except ImportError as error:
        raise ClusterError(
            "compute.engine=ray needs Ray, which is not installed: pip install 'emotion-lens[ray]'"
        ) from error
    return ray


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Keep Ray's notices about its own future out of the terminal."""
    return warnings.catch_warnings(action="ignore")


_started_here = False
_PATIENCE = 10.0
"""Seconds in which a cluster must answer."""


def _connect(settings: ComputeSettings) -> None:
    """Connect to the cluster, or start one on this machine, unless that has been done."""
    global _started_here
    ray = _ray()
    if not ray.is_initialized():
        # Ray reads these when it starts: no reports to its makers; GPUs as this process sees them.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # On a busy machine, or from a slow disk, a process takes longer than Ray's minute to start.
        os.environ.setdefault("RAY_worker_register_timeout_seconds", "600")
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        # Without "local" Ray would join what another user or run has left on this machine.
        options["address"] = settings.address or "local"
        if settings.address is None:
            options["include_dashboard"] = False
        try:
            _knock(options["address"])
            with _quiet():
                ray.init(**options)
        except Exception as error:
            where = settings.address or "this machine"
            raise ClusterError(
                f"could not reach Ray at {where}: {error}. Start it (ray start --head), or give "
                "its address in compute.address; null starts one on this machine."
            ) from error
        _started_here = True
    total = ray.cluster_resources()
    for kind, each in (("CPU", settings.cpus_per_worker), ("GPU", settings.gpus_per_worker)):
        wanted, present = settings.workers * each, total.get(kind, 0.0)
        if wanted > present:
            raise InvalidInput(
                f"compute.workers={settings.workers} with {each:g} {kind} each want {wanted:g}, "
                f"and the cluster has {present:g}. Lower compute.workers or "
                f"compute.{kind.lower()}s_per_worker, or add machines first."
            )


def _knock(address: str) -> None:
    """Raise OSError where nobody answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


def disconnect() -> None:
    """Leave the cluster, and end one that was started here; nothing if none was."""
    global _started_here
    if _started_here and "ray" in sys.modules:
        with _quiet():
            sys.modules["ray"].shutdown()
    _started_here = False


@contextlib.contextmanager
def _ray_errors() -> Iterator[None]:
    """Turn what Ray raises into the error that a worker raised, or one that says what to do."""
    errors = sys.modules["ray"].exceptions
    failed: BaseException
    try:
        yield
        return
    except errors.RayTaskError as error:
        failed = error.cause if isinstance(error.cause, EmotionLensError) else error
    except errors.RayActorError as error:
        failed = ClusterError(
            f"a worker died {_RETRIES + 1} times over one unit, or for good: {error} Its logs are "
            "below /tmp/ray of its machine. Finished work is kept: the same command goes on."
        )
    except errors.RayError as error:
        failed = ClusterError(
            f"Ray gave up: {error} Finished work is kept: the same command goes on from here."
        )
    raise failed
