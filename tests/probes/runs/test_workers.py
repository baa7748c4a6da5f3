"""Units on a real Ray of two workers give the bytes of one process, also when one is killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import small_runs
from small_runs import Heard, SmallRun

from hooks.errors import InvalidInput
from probes.config import ComputeSettings
from probes.runs import workers as workers_module
from probes.runs.workers import (
    ClusterError,
    LocalWorkers,
    RayWorkers,
    ThreadWorkers,
    disconnect,
    workers,
)

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
RAY = {"compute__engine": "ray", "compute__workers": 2}
STAGES = ("generate-stories", "extract-activations", "compute-vectors")
OUTPUTS = ("stories/*/*.json", "activations/*.safetensors", "activations/*.json", "vectors/*")


def ray_processes() -> set[str]:
    """Names of the processes that Ray has started below this one."""
    names = {child.name() for child in psutil.Process().children(recursive=True)}
    return {name for name in names if name in ("raylet", "gcs_server") or name.startswith("ray::")}


class Killer(Heard):
    """A reporter that kills a worker at its work as soon as a unit of the stage is done."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.killed: list[int] = []
        self._left = stages

    def task(self, name, total, unit, done=0):
        killer = self

        class Task:
            def __enter__(self):
                self.armed = killer._left > 0
                return self.advance

            def __exit__(self, *error):
                pass

            def advance(self, _count):
                if self.armed and killer.kill_one():
                    self.armed = False
                    killer._left -= 1

        return Task()

    def kill_one(self) -> bool:
        for child in psutil.Process().children(recursive=True):
            if any("_Worker.do" in word for word in child.cmdline()):  # it is at work
                os.kill(child.pid, signal.SIGKILL)
                self.killed.append(child.pid)
                return True
        return False  # all were between two units; the next will do


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in OUTPUTS
        for path in folder.glob(pattern)
    }


@pytest.fixture(scope="module")
def one_thread():
    """Workers compute with as many threads as this process does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_folder, tiny_writer, one_thread) -> SmallRun:
    """A config of five units of writing and some of reading, run in this process."""
    folder = tmp_path_factory.mktemp("cluster")
    values = small_runs.small_settings(
        tiny_folder("gpt2"),
        folder / "local",
        writer={"name": str(tiny_writer)},
        generation={"batch_size": 4},
        activation={"shard_size": 4, "batch_tokens": 256},
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "local")
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return made


@pytest.fixture(scope="module")
def ray_here(one_thread):
    """Ray is started by the first test that wants it and ended after the last."""
    yield
    disconnect()
    assert not ray_processes()


@pytest.fixture(scope="module")
def killed(made, ray_here, tmp_path_factory) -> tuple[Path, Killer]:
    """The same run on Ray; in writing and in reading a worker is killed at work."""
    folder = tmp_path_factory.mktemp("on-ray")
    killer = Killer(stages=2)
    made.stage("generate-neutral", output_dir=str(folder))
    for name in STAGES:
        assert made.stage(name, killer, output_dir=str(folder), **RAY)
    return folder, killer


def test_an_address_where_nobody_answers_is_told_at_once(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = ComputeSettings(engine="ray", address=address)
        knock = workers_module._knock

        def knock_alone(address):
            monkeypatch.setattr(sys.modules["ray"], "init", None)  # it would try for minutes
            knock(address)

        monkeypatch.setattr(workers_module, "_knock", knock_alone)
        with (
            pytest.raises(ClusterError, match=f"could not reach Ray at {address}.*compute.address"),
            workers(settings, Counting, Counting),
        ):
            pass


class TestRay:
    def test_workers_were_killed_in_the_middle(self, killed):
        _, killer = killed
        assert len(killer.killed) == 2
        assert not any(psutil.pid_exists(process) for process in killer.killed)

    def test_every_file_is_the_same_to_the_byte(self, made, killed):
        folder, _ = killed
        local, on_ray = files_of(made.folder), files_of(folder)
        assert len(local) > 12
        assert set(on_ray) == set(local)
        assert [name for name in local if local[name] != on_ray[name]] == []

    def test_a_finished_stage_is_complete_wherever_it_was_computed(self, made, killed):
        folder, _ = killed
        assert not made.stage("generate-stories", output_dir=str(folder))

    def test_an_error_of_a_worker_is_the_error_of_the_run(self, made, ray_here, tmp_path):
        with pytest.raises(Exception, match="could not load model 'no/such/model'") as caught:
            made.stage(
                "generate-stories",
                output_dir=str(tmp_path),
                writer__name="no/such/model",
                compute__engine="ray",
            )
        assert type(caught.value).__name__ == "ModelError"
        assert not (tmp_path / "stories").exists()

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"workers": 1000}, "1000 with 1 CPU each want 1000"),
            ({"gpus_per_worker": 64.0}, "1 with 64 GPU each want 64"),
        ],
    )
    def test_more_than_there_is_is_refused_before_any_work(self, ray_here, wanted, said):
        settings = ComputeSettings(engine="ray", **wanted)
        with pytest.raises(InvalidInput, match=said), workers(settings, Counting, Counting):
            pass


@pytest.fixture(scope="module")
def standing(one_thread) -> Iterator[tuple[str, psutil.Process]]:
    """A Ray that was started by hand: its address, and the process that holds it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ray = Path(sys.executable).with_name("ray")
    words = [str(ray), "start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"]
    words += ["--node-ip-address=127.0.0.1", f"--port={address.split(':')[1]}"]
    head = subprocess.Popen(words, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})
    process = psutil.Process(head.pid)
    try:
        yield address, process
    finally:
        below = process.children(recursive=True)
        head.terminate()
        _, alive = psutil.wait_procs([process, *below], timeout=30)
        for left in alive:
            left.kill()
        head.wait()


