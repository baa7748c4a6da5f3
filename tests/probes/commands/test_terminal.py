"""Tables that can be read at any width; under --json one object, whatever happens."""

import json
import math

import pytest

from probes.commands.terminal import Terminal, pace


def test_tables_are_the_object_of_a_command_without_a_result(capsys):
    terminal = Terminal(as_json=True)
    terminal.table("numbers", [("n", "3")])
    assert terminal.finish(0) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"exit_code": 0, "tables": {"numbers": {"n": "3"}}}


def test_a_result_takes_the_place_of_the_tables_and_nan_is_null(capsys):
    terminal = Terminal(as_json=True)
    terminal.table("numbers", [("n", "3")])
    terminal.result({"r": math.nan, "interval": (0.1, math.inf)})
    terminal.result({"n": 3})
    terminal.finish(0)
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"exit_code": 0, "r": None, "interval": [0.1, None], "n": 3}


def test_what_libraries_print_goes_to_standard_error(capsys):
    terminal = Terminal(as_json=True)
    with terminal.reserved():
        print("Loading checkpoint")  # noqa: T201 - as a library would
        terminal.error("no such model")
        terminal.finish(1)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"exit_code": 1, "error": "no such model"}
    assert "Loading checkpoint" in printed.err
    assert "no such model" in printed.err


def test_without_json_nothing_is_added(capsys):
    terminal = Terminal()
    terminal.result({"n": 3})
    assert terminal.finish(0) == 0
    assert capsys.readouterr().out == ""


def test_lines_say_rate_and_time_left_and_quiet_says_nothing(capsys):
    with Terminal().task("writing", 10, "texts", done=4) as advance:
        advance(6)
    printed = capsys.readouterr().err
    assert "writing: 10/10 texts" in printed
    assert " texts/s, 0 s left" in printed
    with Terminal(quiet=True).task("writing", 10, "texts") as advance:
        advance(0, 500)
        advance(10)
    assert capsys.readouterr().err == ""


def test_a_long_step_speaks_of_its_tokens_before_a_text_is_done(capsys, monkeypatch):
    now = iter([0.0, 4.0, 11.0, 15.0, 22.0])
    monkeypatch.setattr("probes.commands.terminal.time.monotonic", lambda: next(now))
    with Terminal().task("writing", 10, "texts") as advance:
        for _ in range(3):
            advance(0, 1200)
        advance(5)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "writing, 2,400 tokens: 0/10 texts"
    assert second.startswith("writing, 3,600 tokens: 5/10 texts, 4.4 s per text")


@pytest.mark.parametrize(
    ("per_second", "spelled"),
    [
        (12.34, "12.3 texts/s"),
        (1.0, "1.0 texts/s"),
        (0.4, "2.5 s per text"),
        (0.02, "50 s per text"),
        (1 / 600, "10.0 min per text"),
    ],
)
def test_a_slow_rate_is_told_in_seconds_per_unit(per_second, spelled):
    assert pace(per_second, "texts") == spelled


def test_one_of_several_stories_is_a_story():
    assert pace(0.4, "stories") == "2.5 s per story"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_long_name_leaves_room_for_the_values(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        ("|r| with human valence", "0.95 (PC1, n=24)"),
        ("paper: " + "replications." * 9, "0.7"),
    ]
    Terminal().table("numbers", rows)
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    names, values = ("".join(column).replace(" ", "") for column in zip(*cells, strict=True))
    assert names == "".join(name for name, _ in rows).replace(" ", "")
    assert values == "".join(value for _, value in rows).replace(" ", "")
    assert all(len(line) <= width for line in lines)
