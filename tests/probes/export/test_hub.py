"""A run pushed to a hub and loaded from it, by the real client against a server on this machine.

The client runs in a process of its own: the suite itself is kept offline.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from local_hub import LocalHub

from probes import EmotionVectors, stages
from probes.report import summary
from probes.vectors import hub

ROOT = Path(__file__).parents[3]
PUSH_AND_LOAD = """
import json, sys
from probes.run import main
from probes import EmotionVectors
from hooks.errors import EmotionLensError

run, folder = sys.argv[1:]
codes = [main(["export", run, "--to=hub", "--repo=me/mine", f"--output={folder}"])]
loaded, errors = {}, {}
for uri in ("hf://me/mine", "hf://me/mine@main", "hf://me/other", "hf://me/mine@v2"):
    try:
        vectors = EmotionVectors.load(uri)
        loaded[uri] = [float(vectors.vectors.sum()), vectors.emotions]
    except EmotionLensError as error:
        errors[uri] = f"{type(error).__name__}: {error}"
print("RESULT" + json.dumps({"codes": codes, "loaded": loaded, "errors": errors}))
"""


def python(code: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT,
        env={**kept, "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def local_hub():
    server = LocalHub()
    yield server
    server.shutdown()
    server.server_close()


def test_what_was_pushed_is_what_is_loaded(finished, local_hub, tmp_path, monkeypatch):
    run = finished.run()
    run.write_summary(stages.NAMES)
    summary.write_summary(run)
    home = {"HF_ENDPOINT": local_hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
    (tmp_path / "pushed" / "model").mkdir(parents=True)
    (tmp_path / "pushed" / "model" / "diary.txt").write_text("not for others")
    ran = python(PUSH_AND_LOAD, finished.folder, tmp_path / "pushed", **home)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout.partition("RESULT")[2])
    assert result["codes"] == [0]

    here = EmotionVectors.load(finished.folder)
    expected = [float(here.vectors.sum()), here.emotions]
    assert result["loaded"] == {"hf://me/mine": expected, "hf://me/mine@main": expected}
    assert result["errors"]["hf://me/other"].startswith("DataError: hf://me/other has no")
    assert "Check its name and revision" in result["errors"]["hf://me/mine@v2"]

    model, dataset = (local_hub.files(kind, "me/mine") for kind in ("model", "dataset"))
    assert sorted(model) == [
        "README.md",
        "config.yaml",
        "emotion_vectors.safetensors",
        "pca_scatter.png",
    ]
    assert sorted(dataset) == ["README.md", "neutral.parquet", "stories.parquet"]
    assert all(
        content == (tmp_path / "pushed" / kind / name).read_bytes()
        for kind, files in (("model", model), ("dataset", dataset))
        for name, content in files.items()
    )
    assert [(made["type"], made["visibility"]) for made in local_hub.created] == [
        ("model", "private"),
        ("dataset", "private"),
    ]
    told = " ".join(ran.stderr.split())
    assert 'load them with EmotionVectors.load("hf://me/mine")' in told

    oid = next(iter(local_hub.commits["model", "me/mine"]))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    from_cache = EmotionVectors.load(f"hf://me/mine@{oid}")  # the suite itself is offline
    assert torch.equal(from_cache.vectors, here.vectors)
    with pytest.raises(hub.HubError, match="It is not in the cache; check the network"):
        EmotionVectors.load("hf://me/not-fetched")
