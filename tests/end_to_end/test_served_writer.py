"""A real server with a real model writes the stories: `transformers serve` with SmolLM2."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_runs
from small_runs import SmallRun

from hooks.models import embedded
from probes.corpus.cells import read_cell
from probes.run import main

WRITER = "embedded:smollm2-135m-instruct"

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """Address of the server and the model's name there."""
    folder = tmp_path_factory.mktemp("served") / "smollm2"
    folder.mkdir()
    for path in Path(embedded.folder(WRITER)).iterdir():
        (folder / path.name).symlink_to(path)
    # Without do_sample, this server takes the likeliest token whatever temperature it is sent.
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").unlink()
    content = json.dumps({**settings, "do_sample": True})
    (folder / "generation_config.json").write_text(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    transformers = Path(sys.executable).with_name("transformers")
    words = [str(transformers), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    log = (folder.parent / "log").open("w")
    server = subprocess.Popen(
        [*words, "--device", "cpu"],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, Path(log.name))
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        server.kill()
        server.wait()
        log.close()
        shutil.rmtree(folder)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture
def asking(served, tmp_path) -> SmallRun:
    url, model = served
    values = small_runs.small_settings(
        Path("unused"),
        tmp_path / "out",
        writer={"name": model},
        generation={
            "engine": "openai",
            "base_urls": url,
            "emotions_subset": ["happy", "sad"],
            "topics_subset": ["a lost key", "a late train"],
            "stories_per_topic": 1,
            "max_new_tokens": 32,
            "min_words": 5,
            "max_attempts": 2,
            "batch_size": 2,
        },
        endpoint={"concurrency": 2, "timeout_seconds": 200.0},
    )
    return SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out")


def test_stories_are_written_and_their_tokens_counted(asking, served, capsys):
    assert main([asking.config, "generate-stories"]) == 0
    run = asking.run()
    contents = [read_cell(run.root, cell) for cell in run.story_cells]
    counts = run.record("generate-stories").counts
    stories = [text["text"] for content in contents for text in content["texts"]]
    assert counts["requested"] == 4
    assert len(stories) == len(set(stories)) == counts["accepted"] >= 2
    assert all(len(story.split()) >= 5 for story in stories)
    requests = counts["usage"]["requests"]
    assert requests == len(stories) + counts["rejected"]
    assert 30 * requests < counts["usage"]["prompt_tokens"] < 300 * requests
    assert 5 * requests < counts["usage"]["completion_tokens"] <= 32 * requests
    assert contents[0]["writer"]["served_as"].startswith(served[1])
    assert "requests: about 4, at most 8" in " ".join(capsys.readouterr().err.split())


def test_a_dry_run_asks_once_and_writes_nothing(asking, capsys):
    assert main([asking.config, "generate-stories", "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 stories in 4 cells" in said
    assert "one answer, without rejections" in said
    assert not asking.folder.exists()


def test_a_name_it_does_not_serve_is_an_error(asking, capsys):
    assert main([asking.config, "generate-stories", "--writer.name=gpt-x"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the server refused a request for 'gpt-x'" in said
    assert "Check writer.name" in said
    assert not (asking.folder / "stories").exists()
