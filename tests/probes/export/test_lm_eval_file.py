"""Vectors for lm-evaluation-harness: the form that it reads, and what it does with them."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from hooks.errors import ModelError
from probes.export import control_vector
from probes.export.lm_eval_file import lm_eval_bytes, model_arguments

TEXT = "The old man sat by the window."
KINDS = ["llama", "gpt2", "gemma3", "gemma4-multimodal"]


def read(content: bytes) -> dict:
    """A file as the harness reads it."""
    return torch.load(io.BytesIO(content), weights_only=True)


@contextlib.contextmanager
def as_the_harness(hf, config: dict) -> Iterator[None]:
    """Hooks on the modules of these names, which add to what each returns (its hf_steered.py)."""

    def adding(info):
        moved = info["steering_coefficient"] * info["steering_vector"]

        def add(_module, _inputs, output):
            return (output[0] + moved, *output[1:]) if isinstance(output, tuple) else output + moved

        return add

    modules = dict(hf.base_model.named_modules())
    with contextlib.ExitStack() as stack:
        for name, info in config.items():
            stack.enter_context(modules[name].register_forward_hook(adding(info)))
        yield


@pytest.mark.parametrize("layers", [[1], [0, 2]])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_what_the_harness_adds_is_our_dose_at_every_token(tiny_model, planted_in, kind, layers):
    model = tiny_model(kind, backend="huggingface")
    vectors = planted_in(model)
    control = control_vector(vectors, "happy", layers=layers, dose=0.3)
    config = read(lm_eval_bytes(control, vectors.provenance))
    ids = torch.tensor([model.encode(TEXT)])
    plain = model.hf(ids).logits
    with as_the_harness(model.hf, config):
        got = model.hf(ids).logits
    with vectors.steer(model, "happy", dose=0.3, layers=layers):
        expected = model.hf(ids).logits
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
    assert (got - plain).abs().max() > 0.05


def test_a_file_has_what_the_harness_looks_up_and_says_what_it_is(vectors):
    control = control_vector(vectors, "sad", layers=[2], dose=0.2)
    content = lm_eval_bytes(control, vectors.provenance)
    [(name, info)] = read(content).items()
    assert name == "layers.2"
    assert (info["action"], info["steering_coefficient"], info["bias"]) == ("add", 1.0, None)
    assert torch.equal(info["steering_vector"], control.tensors[0])
    assert info["description"] == control.description
    assert lm_eval_bytes(control, vectors.provenance) == content


def test_the_model_is_loaded_as_the_run_did(vectors):
    made = replace(vectors.provenance, dtype="bfloat16", revision="abc")
    assert model_arguments(made) == f"pretrained={made.model},revision=abc,dtype=bfloat16"


def test_a_model_that_is_not_there_is_named(vectors, tmp_path):
    gone = replace(vectors.provenance, model=str(tmp_path / "gone"))
    with pytest.raises(ModelError, match="could not read the config of model .*gone"):
        lm_eval_bytes(control_vector(vectors, "sad"), gone)


@pytest.mark.slow
def test_the_harness_itself_reads_the_file_and_steers(tiny_model, planted_in, tmp_path):
    steered = pytest.importorskip("lm_eval.models.hf_steered")
    evaluator = pytest.importorskip("lm_eval.evaluator")
    task_manager = pytest.importorskip("lm_eval.tasks").TaskManager
    model = tiny_model("llama", backend="huggingface")
    vectors = planted_in(model)
    path = tmp_path / "happy.pt"
    control = control_vector(vectors, "happy", layers=[1], dose=0.5)
    path.write_bytes(lm_eval_bytes(control, vectors.provenance))
    settings = {"pretrained": model.name, "dtype": "float32", "device": "cpu"}
    harness = steered.SteeredModel(steer_path=str(path), **settings)
    ids = torch.tensor([model.encode(TEXT)])
    with vectors.steer(model, "happy", dose=0.5, layers=[1]):
        expected = model.hf(ids).logits
    torch.testing.assert_close(harness._model_call(ids), expected, atol=1e-4, rtol=0)
    tasks = task_manager(include_path=str(write_task(tmp_path)))
    done = evaluator.simple_evaluate(harness, tasks=["opposites"], task_manager=tasks)
    assert done["results"]["opposites"]["acc,none"] in (0, 1)  # of one question


def write_task(folder: Path) -> Path:
    """A task of the harness on a file of questions."""
    questions = [{"word": "hot", "right": "cold", "wrong": "warm"}]
    lines = [json.dumps(question) + "\n" for question in questions]
    (folder / "questions.jsonl").write_text("".join(lines))
    task = {
        "task": "opposites",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "questions.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "The opposite of {{word}} is",
        "doc_to_choice": "{{[right, wrong]}}",
        "doc_to_target": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "opposites.yaml").write_text(yaml.safe_dump(task))
    return folder
