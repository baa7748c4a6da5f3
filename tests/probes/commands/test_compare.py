"""`emotion-probes compare` on saved vectors whose likeness is known."""

import json
from dataclasses import replace

import pytest
import torch

from probes.run import main
from probes.vectors.emotion_vectors import EmotionVectors, Provenance

EMOTIONS = [f"emotion {n}" for n in range(10)]


def bundle(seed=0, d_model=24, emotions=EMOTIONS, **about):
    draws = torch.Generator().manual_seed(seed)
    vectors = torch.randn(2, len(emotions), d_model, generator=draws)
    provenance = Provenance(
        emotions=emotions,
        layers=[0, 1],
        model="tiny",
        revision=None,
        fingerprint="a",
        tokenizer_hash="t",
        dtype="float32",
        quantize=None,
        hook_name="resid_post",
        weight_processing="none",
        backend="huggingface",
        corpus_hash="c",
        config_hash="h",
        token_offset=0,
        n_neutral_components=[0, 0],
        n_stories=[1] * len(emotions),
        target_layer=1,
    )
    return EmotionVectors(
        vectors,
        vectors.clone(),
        torch.zeros(2, d_model),
        torch.ones(2),
        replace(provenance, **about),
    )


@pytest.fixture
def saved(tmp_path):
    """Save bundles as runs of their own; return their folders."""

    def save(*bundles):
        folders = [tmp_path / f"run{n}" for n in range(len(bundles))]
        for folder, one in zip(folders, bundles, strict=True):
            one.save(folder / "vectors")
        return [str(folder) for folder in folders]

    return save


def test_another_writer_of_the_same_subject_is_compared_by_direction_too(saved, capsys, tmp_path):
    first = bundle()
    noise = 0.3 * torch.randn(2, 10, 24, generator=torch.Generator().manual_seed(9))
    second = replace(bundle(corpus_hash="d"), vectors=first.vectors + noise)
    words = ["--json", "--resamples=100", f"--output={tmp_path / 'cmp'}"]
    assert main(["compare", *saved(first, second), *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    [pair] = printed["pairs"]
    assert pair["what_differs"] == "same subject, different texts"
    assert pair["measures"]["rsa"]["p"] == pytest.approx(1 / 101)
    assert pair["measures"]["mean_cosine"]["value"] > 0.9
    assert set(pair["cosines"]) == set(EMOTIONS)
    assert pair["notices"] == []
    stored = json.loads((tmp_path / "cmp" / "comparison.json").read_text())
    assert stored["pairs"] == printed["pairs"]
    assert (tmp_path / "cmp" / "layers_1.png").stat().st_size > 10_000


def test_three_runs_make_three_pairs_and_it_is_said_when_cosines_mean_nothing(saved, capsys):
    runs = saved(
        bundle(), bundle(1, fingerprint="b"), bundle(2, d_model=30, emotions=EMOTIONS[1:] + ["x"])
    )
    assert main(["compare", *runs, "--json", "--resamples=50"]) == 0
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert len(pairs) == 3
    assert "trained from the other" in pairs[0]["notices"][0]
    assert pairs[1]["emotions"] == EMOTIONS[1:]
    assert pairs[1]["cosines"] is None
    assert "24 and 30 dimensions" in pairs[1]["notices"][0]


def test_a_person_reads_a_table_with_interval_and_null(saved, capsys):
    assert main(["compare", *saved(bundle(), bundle(1)), "--resamples=50"]) == 0
    table = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "RSA (Spearman of cosines)" in table
    assert "permuted emotions: mean" in table


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["RUN0"], 2, "at least two runs"),
        (["RUN0", "RUN1", "--resamples=3"], 2, "--resamples: expected 20 or more, got '3'"),
        (["RUN0", "RUN1", "--emotions=joy"], 2, "'joy' is not in both"),
        (["RUN0", "RUN1", "--layer=7"], 2, "no vectors at layer 7"),
        (["RUN0", "RUN1", "--emotions=emotion 1,emotion 2"], 2, "at least 8 shared"),
        (["RUN0", "nowhere"], 2, "'nowhere' not found"),
    ],
)
def test_wrong_words_are_refused(saved, capsys, words, code, message):
    folders = saved(bundle(), bundle(1))
    spelled = [folders[int(word[3:])] if word.startswith("RUN") else word for word in words]
    assert main(["compare", *spelled]) == code
    assert message in " ".join(capsys.readouterr().err.split())