def at_work(head: psutil.Process) -> list[psutil.Process]:
    """Processes of a cluster that hold a worker of a run."""
    busy = []
    for child in head.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "_Worker" in " ".join(child.cmdline()):
                busy.append(child)
    return busy


class TestStandingCluster:
    def test_a_run_that_is_lost_leaves_the_cluster_and_goes_on_there(
        self, standing, tiny_folder, tmp_path
    ):
        address, head = standing
        emotions, topics = [f"mood {n}" for n in range(8)], [f"topic {n}" for n in range(6)]
        values = small_runs.small_settings(
            tiny_folder("gpt2"),
            tmp_path / "local",
            corpus=small_runs.write_corpus(tmp_path, emotions, topics),
            generation={"emotions_subset": None},
            activation={"shard_size": 1, "batch_tokens": 256},
        )
        made = SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "local")
        made.stages("generate-stories", "generate-neutral", "extract-activations")
        there = tmp_path / "there"
        made.stages("generate-stories", "generate-neutral", output_dir=str(there))
        words = [sys.executable, "-m", "probes.run", made.config, "extract-activations", "--quiet"]
        words += ["--compute.engine=ray", f"--compute.address={address}"]
        driver = subprocess.Popen([*words, f"--output_dir={there}"], cwd=ROOT)
        deadline = time.monotonic() + 240
        while not list(there.glob("activations/*.safetensors")) and time.monotonic() < deadline:
            assert driver.poll() is None
            time.sleep(0.01)
        driver.kill()
        driver.wait()
        shards = files_of(there).keys() & files_of(made.folder).keys()
        n_done = len([name for name in shards if name.endswith(".safetensors")])
        assert 0 < n_done < 48
        while at_work(head) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not at_work(head)  # the lost run's workers went with it
        assert head.is_running()
        done = subprocess.run([*words, f"--output_dir={there}"], cwd=ROOT, timeout=400)
        assert done.returncode == 0
        assert head.is_running()
        local, on_ray = files_of(made.folder), files_of(there)
        assert set(on_ray) == set(local)
        assert [name for name in local if local[name] != on_ray[name]] == []


class TestMachines:
    class Actor:
        """What a worker's actor answers, without a Ray."""

        def __init__(self, kind: str) -> None:
            self.machine = self
            self._kind = kind

        def remote(self) -> str:
            return self._kind

    def test_workers_that_round_differently_are_said(self, monkeypatch):
        ray = pytest.importorskip("ray")
        monkeypatch.setattr(ray, "get", lambda answers: answers)
        alike = [self.Actor("torch 2, AVX2"), self.Actor("torch 2, AVX2")]
        assert RayWorkers(alike).notes() == []
        [note] = RayWorkers([*alike, self.Actor("torch 2, AVX512")]).notes()
        assert "2 kinds of machines (torch 2, AVX2; torch 2, AVX512)" in note


class Counting:
    """A job for units that are numbers."""

    def about(self):
        return {"name": "counting"}

    def do(self, unit, advance):
        time.sleep(unit.seconds)
        if unit.fails:
            raise InvalidInput("this unit fails")
        advance(unit.n_texts)
        return unit.n_texts * 10


class Number:
    def __init__(self, n_texts: int, seconds: float = 0.0, fails: bool = False) -> None:
        self.n_texts, self.seconds, self.fails = n_texts, seconds, fails


class TestHere:
    def test_units_come_in_order_with_their_results(self):
        units = [Number(3), Number(1), Number(2)]
        advanced: list[int] = []
        done = list(LocalWorkers(Counting()).map(units, advanced.append))
        assert done == [(units[0], 30), (units[1], 10), (units[2], 20)]
        assert advanced == [3, 1, 2]


class TestThreads:
    def test_every_unit_is_done_once_the_quick_ones_first(self):
        units = [Number(1, 0.3), *[Number(n, 0.01) for n in range(2, 8)]]
        advanced: list[int] = []
        done = list(ThreadWorkers(Counting(), 2).map(units, advanced.append))
        assert sorted(result for _, result in done) == [10, 20, 30, 40, 50, 60, 70]
        assert done[-1] == (units[0], 10)
        assert sorted(advanced) == [1, 2, 3, 4, 5, 6, 7]

    def test_an_error_stops_the_rest(self):
        units = iter([Number(1), Number(2, fails=True), *[Number(3, 0.02) for _ in range(50)]])
        with pytest.raises(InvalidInput, match="this unit fails"):
            list(ThreadWorkers(Counting(), 2).map(units, lambda _count: None))
        assert len(list(units)) > 40  # nobody took them


class TestWithoutRay:
    def test_the_way_to_install_it_is_said(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", None)  # as an import that fails
        settings = ComputeSettings(engine="ray")
        with (
            pytest.raises(ClusterError, match=r"pip install 'emotion-lens\[ray\]'"),
            workers(settings, Counting, Counting),
        ):
            pass

    def test_local_work_never_imports_it(self):
        code = (
            "import sys, probes.stages.write_texts, probes.stages.extract_activations;"
            "sys.exit('ray' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
