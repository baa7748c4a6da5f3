"""`emotion-probes sweep`: the highest passages of a file, in flat memory, resumable."""

import csv
import json
import tracemalloc
from dataclasses import replace

import pytest
import small_runs
import torch

import hooks
from probes.commands import sweep
from probes.run import main
from probes.runs.models import Models
from probes.vectors.emotion_vectors import EmotionVectors


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [
        {"id": f"doc {n}", "text": " ".join(small_runs.SENTENCES[n % 20 : n % 20 + 4])}
        for n in range(50)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def interrupt_the_third_batch(monkeypatch):
    """Save after every batch, and press Ctrl-C in the third; return what is read, by batch."""
    monkeypatch.setattr(sweep, "_SECONDS_BETWEEN_SAVES", -1.0)
    score_texts, calls = sweep.score_texts, []

    def interrupted(vectors, model, texts, layer):
        calls.append(list(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score_texts(vectors, model, calls[-1], layer)

    monkeypatch.setattr(sweep, "score_texts", interrupted)
    return calls


def test_the_highest_passages_are_those_that_score_highest_alone(finished, corpus, capsys):
    words = [f"--file={corpus}", "--top=3", "--window=500", "--json"]
    assert main(["sweep", finished.config, *words]) == 0
    swept = json.loads(capsys.readouterr().out)
    assert (swept["lines"], swept["passages"]) == (50, 50)
    assert main(["score", finished.config, f"--file={corpus}", "--json"]) == 0
    texts = json.loads(capsys.readouterr().out)["texts"]
    for emotion, kept in swept["top"].items():
        highest = sorted({round(text["scores"][emotion], 6) for text in texts}, reverse=True)[:3]
        assert [one["score"] for one in kept] == pytest.approx(highest, abs=1e-5)
        assert len({one["text"] for one in kept}) == 3  # the same text counts once
    [folder] = (finished.folder / "sweep").glob("corpus-*")
    lines = (folder / "passages.jsonl").read_text().splitlines()
    assert len(lines) == 9
    row = json.loads(lines[0])
    assert row["rank"] == 1
    assert "".join(row["tokens"]) == row["text"]
    assert json.loads((folder / "sweep.json").read_text())["lines"] == 50


def passages(folder):
    return list(map(json.loads, (folder / "passages.jsonl").read_text().splitlines()))


def test_a_passage_has_the_z_of_its_score(finished, corpus, capsys, tmp_path):
    out = tmp_path / "swept"
    words = ["sweep", finished.config, f"--file={corpus}", "--top=2", f"--output={out}"]
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "(z: standard deviations above neutral text; words: odds" in shown
    vectors = EmotionVectors.load(finished.folder)
    layer = vectors.provenance.target_layer
    zero, position = vectors.zero, vectors.layer_index(layer)
    for row in passages(out):
        place = vectors.emotions.index(row["emotion"])
        mean, sd = zero.mean[position, place], zero.sd[position, place]
        assert row["z"] == pytest.approx(float((row["score"] - mean) / sd), abs=1e-4)
        assert f"{row['score']:+.2f} (z {row['z']:+.1f}) {row['source']}" in shown
    page = (out / "passages.html").read_text()
    blocks = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["blocks"]
    assert [one["z"] for one in blocks] == [[round(1000 * row["z"])] for row in passages(out)]
    assert main([*words[:-1], f"--output={tmp_path / 'again'}", "--json"]) == 0
    top = json.loads(capsys.readouterr().out)["top"]
    told = [one["z"] for kept in top.values() for one in kept]
    assert told == [row["z"] for row in passages(out)]


def test_words_of_the_emotion_are_counted_where_they_were_planted(finished, capsys, tmp_path):
    """The vector of *sad* points to what texts with its words have, those of others do not."""
    texts = [small_runs.story_text("planted", f"a lost key {n}", n, 2) for n in range(120)]
    said = ["Sadly, sadly, sadly.", "Daily, daily, daily."]
    texts = [f"{text} {said[n % 4 != 0]}" for n, text in enumerate(texts)]
    path = tmp_path / "planted.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    vectors, run = EmotionVectors.load(finished.folder), finished.run()
    layer = vectors.provenance.target_layer
    read = hooks.pooled_resid_post(Models(run.config).subject(), texts, layers=[layer]).mean[:, 0]
    held = torch.arange(len(texts)) % 4 == 0
    planted = vectors.vectors.clone()
    planted[vectors.layer_index(layer), vectors.emotions.index("sad")] = read[held].mean(
        dim=0
    ) - read[~held].mean(dim=0)
    replace(vectors, vectors=planted).save(finished.folder / "vectors")
    out = tmp_path / "out"
    words = ["sweep", finished.config, f"--file={path}", "--top=10", "--window=200"]
    assert main([*words, f"--output={out}", "--json"]) == 0
    printed = capsys.readouterr()
    by_emotion = json.loads(printed.out)["words"]
    sad = by_emotion["sad"]
    assert sad["n"] == 10 and sad["with_word"] >= 9
    assert sad["random_with_word"] < 0.4 * sad["n_random"]
    assert sad["low"] > 1 and sad["q"] < 0.01
    assert all(by_emotion[name]["with_word"] == 0 for name in ("angry", "happy"))
    assert "words enriched for 1 of 3 emotions" in printed.err
    with (out / "words.csv").open() as file:
        rows = {row["emotion"]: row for row in csv.DictReader(file)}
    assert {name: int(row["random_with_word"]) for name, row in rows.items()} == {
        name: it["random_with_word"] for name, it in by_emotion.items()
    }
    assert float(rows["sad"]["p"]) == sad["p"]
    assert rows["happy"]["odds"] == ""
    assert main([*words, f"--output={out}"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "words " in shown and "no words" in shown and "p < .001" in shown


def test_nothing_is_said_of_a_z_where_no_neutral_text_was_read(finished, corpus, capsys, tmp_path):
    without_zeros(finished)
    words = ["sweep", finished.config, f"--file={corpus}", f"--output={tmp_path / 'out'}"]
    assert main(words) == 0
    assert "(z" not in capsys.readouterr().out
    assert all("z" not in row for row in passages(tmp_path / "out"))
    assert '"z' not in (tmp_path / "out" / "passages.html").read_text().partition("<script>")[0]


def without_zeros(finished):
    vectors = EmotionVectors.load(finished.folder)
    replace(vectors, zeros={}).save(finished.folder / "vectors")


def test_a_sweep_begun_before_vectors_had_a_zero_ends_as_one_that_was_not_interrupted(
    finished, corpus, capsys, monkeypatch, tmp_path
):
    bundle = finished.folder / "vectors" / "emotion_vectors.safetensors"
    with_zeros = bundle.read_bytes()
    words = ["sweep", finished.config, f"--file={corpus}", "--top=2", "--window=8"]
    assert main([*words, f"--output={tmp_path / 'whole'}"]) == 0
    without_zeros(finished)
    interrupt_the_third_batch(monkeypatch)
    assert main([*words, f"--output={tmp_path / 'parts'}"]) == 130
    bundle.write_bytes(with_zeros)
    capsys.readouterr()
    assert main([*words, f"--output={tmp_path / 'parts'}"]) == 0
    assert "going on after line 32" in capsys.readouterr().err
    for name in ("passages.jsonl", "passages.html", "words.csv", "sweep.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_killed_sweep_goes_on_and_ends_with_the_same_passages(
    finished, corpus, capsys, monkeypatch, tmp_path
):
    words = ["sweep", finished.config, f"--file={corpus}", "--top=2", "--window=8"]
    assert main([*words, f"--output={tmp_path / 'whole'}"]) == 0
    monkeypatch.setattr(sweep, "_SECONDS_BETWEEN_SAVES", -1.0)
    score_texts, calls = sweep.score_texts, []

    def interrupted(vectors, model, texts, layer):
        batch = list(texts)
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score_texts(vectors, model, batch, layer)

    monkeypatch.setattr(sweep, "score_texts", interrupted)
    parts = tmp_path / "parts"
    assert main([*words, f"--output={parts}"]) == 130
    capsys.readouterr()
    assert main([*words, f"--output={parts}"]) == 0
    assert "going on after line 32" in capsys.readouterr().err
    assert calls == [16, 16, 16, 16, 2]
    for name in ("passages.jsonl", "words.csv"):
        assert (parts / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_batches_of_a_file_are_read_one_at_a_time(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({"text": "x" * 5000}) + "\n" for _ in range(2000)))
    tracemalloc.start()
    batches = sum(1 for _ in sweep._batches(path, 0, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batches == 125
    assert peak < path.stat().st_size / 10


def test_a_damaged_line_is_named(finished, corpus, capsys):
    corpus.write_text(corpus.read_text() + '{"txt": 1}\n')
    assert main(["sweep", finished.config, f"--file={corpus}"]) == 2
    assert "line 51" in " ".join(capsys.readouterr().err.split())


def test_files_of_one_name_and_other_settings_leave_results_of_their_own(finished, corpus):
    other = corpus.parent / "other" / corpus.name
    other.parent.mkdir()
    other.write_text("".join(corpus.read_text().splitlines(keepends=True)[:20]))
    for words in ([f"--file={corpus}"], [f"--file={other}"], [f"--file={corpus}", "--top=2"]):
        assert main(["sweep", finished.config, *words]) == 0
    assert len(list((finished.folder / "sweep").glob("corpus-*/passages.html"))) == 3


def test_the_passages_of_another_sweep_are_not_written_over(finished, corpus, tmp_path, capsys):
    words = ["sweep", finished.config, f"--file={corpus}", f"--output={tmp_path / 'out'}"]
    assert main([*words, "--top=2"]) == 0
    before = (tmp_path / "out" / "passages.jsonl").read_bytes()
    assert main([*words, "--top=3"]) == 2
    assert "swept with other settings" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "out" / "passages.jsonl").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "passages.html").write_text("mine")
    assert main([*words[:3], f"--output={tmp_path / 'mine'}"]) == 2
    assert (tmp_path / "mine" / "passages.html").read_text() == "mine"


def test_a_line_mended_behind_the_place_that_was_reached_does_not_start_over(
    finished, corpus, capsys, monkeypatch, tmp_path
):
    calls = interrupt_the_third_batch(monkeypatch)
    words = ["sweep", finished.config, f"--file={corpus}", f"--output={tmp_path / 'out'}"]
    assert main(words) == 130
    lines = corpus.read_text().splitlines(keepends=True)
    corpus.write_text("".join([*lines[:-1], lines[0]]))
    capsys.readouterr()
    assert main(words) == 0
    assert "going on after line 32" in capsys.readouterr().err
    calls[:] = []
    corpus.write_text("".join([lines[1], *lines[1:]]))
    (tmp_path / "out" / "passages.jsonl").unlink()
    state = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert "offset" not in state
