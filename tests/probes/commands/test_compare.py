"""`emotion-probes compare` on saved vectors whose likeness is known."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from compared_runs import EMOTIONS, bundle, write_stories

from probes.report import scorecard
from probes.run import main
from probes.storage import write_json

WAYS = ["shown", "said", "both", "shown"]


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
    assert [notice.split(":")[0] for notice in pair["notices"]] == [
        "run0 did not read the stories of run1",
        "run1 did not read the stories of run0",
    ]
    assert pair["stories"] == pair["ways"] == []
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


@pytest.fixture
def compared(saved, capsys, tmp_path):
    """Compare two bundles whose stories follow the vectors given; return table and JSON."""

    def compare(first, second, *stories, words=(), **how):
        runs = saved(first, second)
        for seed, (run, along) in enumerate(zip(runs, stories, strict=True)):
            write_stories(
                Path(run), along, seed=seed, emotions=[first, second][seed].emotions, **how
            )
        words = [*runs, "--resamples=100", f"--output={tmp_path / 'cmp'}", *words]
        assert main(["compare", *words]) == 0
        printed = capsys.readouterr()
        table = " ".join(printed.out.replace("│", " ").split())
        [pair] = json.loads((tmp_path / "cmp" / "comparison.json").read_text())["pairs"]
        return table, pair, " ".join(printed.err.split())

    return compare


def of_two_ways(seed, **about):
    """Return a bundle whose two ways have nothing to do with each other."""
    one = bundle(seed, **about)
    return replace(one, others={"said": bundle(seed + 100).vectors})


def test_one_writers_vectors_are_the_others_and_name_its_stories(compared):
    first = of_two_ways(0)
    second = replace(bundle(corpus_hash="d"), vectors=2 * first.vectors)
    table, pair, _ = compared(first, second, first.vectors, first.vectors)
    assert pair["notices"] == []
    ways = {(each["first"], each["second"]): each for each in pair["ways"]}
    assert list(ways) == [("shown", "shown"), ("said", "shown"), ("both", "shown")]
    same, other = ways["shown", "shown"], ways["said", "shown"]
    assert same["mean_cosine"]["value"] == pytest.approx(1)
    assert same["rsa"]["value"] == pytest.approx(1)
    assert same["cosines"] == pytest.approx(dict.fromkeys(EMOTIONS, 1.0))
    assert abs(other["mean_cosine"]["value"]) < 0.2
    assert other["mean_cosine"]["low"] < 0 < other["mean_cosine"]["high"]
    assert other["mean_cosine"]["value"] == pytest.approx(sum(other["cosines"].values()) / 10)
    read = {(each["vectors_of"], each["way"]): each for each in pair["stories"]}
    assert list(read) == [(f"run{n}", way) for n, way in zip("0001", WAYS, strict=True)]
    for reader in (("run0", "shown"), ("run1", "shown")):
        assert read[reader]["top_1"]["low"] > 0.6
        assert read[reader]["p"] == pytest.approx(1 / 101)
        assert read[reader]["n"] == 120
    assert read["run0", "said"]["top_1"]["value"] < 0.25
    assert "said of run0 beside shown of run1 mean cosine" in table
    assert "stories of run1, by shown of run0" in table
    assert "right of 10 emotions, chance 10.0%; 120 stories on 6 topics" in table


def test_unrelated_vectors_have_cosines_around_zero_and_are_right_by_chance(compared):
    first, second = of_two_ways(0), of_two_ways(1, corpus_hash="d")
    _, pair, _ = compared(first, second, first.vectors, second.vectors)
    assert len(pair["ways"]) == 9
    assert len(pair["stories"]) == 6
    for ways in pair["ways"]:
        assert abs(ways["mean_cosine"]["value"]) < 0.25
        assert abs(ways["rsa"]["value"]) < 0.5
    right = [each["top_1"]["value"] for each in pair["stories"]]
    assert sum(right) / len(right) == pytest.approx(0.1, abs=0.08)


def test_only_emotions_that_both_have_are_told_apart(compared):
    first, second = bundle(), bundle(emotions=EMOTIONS[1:] + ["x"], corpus_hash="d")
    along = first.vectors.roll(-1, dims=1)
    table, pair, _ = compared(first, second, first.vectors, along)
    [forth, _] = pair["stories"]
    assert (forth["n"], forth["n_emotions"], forth["chance"]) == (108, 9, pytest.approx(1 / 9))
    assert forth["top_1"]["value"] > 0.6
    assert "of 9 emotions" in table
    assert pair["ways"] == []


def test_where_stories_cannot_be_read_the_rest_is_compared_and_it_is_said_why(compared):
    first, second = of_two_ways(0), bundle(1, corpus_hash="d")
    _, pair, told = compared(first, second, first.vectors, second.vectors, per_cell=True)
    assert pair["stories"] == []
    assert len(pair["ways"]) == 3
    assert "run0 did not read the stories of run1: activations were kept per cell" in told


def test_an_accuracy_of_an_earlier_version_is_no_obstacle(saved, capsys):
    first, second = bundle(), bundle(corpus_hash="d")
    runs = saved(first, second)
    for seed, run in enumerate(runs):
        write_stories(Path(run), first.vectors, seed=seed)
    write_json(Path(runs[1]) / "analysis" / "held_out_topics.json", {"top_1": 1.0})
    assert main(["compare", *runs, "--json", "--resamples=50"]) == 0
    [pair] = json.loads(capsys.readouterr().out)["pairs"]
    assert len(pair["stories"]) == 2
    assert pair["own_accuracy"] == {"run0": None, "run1": None}
    [notice] = pair["notices"]
    assert notice.startswith("how run1 reads its own stories is not known: ")
    assert "Measure again" in notice


def test_other_models_and_layers_are_not_set_beside_each_other_way_by_way(compared):
    first, second = of_two_ways(0), of_two_ways(0, fingerprint="b", corpus_hash="d")
    _, pair, _ = compared(first, second, first.vectors, second.vectors)
    assert "ways" not in pair
    first, second = of_two_ways(0), of_two_ways(0, target_layer=0, corpus_hash="d")
    _, pair, told = compared(first, second, first.vectors, second.vectors)
    assert "stories" not in pair
    assert "layer 1 with layer 0" in told
    _, pair, _ = compared(first, second, first.vectors, second.vectors, words=["--layer=1"])
    assert pair["stories"][0]["top_1"]["value"] > 0.6


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


def test_validated_runs_stand_side_by_side_beside_the_paper(finished, saved, capsys):
    runs = saved(bundle(), bundle(1))
    for run in runs:
        for kept in ("analysis", "stages"):
            shutil.copytree(finished.folder / kept, Path(run) / kept)
    assert main(["compare", *runs, "--json", "--resamples=50"]) == 0
    lines = json.loads(capsys.readouterr().out)["scorecards"]
    stored = json.loads((finished.folder / "analysis" / "scorecard.json").read_text())["lines"]
    assert lines["run0"] == lines["run1"] == stored
    assert main(["compare", *runs, "--resamples=50"]) == 0
    table = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "beside the paper" in table
    compared = sum(line["verdict"] != scorecard.NOT_COMPARABLE for line in stored)
    assert f"compared {compared} of {len(stored)} {compared} of {len(stored)}" in table
