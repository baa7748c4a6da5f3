"""Files of scores: one row for a text, its turns and its tokens, written as they come."""

import csv
import tracemalloc

import pyarrow.parquet
import pytest
import torch

from probes.commands import score_files
from probes.commands.score_files import Given, Shown, open_sink, rows
from probes.texts.dialogue import Turn
from probes.texts.scoring import Scores

SHOWN = Shown(["sad", "role"], [1, 0])


@pytest.fixture
def chat():
    """Two turns of one token each, the second with a comma, quotes and a line feed."""
    turns = (Turn("assistant", "<think>eh</think>Hm."), Turn("door", 'a, "b"\n'))
    given = Given("chat", turns=turns)
    tokens = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    scores = Scores(
        'Hm.a, "b"\n',
        [(0, 3), (3, 10)],
        tokens.mean(0),
        torch.zeros(2),
        tokens,
        tokens,
        [(0, 1), (1, 2)],
    )
    return given, scores


def test_a_text_its_turns_and_its_tokens_are_rows_in_that_order(chat):
    table = rows(*chat, SHOWN)
    assert [row["level"] for row in table] == ["text", "turn", "turn", "token", "token"]
    assert [row["turn"] for row in table] == [None, 0, 1, 0, 1]
    assert [row["content"] for row in table[1:3]] == ["Hm.", 'a, "b"\n']
    assert [row["position"] for row in table] == [None, None, None, 0, 1]
    assert table[4]["sad"] == pytest.approx(0.4)
    assert table[4]["emotion_role"] == pytest.approx(0.3)  # a column named role is there already
    assert table[4]["role"] == "door"


def test_both_tables_hold_the_same(chat, tmp_path):
    for kind in ("csv", "parquet"):
        with open_sink(tmp_path / f"out.{kind}", SHOWN, "") as sink:
            sink.take(*chat)
    stored = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    with (tmp_path / "out.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    expected = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in stored
    ]
    assert table == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_grows_on_the_disk_and_not_in_memory(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(score_files, "_ROWS_AT_ONCE", 1000)
    scores = Scores(
        text="a b " * 100,
        pieces=[(2 * n, 2 * n + 2) for n in range(200)],
        whole=torch.rand(2),
        z=torch.zeros(2),
        tokens=torch.rand(200, 2),
        parts=torch.zeros(0, 2),
        spans=[],
    )
    peaks = []
    for n_texts in (1, 15, 150):  # the first for what is imported
        tracemalloc.start()
        with open_sink(tmp_path / f"{n_texts}.{kind}", Shown(["sad", "angry"], [0, 1]), "") as sink:
            for number in range(n_texts):
                sink.take(Given(f"line {number}"), scores)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Ten times the texts; a garbage collection that comes late, or another thread, may double it.
    assert peaks[2] < 3 * peaks[1]
    sizes = [(tmp_path / f"{n}.{kind}").stat().st_size for n in (15, 150)]
    assert sizes[1] > 2 * sizes[0]
