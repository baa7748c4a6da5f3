"""`emotion-probes score`: texts, turns and tokens of one's own, on a tiny finished run."""

import csv
import json

import pyarrow.parquet
import pytest
import torch

from probes.config import load_config
from probes.models import Models
from probes.run import main
from probes.vectors import EmotionVectors

HOSTILE = "Rain </script><script>alert(1)</script> fell on the roof & the door."


def said(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_text_has_the_scores_of_the_python_call(finished, capsys):
    text = "1, 2 and the door closed"
    assert main(["score", finished.config, "--text", text, "--json"]) == 0
    [found] = said(capsys)["texts"]
    vectors = EmotionVectors.load(finished.folder)
    model = Models(load_config(finished.config)).subject()
    expected = vectors.score(model, [text])[0]
    assert list(found["scores"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert "".join(found["tokens"]) == text
    names, tokens = vectors.score_tokens(model, text)
    last = torch.tensor([found["token_scores"][name][-1] for name in vectors.emotions])
    assert torch.allclose(last, tokens[-1], atol=1e-5)
    assert len(names) >= found["n_tokens"]


def test_texts_that_look_like_values_are_taken_letter_by_letter(finished, capsys):
    for text in ("1, 2", "None", "[3]", 'it\'s "so"'):
        assert main(["score", finished.config, f"--text={text}", "--json"]) == 0
        assert "".join(said(capsys)["texts"][0]["tokens"]) == text


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


def test_turns_of_a_chat_are_scored_in_context(finished, tmp_path, capsys):
    chat = [
        {"role": "user", "content": "The letter lay on the floor."},
        {"role": "assistant", "content": "She read it twice."},
        {"role": "user", "content": ""},
    ]
    file = tmp_path / "chat.json"
    file.write_text(json.dumps({"messages": chat}))
    assert main(["score", finished.config, f"--transcript={file}", "--json"]) == 0
    [found] = said(capsys)["texts"]
    assert [turn["role"] for turn in found["turns"]] == ["user", "assistant", "user"]
    assert found["turns"][2]["n_tokens"] == 0
    assert set(found["turns"][2]["scores"].values()) == {None}
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(chat[1:2]))
    assert main(["score", finished.config, f"--transcript={alone}", "--json"]) == 0
    [without] = said(capsys)["texts"]
    assert without["turns"][0]["scores"] != found["turns"][1]["scores"]


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
    assert "http" not in page
