"""Dialogues: every combination is there once, and no text names what is felt in it."""

import csv
import re
from collections import Counter, defaultdict
from importlib.resources import files
from itertools import pairwise

import pytest

from probes.stimuli import (
    crossed_dialogues,
    deflected_dialogues,
    emotions,
    leaks,
    named_emotions,
)
from probes.stimuli.dialogues import Script

CROSSED, DEFLECTED = crossed_dialogues(), deflected_dialogues()
CORPORA = files("probes.stimuli") / "corpora"


def page(corpus):
    return " ".join((CORPORA / corpus / "README.md").read_text("utf-8").split())


def test_both_emotions_are_crossed_with_each_other_and_with_settings():
    pairs = Counter((it.a, it.b) for it in CROSSED)
    assert len(pairs) == len(CROSSED) == 144
    for role in ("a", "b"):
        assert len({(it.setting, getattr(it, role)) for it in CROSSED}) == 144


def test_the_setting_says_which_emotion_goes_with_which():
    order = list(dict.fromkeys(it.setting for it in CROSSED))
    listed = "excited proud grateful relaxed hopeful surprised angry terrified sad bored lonely"
    number = {name: n for n, name in enumerate([*listed.split(), "embarrassed"])}
    for it in CROSSED:
        assert (number[it.a] + number[it.b]) % 12 == order.index(it.setting)


def test_each_emotion_is_hidden_once_in_a_setting_and_twice_behind_each_other_one():
    cells = Counter((it.setting, it.felt) for it in DEFLECTED)
    assert len(cells) == len(DEFLECTED) == 96
    behind = Counter((it.felt, it.shown) for it in DEFLECTED)
    assert len(behind) == 12 * 4 and set(behind.values()) == {2}
    shown = Counter((it.setting, it.shown) for it in DEFLECTED)
    assert len(shown) == 8 * 4 and set(shown.values()) == {3}


@pytest.mark.parametrize("corpus", [CROSSED, DEFLECTED], ids=["speakers", "deflection"])
def test_every_setting_has_two_names_of_its_own(corpus):
    names = {(it.setting, it.names) for it in corpus}
    assert len(names) == len({it.setting for it in corpus})
    assert all(one != other for _, (one, other) in names)


@pytest.mark.parametrize("corpus", [CROSSED, DEFLECTED], ids=["speakers", "deflection"])
def test_turns_have_their_length_and_are_no_one_elses(corpus):
    for it in corpus:
        assert len(it.turns) == 6
        lengths = [len(turn.split()) for turn in it.turns]
        assert min(lengths) >= 16 and max(lengths) <= 32, lengths
    turns = [turn for it in corpus for turn in it.turns]
    assert len(set(turns)) == len(turns)
    assert not [turn for turn in turns if re.match(r"\w+:", turn) or "\n" in turn]


def test_setups_have_their_length():
    lengths = [len(it.setup.split()) for it in DEFLECTED]
    assert min(lengths) >= 35 and max(lengths) <= 50
    assert len({it.setup for it in DEFLECTED}) == 96


def test_no_dialogue_names_an_emotion():
    for it in CROSSED:
        assert {it.a, it.b} <= set(emotions())
        text = " ".join(it.turns)
        assert named_emotions(text) == []
        assert [leak for emotion in {it.a, it.b} for leak in leaks(text, emotion)] == []
    for it in DEFLECTED:
        assert {it.felt, it.shown} <= set(emotions())
        text = " ".join([it.setup, *it.turns])
        assert named_emotions(text) == []
        assert [leak for emotion in (it.felt, it.shown) for leak in leaks(text, emotion)] == []


@pytest.mark.parametrize("corpus", [CROSSED, DEFLECTED], ids=["speakers", "deflection"])
def test_no_five_words_in_a_row_are_in_more_than_three_dialogues(corpus):
    owners = defaultdict(set)
    for number, it in enumerate(corpus):
        for text in (*it.turns, getattr(it, "setup", "")):
            words = re.findall(r"[\w']+", text.lower())
            for start in range(len(words) - 4):
                owners[tuple(words[start : start + 5])].add(number)
    assert [" ".join(words) for words, of in owners.items() if len(of) > 3] == []


@pytest.mark.parametrize(
    ("script", "speakers", "turns"),
    [
        (CROSSED[5].script, CROSSED[5].names, CROSSED[5].turns),
        (DEFLECTED[7].script, DEFLECTED[7].names[::-1], DEFLECTED[7].turns),
        (DEFLECTED[7].without_setup, DEFLECTED[7].names[::-1], DEFLECTED[7].turns),
    ],
    ids=["crossed", "deflected", "without setup"],
)
def test_a_script_is_a_line_for_each_turn_and_knows_where_its_words_stand(script, speakers, turns):
    lines = script.text.split("\n")[-6:]
    assert lines == [f"{speakers[n % 2]}: {turn}" for n, turn in enumerate(turns)]
    assert [script.text[start:stop] for start, stop in script.turns] == list(turns)
    assert all(stop < start for (_, stop), (start, _) in pairwise(script.turns))


def test_a_setup_stands_before_the_turns_with_an_empty_line_between():
    it = DEFLECTED[0]
    assert it.script.text == f"{it.setup}\n\n{it.without_setup.text}"


def test_a_script_of_three_people_goes_round():
    assert Script.of(["A", "B", "C"], ["x"] * 4).text == "A: x\nB: x\nC: x\nA: x"


@pytest.mark.parametrize("corpus", [CROSSED, DEFLECTED], ids=["speakers", "deflection"])
def test_the_page_says_what_is_there(corpus):
    text = page("speakers" if corpus is CROSSED else "deflection")
    words = [len(turn.split()) for it in corpus for turn in it.turns]
    assert f"{len(corpus)} dialogues" in text
    assert f"{min(words)} to {max(words)} words, {sum(words) / len(words):.1f} on average" in text
    for it in corpus:
        assert it.setting in text


def test_blind_readers_named_each_speakers_emotion_first():
    text = (CORPORA / "speakers" / "blind_readings.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    read = {(row["a"], row["b"], row["speaker"]) for row in rows}
    assert len(read) == len(rows) == 2 * len(CROSSED)
    right = sum(row[row["speaker"].lower()] == row["first"] for row in rows)
    assert f"| {right} of {len(rows)} |" in page("speakers")
