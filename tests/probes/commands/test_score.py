"""`emotion-probes score`: texts, turns and tokens of one's own, on a tiny finished run."""

import csv
import json
from dataclasses import replace

import pyarrow.parquet
import pytest
import small_runs
import tiny_models
import torch

from probes.config import load_config
from probes.run import main
from probes.runs.models import Models
from probes.texts.scoring import score_texts
from probes.vectors.emotion_vectors import EmotionVectors

HOSTILE = "Rain </script><script>alert(1)</script> fell on the roof & the door."


def printed(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_text_has_the_scores_of_the_python_call(finished, capsys):
    text = "1, 2 and the door closed"
    assert main(["score", finished.config, "--text", text, "--json"]) == 0
    [scored] = printed(capsys)["texts"]
    vectors = EmotionVectors.load(finished.folder)
    model = Models(load_config(finished.config)).subject()
    expected = vectors.score(model, [text])[0]
    assert list(scored["scores"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert "".join(scored["tokens"]) == text
    names, tokens = vectors.score_tokens(model, text)
    last = torch.tensor([scored["token_scores"][name][-1] for name in vectors.emotions])
    assert torch.allclose(last, tokens[-1], atol=1e-5)
    assert len(names) >= scored["n_tokens"]


def test_a_z_stands_beside_the_cosine_of_a_text_and_of_no_token(finished, tmp_path, capsys):
    text, page = "The kettle whistled.", tmp_path / "page.html"
    words = ["score", finished.config, "--text", text]
    vectors = EmotionVectors.load(finished.folder)
    assert main([*words, f"--output={page}"]) == 0
    of_text, _, of_tokens = capsys.readouterr().out.partition("token by token")
    assert "standard deviations above neutral text" in " ".join(of_text.split())
    assert of_text.count("(z ") == len(vectors.emotions)
    assert "(z " not in of_tokens
    [block] = data_of(page)["blocks"]
    assert len(block["z"]) == len(vectors.emotions)
    replace(vectors, zeros={}).save(finished.folder / "vectors")
    assert main([*words, f"--output={page}"]) == 0
    printed = capsys.readouterr().out
    assert "(z " not in printed
    assert "neutral text" not in " ".join(printed.split())
    assert "z" not in data_of(page)["blocks"][0]


def data_of(page):
    return json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])


def test_texts_that_look_like_values_are_taken_letter_by_letter(finished, capsys):
    for text in ("1, 2", "None", "[3]", 'it\'s "so"'):
        assert main(["score", finished.config, f"--text={text}", "--json"]) == 0
        assert "".join(printed(capsys)["texts"][0]["tokens"]) == text


def test_a_file_becomes_a_table_and_an_empty_text_is_told(finished, tmp_path, capsys):
    rows = [{"id": "a", "text": "The kettle whistled."}, {"text": ""}, "He closed the door."]
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outputs = [tmp_path / f"out.{kind}" for kind in ("csv", "parquet", "html")]
    words = [f"--file={file}", "--emotions=sad,angry", f"--output={','.join(map(str, outputs))}"]
    assert main(["score", finished.config, *words]) == 0
    shown = capsys.readouterr()
    assert "no token to score, so no score: line 2" in " ".join(shown.err.split())
    with outputs[0].open() as lines:
        table = list(csv.DictReader(lines))
    stored = pyarrow.parquet.read_table(outputs[1]).to_pylist()
    assert len(table) == len(stored)
    texts = [row for row in table if row["level"] == "text"]
    assert [row["id"] for row in texts] == ["a", "line 2", "line 3"]
    assert texts[1]["sad"] == "nan"
    assert texts[1]["n_tokens"] == "0"
    tokens = [row["content"] for row in stored if row["level"] == "token" and row["id"] == "a"]
    assert "".join(tokens) == "The kettle whistled."
    assert list(table[0])[-2:] == ["sad", "angry"]


def test_a_text_longer_than_the_model_reads_is_scored_in_stretches(finished, tmp_path, capsys):
    long = " ".join(small_runs.SENTENCES) * 3
    file = tmp_path / "long.jsonl"
    file.write_text(json.dumps(long) + "\n")
    assert main(["score", finished.config, f"--file={file}", "--json"]) == 0
    shown = capsys.readouterr()
    [scored] = json.loads(shown.out)["texts"]
    assert scored["n_tokens"] > tiny_models.N_POSITIONS
    assert "".join(scored["tokens"]) == long
    assert all(len(scores) == scored["n_tokens"] for scores in scored["token_scores"].values())
    assert "read in stretches" in " ".join(shown.err.split())
    short = long[:600]
    assert main(["score", finished.config, f"--text={short}", "--json"]) == 0
    [first] = printed(capsys)["texts"]
    for name, scores in first["token_scores"].items():
        assert scores[:50] == pytest.approx(scored["token_scores"][name][:50], abs=1e-5)


def test_texts_are_read_as_they_are_needed(finished):
    vectors = EmotionVectors.load(finished.folder)
    model = Models(load_config(finished.config)).subject()
    taken = []

    def endless():
        while True:
            taken.append("He closed the door.")
            yield taken[-1], None

    scored = score_texts(vectors, model, endless(), vectors.provenance.target_layer)
    first = [next(scored) for _ in range(3)]
    assert len(taken) < 100
    assert torch.equal(first[0].whole, first[2].whole)


def test_a_damaged_line_leaves_no_half_table(finished, tmp_path, capsys):
    file = tmp_path / "x.jsonl"
    file.write_text('{"text": "He sat down."}\n' * 40 + '{"txt": 1}\n')
    table = tmp_path / "out.csv"
    assert main(["score", finished.config, f"--file={file}", f"--output={table}"]) == 2
    assert "line 41" in " ".join(capsys.readouterr().err.split())
    assert not table.exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".part-")]


