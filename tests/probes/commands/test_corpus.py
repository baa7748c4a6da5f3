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


TOPICS = ("a key", "a map", "a bus")
LOOSE = ["--signature=1", "--alike=1", "--repeats=9"]


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
    assert "limits are passed" in result["error"]


def with_parts(own, tmp_path):
    """The corpus between openings and closings, frames that say its emotions, and neutral texts."""
    rows = [json.loads(line) for line in own.read_text().splitlines()]
    parts = {topic: {"opening": f"It was {topic}.", "closing": "A bus left."} for topic in TOPICS}
    said = [
        {"emotion": emotion, "topic": frame, "opening": opening, "text": emotion, "closing": "."}
        for emotion in ("angry", "happy", "sad")
        for frame, opening in (("1", "I noticed that I am"), ("2", "Dear diary, today I was"))
    ]
    zeros = [
        {"topic": topic, **parts[topic], "text": f"Notes on {topic}, sorted by date."}
        for topic in TOPICS
    ]
    files = {
        "own": [{**row, **parts[row["topic"]]} for row in rows],
        "said": said,
        "neutral": [*zeros, {"topic": "brass", "text": "Keys are cut from brass."}],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    return [
        str(own),
        f"--said={tmp_path / 'said.jsonl'}",
        f"--neutral={tmp_path / 'neutral.jsonl'}",
    ]


def test_parts_frames_and_neutral_texts_are_read_with_the_stories(own, tmp_path, capsys):
    assert main(["corpus", *with_parts(own, tmp_path), *LOOSE, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    described = result["described"]
    assert described["said"] == "6 texts: 2 frames, 3 emotions"
    assert described["neutral"] == "3 zeros on 3 topics, 1 documents"
    assert described["words per opening"] == "4 on average, 4 to 4; 3 topics"
    checks = {check["name"]: check["value"] for check in result["checks"]}
    assert checks["emotions out of balance"] == "0"
    assert checks["neutral: zeros that do not match"] == "0"
    # The frames share no word with the stories: nothing can be learned across.
    assert checks["word counts, said -> shown"] in ("0.0%", "33.3%")
    pairs = [(reading["learned"], reading["read"]) for reading in result["readings"]]
    assert ("said", "voiced") in pairs
    assert len(pairs) == len(set(pairs))


def test_words_that_the_frames_share_with_the_stories_are_too_much(own, tmp_path, capsys):
    words = with_parts(own, tmp_path)
    marks = {"angry": "slammed", "happy": "sang", "sad": "wept"}
    for name in ("own", "said"):
        path = tmp_path / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["text"] = f"{row['text']}, {marks[row['emotion']]}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["corpus", *words, *LOOSE, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    wrong = {check["name"]: check["wrong"] for check in result["checks"] if not check["ok"]}
    assert wrong["word counts, said -> shown"] == ["100.0%"]


def test_our_own_frames_say_the_emotions_of_any_corpus(own, capsys):
    assert main(["corpus", str(own), "--said=reference", *LOOSE, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)["described"]
    assert described["said"] == "72 texts: 24 frames, 3 emotions"


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
    assert "line 10: expected an object with emotion, topic, text" in said
    assert "missing: text" in said


def test_emotions_that_share_no_topic_have_no_accuracy_on_held_out_topics(own, capsys):
    rows = [json.loads(line) for line in own.read_text().splitlines()]
    alone = [{**row, "topic": f"{row['emotion']}, {row['topic']}"} for row in rows]
    own.write_text("".join(json.dumps(row) + "\n" for row in alone))
    main(["corpus", str(own), *LOOSE, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert None not in [reading["learned"] for reading in result["readings"]]
    said = result["described"]["topics that emotions share"]
    assert said == "0 of 9; accuracy on held-out topics is not defined"


def test_tags_in_texts_are_named_by_their_line(own, capsys):
    rows = [json.loads(line) for line in own.read_text().splitlines()]
    rows[1]["text"] += " <br/> #sad"
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["corpus", str(own), *LOOSE, "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    [tagged] = [check for check in checks if check["name"] == "texts with tags"]
    assert tagged["wrong"] == [f"{own}, line 2 (<br/>, #sad)"]
