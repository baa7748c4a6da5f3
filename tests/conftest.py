"""Tiny models and finished tiny runs that every test may use, and a network that none may use."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import type_checks

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
type_checks.install()  # before anything imports what is checked

import small_runs  # noqa: E402
import tiny_models  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from hypothesis import settings  # noqa: E402
from small_runs import SmallRun  # noqa: E402

from probes import stages  # noqa: E402

settings.register_profile("suite", deadline=None)  # a first example may load what takes a while
settings.load_profile("suite")

LONGEST = (
    "docs/test_pages.py",
    "probes/runs/test_workers.py",
    "probes/corpus/test_endpoint.py",
    "notebooks/test_notebooks.py",
    "browser/test_report.py",
    "browser/test_app.py",
    "hostile/test_kills.py",
    "probes/commands/test_plan.py",
    "end_to_end",
)
"""Files that take minutes. They begin, so that all processes that share the suite end together.

Each process takes two files at once: the third is short, for the sake of who has the first.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and mark what waits for a long fixture as slow."""
    tests = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(tests).as_posix() if tests in item.path.parents else ""
        return next((n for n, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))

    items.sort(key=place)
    for item in items:
        if "validated" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Look at the shapes of every function's first calls in each test."""
    type_checks.begin_test()


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """One thread for tiny models: on a busy machine a second one makes them many times slower."""
    every = torch.get_num_threads()
    torch.set_num_threads(every if request.node.get_closest_marker("embedded") else 1)
    yield
    torch.set_num_threads(every)


@pytest.fixture(scope="session", autouse=True)
def uv_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File with one line per call of `uv`, found before the real one, so that no test installs.

    TransformerLens may try to install a package while it boots; it asks uv before pip.
    """
    folder = tmp_path_factory.mktemp("bin")
    calls = folder / "calls"
    calls.touch()
    script = folder / "uv"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nexit 1\n', encoding="utf-8")
    script.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return calls


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Callable[..., Any]:
    """``tiny_tokenizer(chat=False, bos="template")``: see `tiny_models.tiny_tokenizer`."""
    return tiny_models.tiny_tokenizer


@pytest.fixture(scope="session")
def tiny_hf_model() -> Callable[..., Any]:
    """``tiny_hf_model(architecture, seed=0)``: a fresh random Hugging Face model in memory."""
    return tiny_models.tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``tiny_folder(architecture, seed=0, chat=False, bos="template")``: a saved tiny model."""
    made: dict[tuple[Any, ...], Path] = {}

    def folder(architecture: str, **settings: Any) -> Path:
        key = (architecture, *sorted(settings.items()))
        if key not in made:
            made[key] = tiny_models.save_tiny_model(
                tmp_path_factory.mktemp("models") / architecture, architecture, **settings
            )
        return made[key]

    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Callable[..., Path]) -> Callable[..., Any]:
    """``tiny_model(architecture, backend="auto", **folder settings)``: a shared `LanguageModel`.

    Float32 on the CPU. Tests share it, so they must leave it as they found it.
    """
    import hooks

    loaded: dict[tuple[Any, ...], Any] = {}

    def load(architecture: str, backend: Any = "auto", **settings: Any) -> Any:
        key = (architecture, backend, *sorted(settings.items()))
        if key not in loaded:
            folder = tiny_folder(architecture, **settings)
            loaded[key] = hooks.load(folder, backend=backend, dtype="float32", device="cpu")
        return loaded[key]

    return load


