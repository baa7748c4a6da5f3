"""`emotion-probes sweep`: the highest passages of a file, in flat memory, resumable."""

import json
import tracemalloc

import pytest
import small_runs

from probes.commands import sweep
from probes.run import main


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [
        {"id": f"doc {n}", "text": " ".join(small_runs.SENTENCES[n % 20 : n % 20 + 4])}
        for n in range(50)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


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
    lines = (finished.folder / "sweep" / "corpus" / "passages.jsonl").read_text().splitlines()
    assert len(lines) == 9
    row = json.loads(lines[0])
    assert row["rank"] == 1
    assert "".join(row["tokens"]) == row["text"]
    assert not (finished.folder / "sweep" / "corpus" / "unfinished.json").exists()


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
    whole = tmp_path / "whole" / "passages.jsonl"
    assert (parts / "passages.jsonl").read_text() == whole.read_text()


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
