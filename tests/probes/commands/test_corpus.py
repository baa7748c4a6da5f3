"""``emotion-probes corpus``: a table, JSON, and an exit code that says what is too much."""

import json

import pytest
import small_runs

from probes.run import main


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.jsonl"
    rows = [
        {"emotion": e, "topic": t, "text": small_runs.story_text(e, t, n, 4), "form": f}
        for n, e in enumerate(["angry", "happy", "sad"])
        for t, f in (("a key", "narrated"), ("a map", "narrated"), ("a bus", "voiced"))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


LOOSE = ["--signature=1", "--alike=1", "--repeats=9", "--resamples=20"]


def test_a_corpus_within_its_limits_ends_with_0(own, capsys):
    assert main(["corpus", str(own), *LOOSE]) == 0
    shown = capsys.readouterr().out
    assert "9 of 3 emotions on 3 topics" in shown
    assert "narrated 6, voiced 3" in shown
    assert "learned from" in " ".join(shown.split())


def test_what_passes_a_limit_is_named_and_ends_with_1(own, capsys):
    lines = own.read_text().splitlines()
    row = json.loads(lines[0])
    lines[0] = json.dumps({**row, "text": f"He was furious. {row['text']}"})
    own.write_text("\n".join(lines[:-1]))
    assert main(["corpus", str(own), *LOOSE, "--words=5-20", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    wrong = {check["name"]: check["wrong"] for check in result["checks"] if not check["ok"]}
    assert wrong["cells without a text"] == ["sad / a bus"]
    assert wrong["texts that name an emotion"] == [f"{own}, line 1 (furious)"]
    assert set(wrong) <= {*wrong, "texts of another length"}
    assert "limits are passed" in result["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected one file of JSON lines, or reference"),
        (["no-such.jsonl"], "'no-such.jsonl' not found"),
        (["FILE", "--words=60"], "--words: expected two numbers, as 60-85, got '60'"),
        (["FILE", "--signature=2"], "--signature: expected 1 or less, got '2'"),
    ],
)
def test_wrong_words_are_refused(own, capsys, words, message):
    assert main(["corpus", *[word.replace("FILE", str(own)) for word in words]]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_line_without_a_text_is_named(own, capsys):
    own.write_text(own.read_text() + '{"emotion": "sad", "topic": "x"}\n')
    assert main(["corpus", str(own)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "line 10: expected non-empty strings for emotion, topic, ending or text" in said