@pytest.fixture
def unreadable(tmp_path: Path) -> Callable[[str], Path]:
    """``unreadable(name)``: a file that is there and fails when it is read, for root as well."""

    def make(name: str) -> Path:
        failing = Path("/proc/self/mem")  # nothing is mapped where it begins
        if not failing.is_file():
            pytest.skip("this system has no such file")
        path = tmp_path / name
        path.symlink_to(failing)
        return path

    return make


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB, where this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(mount, capture_output=True).returncode == 0:
            yield folder
            subprocess.run(["umount", str(folder)], check=True)
            return
    pytest.skip("mounting a file system is not permitted here")


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """``read_only(folder)``: nothing in the folder can be written, not even by root."""
    mounted = []

    def mount(*words: str) -> None:
        try:
            done = subprocess.run(["mount", *words], capture_output=True).returncode == 0
        except FileNotFoundError:
            done = False
        if not done:
            pytest.skip("mounting a file system is not permitted here")

    def make(folder: Path) -> None:
        mount("--bind", str(folder), str(folder))
        mounted.append(folder)
        mount("-o", "remount,bind,ro", str(folder))

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def validated(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Callable[..., Path]) -> Any:
    """A `SmallRun` of a tiny random model with every experiment done, and UMAP; only look at it.

    Processes that share the suite share it: the first that wants it makes it.
    """
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "validated"
    made = SmallRun(str(folder / "c.yaml"), folder / "out")
    with FileLock(shared / "validated.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _validate(made, tiny_folder("gpt2"))
            (folder / "made").touch()
    return made


def _validate(made: Any, subject: Path) -> None:
    """Run everything in the folder of a config that is yet to be written."""
    folder = Path(made.config).parent
    # Most have a first token of their own in the tiny vocabulary, so that words can be steered to.
    emotions = ["angry", "blissful", "calm", "frustrated", "happy", "lonely", "sad", "terrified"]
    topics = ["a lost key", "a late train", "a new roof", "a letter", "a map"]
    values = small_runs.small_settings(
        subject,
        made.folder,
        corpus=small_runs.write_corpus(folder, emotions, topics),
        generation={"emotions_subset": None},
        # Below the last layer, where what is added to one token still reaches the next.
        model={"target_layer": 2},
        validation={
            "experiments": "all",
            "n_folds": 3,
            "n_permutations": 20,
            "n_refits": 5,
            "n_random": 4,
            "sensitivity_texts": 8,
            "sweep_doses": [0.1, 0.3],
            "sweep_emotions": 2,
            "free_text_emotions": 4,
            "free_text_random": 2,
            "free_text_tokens": 4,
            "preference_pairs": 96,
            "preference_steered_pairs": 2,
        },
    )
    small_runs.write_config(Path(made.config), values)
    made.run().prepare()
    made.stages(*stages.NAMES)


@pytest.fixture(scope="session")
def subject(tiny_folder: Callable[..., Path]) -> Path:
    """A tiny base model to read with."""
    return tiny_folder("gpt2")


@pytest.fixture(scope="session")
def tiny_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model whose stories pass the filter."""
    return small_runs.save_tiny_writer(tmp_path_factory.mktemp("models") / "writer")


@pytest.fixture
def small_run(tmp_path: Path, subject: Path) -> Callable[..., SmallRun]:
    """``small_run(**sections)``: a config in the test's own folder, nothing run yet."""

    def make(**sections: Any) -> SmallRun:
        values = small_runs.small_settings(subject, tmp_path / "out", **sections)
        return SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out")

    return make


@pytest.fixture
def reading_run(small_run: Callable[..., SmallRun], tmp_path: Path) -> Callable[..., SmallRun]:
    """``reading_run(**sections)``: as `small_run`, with texts from files instead of a writer."""

    def make(corpus: dict[str, Any] | None = None, **sections: Any) -> SmallRun:
        own = small_runs.write_corpus(tmp_path, **(corpus or {}))
        generation = {"emotions_subset": None, **sections.pop("generation", {})}
        return small_run(corpus=own, generation=generation, **sections)

    return make


@pytest.fixture(scope="session")
def finished_original(subject: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """All stages of a run on texts from files, done once; copy it, do not touch it."""
    folder = tmp_path_factory.mktemp("finished")
    own = small_runs.write_corpus(folder)
    values = small_runs.small_settings(
        subject, folder / "out", corpus=own, generation={"emotions_subset": None}
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    run = made.run()
    run.prepare()
    made.stages(*stages.NAMES)
    return made


@pytest.fixture
def finished(finished_original: SmallRun, tmp_path: Path) -> SmallRun:
    """A copy of a finished run."""
    shutil.copytree(finished_original.folder, tmp_path / "out")
    values = yaml.safe_load(Path(finished_original.config).read_text())
    config = small_runs.write_config(
        tmp_path / "c.yaml", {**values, "output_dir": str(tmp_path / "out")}
    )
    return SmallRun(config, tmp_path / "out")