def test_turns_of_a_chat_are_scored_in_context(finished, tmp_path, capsys):
    chat = [
        {"role": "user", "content": "The letter lay on the floor."},
        {"role": "assistant", "content": "She read it twice."},
        {"role": "user", "content": ""},
    ]
    file = tmp_path / "chat.json"
    file.write_text(json.dumps({"messages": chat}))
    assert main(["score", finished.config, f"--transcript={file}", "--json"]) == 0
    [scored] = printed(capsys)["texts"]
    assert [turn["role"] for turn in scored["turns"]] == ["user", "assistant", "user"]
    assert scored["turns"][2]["n_tokens"] == 0
    assert set(scored["turns"][2]["scores"].values()) == {None}
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(chat[1:2]))
    assert main(["score", finished.config, f"--transcript={alone}", "--json"]) == 0
    [without] = printed(capsys)["texts"]
    assert without["turns"][0]["scores"] != scored["turns"][1]["scores"]


def test_one_chat_a_line_is_scored_chat_by_chat_and_says_what_it_left_out(
    finished, tmp_path, capsys
):
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    chats = [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "The door."}]}]},
        {
            "id": "sharegpt",
            "conversations": [
                {"from": "human", "value": "The door\u2028closed."},
                {"from": "gpt", "value": "<think>Which one?</think>She read it."},
            ],
        },
        [call, {"role": "tool", "content": "{}"}, {"role": "user", "content": "The lamp."}],
    ]
    file, table = tmp_path / "chats.jsonl", tmp_path / "out.csv"
    file.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    words = [f"--transcript={file}", f"--output={table}"]
    assert main(["score", finished.config, *words, "--json"]) == 0
    scored = printed(capsys)["texts"]
    assert [one["id"] for one in scored] == ["line 1", "sharegpt", "line 3"]
    assert [len(one["turns"]) for one in scored] == [1, 2, 1]
    assert [one["left_out"] for one in scored] == [
        {},
        {"thought": 1},
        {"turn of tool calls": 1, "result of a tool": 1},
    ]
    with table.open(newline="") as rows:
        content = [row["content"] for row in csv.DictReader(rows) if row["level"] == "turn"]
    assert content == ["The door.", "The door\u2028closed.", "She read it.", "The lamp."]
    assert main(["score", finished.config, *words]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "left out: 1 x thought, 1 x turn of tool calls, 1 x result of a tool" in said


def test_a_wrong_chat_is_named_before_the_first_is_read(finished, tmp_path, capsys):
    file = tmp_path / "chats.jsonl"
    good = json.dumps([{"role": "user", "content": "The door."}])
    file.write_text(f"{good}\n\n" + '{"messages": [{"role": "user", "content": 3}]}\n')
    assert main(["score", finished.config, f"--transcript={file}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "line 3, turn 1: expected content as text, null or a list of parts, got 3" in said


def test_a_text_is_what_stands_between_its_quotes(finished, tmp_path, capsys):
    texts = [
        "He\u2028sat.",
        "He\x85sat.",
        "He\x00sat.",
        "He\r\nsat.",
        "He\x1csat.",
        "\ufeffHe sat.",
    ]
    file, table = tmp_path / "x.jsonl", tmp_path / "out.parquet"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    words = [f"--file={file}", f"--output={table},{tmp_path / 'out.csv'},{tmp_path / 'out.html'}"]
    assert main(["score", finished.config, *words, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert ["".join(one["tokens"]) for one in json.loads(line)["texts"]] == texts
    stored = pyarrow.parquet.read_table(table).to_pylist()
    assert [row["content"] for row in stored if row["level"] == "text"] == texts


def test_fields_of_other_names_are_told_with_the_cure(finished, tmp_path, capsys):
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps({"story": "He sat.", "label": "sad"}) + "\n")
    assert main(["score", finished.config, f"--file={file}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "line 1: expected an object with text, got one with story, label" in said
    assert "'. + {text: .NAME}'" in said


def test_a_turn_that_says_a_roles_name_has_the_scores_of_its_own_words(finished, tmp_path, capsys):
    file = tmp_path / "chat.json"
    file.write_text(json.dumps([{"role": "door", "content": "door"}]))
    assert main(["score", finished.config, f"--transcript={file}", "--json"]) == 0
    [scored] = printed(capsys)["texts"]
    [turn] = scored["turns"]
    own = len("".join(scored["tokens"][: -turn["n_tokens"]]))
    assert "".join(scored["tokens"])[own:].strip() == "door"
    assert turn["n_tokens"] < scored["n_tokens"] / 2
    if turn["n_tokens"] == 1:
        last = {name: scores[-1] for name, scores in scored["token_scores"].items()}
        assert turn["scores"] == pytest.approx(last, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected one of --text, --file and --transcript"),
        (["--text=a", "--file=b"], "expected one of"),
        (["--file=none.jsonl"], "'none.jsonl' not found"),
        (["--text=a", "--output=x.docx"], "expected .csv, .parquet, .html"),
        (["--text=a", "--emotions=hapy"], "no vector for 'hapy'"),
        (["--text=a", "--layer=99"], "no vectors at layer 99"),
    ],
)
def test_wrong_words_are_refused(finished, capsys, words, message):
    assert main(["score", finished.config, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_page_holds_the_tokens_and_no_markup_of_the_text(finished, tmp_path):
    page_file = tmp_path / "page.html"
    words = [f"--text={HOSTILE}", f"--output={page_file}", "--quiet"]
    assert main(["score", finished.config, *words]) == 0
    page = page_file.read_text()
    data = page.partition('id="data">')[2].partition("</script>")[0]
    assert "".join(json.loads(data)["blocks"][0]["tokens"]) == HOSTILE
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "://" not in page
