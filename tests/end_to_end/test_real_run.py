"""A small run on real weights: from texts in a file to figures, in one command."""

import io
import json
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import small_runs
import torch

import hooks
from hooks.models.precision import computes_in_bfloat16
from probes import EmotionVectors
from probes.corpus.brought import read_jsonl
from probes.corpus.filtering import judge_dialogue, judge_story
from probes.run import main

DATA = Path(__file__).parents[1] / "data"
CORPUS = {name: str(DATA / f"{name}.jsonl") for name in ("stories", "neutral")}
EMOTIONS = ["happy", "sad", "angry", "terrified"]
SUBJECT = "embedded:gemma-3-270m"
N_LAYERS = 18
FLOP_PER_TOKEN = 18 * 2 * 5.6e6
"""Of all layers: two per weight."""

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    """The run's folder and what it printed."""
    folder = tmp_path_factory.mktemp("real")
    values = {
        "model": {
            "name": SUBJECT,
            "backend": "huggingface",
            "dtype": "float32",
            "device": "cpu",
        },
        "corpus": CORPUS,
        "activation": {"token_offset": 20},
        "analysis": {"n_permutations": 100, "n_bootstrap": 3},
        "logit_lens": {"n_shuffles": 50},
        "validation": {"experiments": ["steering"], "doses": [0.1], "n_random": 2},
        "output_dir": str(folder / "out"),
    }
    config = small_runs.write_config(folder / "c.yaml", values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        with redirect_stdout(io.StringIO()) as printed:
            assert main([config, "--quiet"]) == 0
    return folder / "out", printed.getvalue()


def test_the_texts_of_this_test_pass_the_projects_own_filter():
    rules = {"finished": True, "min_words": 90, "truncation": "reject", "seen": set()}
    for cell, texts in read_jsonl(CORPUS["stories"], "stories").items():
        for text in texts:
            assert judge_story(text.whole, emotion=str(cell.emotion), **rules).rejected is None
    for texts in read_jsonl(CORPUS["neutral"], "neutral").values():
        for text in texts:
            assert judge_dialogue(text.whole, **rules).rejected is None


def test_the_vectors_are_finite_at_every_layer_and_differ(finished):
    vectors = EmotionVectors.load(finished[0])
    assert vectors.emotions == EMOTIONS
    assert vectors.layers == list(range(N_LAYERS))
    assert vectors.provenance.target_layer == 12
    assert vectors.provenance.n_stories == [2, 2, 2, 2]
    assert vectors.vectors.isfinite().all()
    assert vectors.raw.sum(dim=1).abs().max() < 1e-2 * vectors.raw.abs().max()
    cosine = torch.corrcoef(vectors.at(12))
    assert (cosine - torch.eye(4)).max() < 0.9


def test_the_lens_lists_readable_tokens_and_the_table_says_how_often_they_name_the_emotion(
    finished,
):
    folder, printed = finished
    lens = json.loads((folder / "analysis" / "logit_lens.json").read_text())
    assert list(lens["emotions"]) == sorted(EMOTIONS)
    for emotion in lens["emotions"].values():
        assert len(emotion["top"]) == 10
        assert all(token.strip() for token, _ in emotion["top"])
        assert emotion["own_word_rank"] is not None  # these four are single tokens of Gemma's
    assert 0 <= lens["own_word_share"] <= 1
    named = dict(json.loads((folder / "analysis" / "summary.json").read_text())["logit_lens"])
    assert named["own_word_share"] == lens["own_word_share"]
    assert "Steering" in printed


def test_every_figure_is_there_and_not_empty(finished):
    figures = list((finished[0] / "figures").iterdir())
    pictures = [path for path in figures if path.suffix == ".png"]
    assert len(pictures) >= 6
    assert all(path.stat().st_size > 5_000 for path in pictures)
    assert {path.stem for path in figures if path.suffix == ".html"} == {p.stem for p in pictures}


def test_stories_that_were_read_score_highest_on_their_own_emotion(finished):
    """No proof of anything: the vectors were made from these stories."""
    model = hooks.load(SUBJECT, backend="huggingface", dtype="float32", device="cpu")
    vectors = EmotionVectors.load(finished[0])
    cells = read_jsonl(CORPUS["stories"], "stories")
    chosen = [cell for cell in cells if cell.emotion in ("happy", "terrified")][:2]
    scores = vectors.score(model, [cells[cell][0].whole for cell in chosen], token_offset=20)
    best = [EMOTIONS[index] for index in scores.argmax(dim=1).tolist()]
    assert best == [cell.emotion for cell in chosen] == ["happy", "terrified"]


def test_bfloat16_gives_the_vectors_of_float32(finished, tmp_path):
    """Whole stories through the stages, neutral components removed, at the target layer."""
    first = EmotionVectors.load(finished[0])
    if not computes_in_bfloat16(torch.device("cpu")):
        tokens = json.loads((finished[0] / "activations" / "index.json").read_text())
        n_tokens = tokens["stories"]["n_tokens"] + tokens["neutral"]["n_tokens"]
        estimate = n_tokens * FLOP_PER_TOKEN / bfloat16_speed()
        if estimate > 60:
            pytest.skip(f"bfloat16 is emulated on this CPU: {estimate:.0f} s for {n_tokens} tokens")
    stages = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    config = str(finished[0].parent / "c.yaml")
    other = tmp_path / "bfloat16"
    changes = ["--model.dtype=bfloat16", f"--output_dir={other}", "--quiet"]
    assert main([config, *stages, *changes]) == 0
    second = EmotionVectors.load(other)
    assert (first.provenance.dtype, second.provenance.dtype) == ("float32", "bfloat16")
    assert torch.cosine_similarity(first.at(12), second.at(12), dim=1).min() > 0.99
    assert not torch.equal(first.at(12), second.at(12))
    # So vectors made in one are used in the other.
    assert first.provenance.fingerprint == second.provenance.fingerprint


def bfloat16_speed() -> float:
    """Multiply-adds of one matrix product of the model's shape, in FLOP per second."""
    one = torch.ones(14, 640, dtype=torch.bfloat16)
    other = torch.ones(640, 2048, dtype=torch.bfloat16)
    one @ other
    start = time.perf_counter()
    one @ other
    return 2 * 14 * 640 * 2048 / (time.perf_counter() - start)
