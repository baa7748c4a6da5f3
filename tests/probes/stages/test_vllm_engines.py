"""A run whose texts vLLM reads or writes makes what ours makes, however it is interrupted."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pages
import psutil
import pytest
import torch
from small_runs import (
    SENTENCES,
    SmallRun,
    save_tiny_writer,
    small_settings,
    write_config,
    write_corpus,
)

from hooks.errors import DataError, StaleArtifact
from probes.corpus.cells import read_cell
from probes.runs.workers import disconnect
from probes.vectors.activations import INDEX, load_shards

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]
PYTHON = pages.ROOT / ".venv-vllm" / "bin" / "python"


@pytest.fixture(scope="module")
def subject(tiny_folder) -> Path:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-vllm: `make vllm` builds one")
    return tiny_folder("llama for vllm")


def small_run(folder: Path, subject: Path, **sections) -> SmallRun:
    folder.mkdir(exist_ok=True)
    values = small_settings(
        subject,
        folder / "out",
        corpus=write_corpus(folder, per_cell=6),
        activation={"engine": "vllm", "token_offset": 3, "shard_size": 8},
        vllm={"python": str(PYTHON)},
        **sections,
    )
    run = SmallRun(write_config(folder / "run.yaml", values), folder / "out")
    run.stages("generate-stories", "generate-neutral")
    return run


def shards_of(run: SmallRun) -> dict[str, torch.Tensor]:
    index = json.loads((run.folder / INDEX).read_text(encoding="utf-8"))
    stories, neutral = (list(load_shards(run.folder, it, index)) for it in ("stories", "neutral"))
    return {
        "stories": torch.cat([shard.mean for shard in stories]),
        "neutral": torch.cat([shard.mean for shard in neutral]),
        "tokens": torch.cat([shard.tokens for shard in neutral]),
    }


@pytest.fixture(scope="module")
def read(tmp_path_factory, subject) -> SmallRun:
    run = small_run(tmp_path_factory.mktemp("vllm"), subject)
    assert run.stage("extract-activations")
    return run


def agree(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in expected.items():
        assert tensor.numel()
        torch.testing.assert_close(got[name], tensor, atol=1e-4, rtol=1e-3)


def test_shards_are_those_of_our_hooks(tmp_path, subject, read):
    local = small_run(tmp_path / "local", subject)
    assert local.stage("extract-activations", activation__engine="local")
    agree(shards_of(read), shards_of(local))
    index = json.loads((read.folder / INDEX).read_text(encoding="utf-8"))
    assert index["backend"].startswith("vllm ")


def test_a_run_begun_with_one_engine_does_not_go_on_with_the_other(read):
    with pytest.raises(StaleArtifact, match="engine"):
        read.stage("extract-activations", activation__engine="local")


def test_a_killed_run_goes_on_and_leaves_no_engine_behind(tmp_path, subject, read):
    run = small_run(tmp_path / "killed", subject)
    command = [sys.executable, "-m", "probes.run", run.config, "extract-activations"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shards = run.folder / "activations"
    while not list(shards.glob("stories-*.safetensors")):
        assert process.poll() is None
        time.sleep(0.05)
    engines = [it.pid for it in psutil.Process(process.pid).children(recursive=True)]
    assert engines
    process.kill()
    process.wait()
    first = sorted(shards.glob("stories-*.safetensors"))[0]
    written = first.stat().st_mtime_ns
    assert run.stage("extract-activations")
    assert first.stat().st_mtime_ns == written
    agree(shards_of(run), shards_of(read))
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in engines):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_two_engines_on_ray_make_the_same_shards(tmp_path, subject, read):
    run = small_run(tmp_path / "two", subject, compute={"engine": "ray", "workers": 2})
    try:
        assert run.stage("extract-activations")
    finally:
        disconnect()
    agree(shards_of(run), shards_of(read))


def test_a_text_that_is_too_long_is_named_before_vllm_starts(tmp_path, subject):
    run = small_run(tmp_path / "long", subject)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"at most 15 tokens, which vLLM reads.*max_model_len"):
        run.stage("extract-activations", vllm__max_model_len=16)
    assert time.monotonic() - begun < 30


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> Path:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-vllm: `make vllm` builds one")
    return save_tiny_writer(
        tmp_path_factory.mktemp("writer"), words=["furious"], kind="llama for vllm"
    )


def writing_run(folder: Path, writer: Path, **generation) -> SmallRun:
    folder.mkdir(exist_ok=True)
    values = small_settings(
        writer,
        folder / "out",
        generation={"engine": "vllm", **generation},
        vllm={"python": str(PYTHON)},
    )
    return SmallRun(write_config(folder / "run.yaml", values), folder / "out")


def contents(made: SmallRun) -> list[dict]:
    run = made.run()
    return [read_cell(run.root, cell) for cell in run.story_cells]


@pytest.fixture(scope="module")
def written(tmp_path_factory, writer) -> SmallRun:
    made = writing_run(tmp_path_factory.mktemp("written"), writer)
    assert made.stage("generate-stories")
    return made


class TestWriting:
    def test_every_cell_has_stories_that_the_filter_keeps(self, written):
        cells = contents(written)
        texts = [text["text"] for content in cells for text in content["texts"]]
        assert len(texts) > 0.9 * sum(content["requested"] for content in cells)
        assert all(any(sentence in text for sentence in SENTENCES) for text in texts)
        assert {content["writer"]["engine"].split()[0] for content in cells} == {"vllm"}
        usage = [content["usage"] for content in cells]
        assert all(one["prompt_tokens"] and one["completion_tokens"] for one in usage)

    def test_a_seed_decides_the_texts_and_another_makes_others(self, tmp_path, writer, written):
        again = writing_run(tmp_path / "again", writer)
        assert again.stage("generate-stories")
        texts = [[text["text"] for text in it["texts"]] for it in contents(again)]
        assert texts == [[text["text"] for text in it["texts"]] for it in contents(written)]
        other = writing_run(tmp_path / "other", writer)
        assert other.stage("generate-stories", seed=1)
        assert texts != [[text["text"] for text in it["texts"]] for it in contents(other)]

    def test_banned_words_are_not_drawn_where_they_are_suppressed(self, tmp_path, writer):
        named = {}
        for when in ("never", "always"):
            made = writing_run(tmp_path / when, writer, suppress_banned=when)
            assert made.stage("generate-stories")
            refused = [one for content in contents(made) for one in content["rejected"]]
            named[when] = sum(bool(one.get("named")) for one in refused)
        assert named["never"] > 0
        assert named["always"] == 0

    def test_a_killed_run_goes_on_to_the_same_texts(self, tmp_path, writer, written):
        made = writing_run(tmp_path / "killed", writer)
        command = [sys.executable, "-m", "probes.run", made.config, "generate-stories"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not list(made.folder.glob("stories/*/*.json")):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert made.stage("generate-stories")
        assert [it["texts"] for it in contents(made)] == [it["texts"] for it in contents(written)]
