"""The reference corpus: cards, topics, frames and endings fit together."""

import csv
import json
import re
from collections import Counter, defaultdict
from importlib.resources import files

import pytest
import yaml

from probes.stimuli import emotions, leaks, named_emotions, paper_clusters

FOLDER = files("probes.stimuli") / "corpora" / "reference"


def read(name):
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


TOPICS, CARDS, SAID = (read(f"{name}.yaml") for name in ("topics", "cards", "said"))


def lines(name):
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


STORIES, NEUTRAL, DIALOGUES = map(
    lines, ("stories.jsonl", "neutral_endings.jsonl", "neutral.jsonl")
)


def test_every_emotion_has_a_card_whose_neighbors_have_one():
    assert list(CARDS) == list(emotions())
    for emotion, card in CARDS.items():
        assert set(card) == {
            *("cause", "target", "certainty", "control", "body", "impulse", "course"),
            *("apart", "inseparable", "triggers"),
        }
        assert list(card["triggers"]) == [topic["id"] for topic in TOPICS]
        assert len({*card["triggers"].values()}) == 16, emotion
        for trigger in card["triggers"].values():
            assert 2 <= len(trigger.split()) <= 9, trigger
            assert not named_emotions(trigger), trigger
        assert len(card["apart"]) >= 2, emotion
        assert {*card["apart"], *card["inseparable"]} <= set(CARDS) - {emotion}
        for twin in card["inseparable"]:
            assert emotion in CARDS[twin]["inseparable"], (emotion, twin)


@pytest.mark.parametrize("n", [4, 8, 12, 16])
def test_the_first_topics_are_balanced_by_themselves(n):
    assert Counter(topic["form"] for topic in TOPICS[:n]) == {"narrated": n // 2, "voiced": n // 2}
    person = Counter(topic["person"] for topic in TOPICS[:n] if topic["form"] == "narrated")
    assert abs(person["first"] - person["third"]) <= n // 8


def test_openings_and_closings_name_no_emotion_and_fill_what_is_skipped():
    for topic in TOPICS:
        assert 45 <= len(topic["opening"].split()) <= 62, topic["id"]
        assert 30 <= len(topic["closing"].split()) <= 48, topic["id"]
        assert named_emotions(topic["opening"] + " " + topic["closing"]) == [], topic["id"]


def test_frames_hold_one_phrase_and_are_balanced():
    frames = SAID["frames"]
    assert Counter(frame["form"] for frame in frames) == {"narrated": 12, "voiced": 12}
    assert len({frame["id"] for frame in frames}) == len(frames) == len(SAID["neutral"]) == 24
    for frame in frames:
        assert len(re.findall(r"\{(feel|be)\}", frame["text"])) == 1
        assert named_emotions(frame["text"].format(feel="", be="")) == []


def test_every_emotion_has_one_ending_in_every_topic():
    cells = [(story["topic"], story["emotion"]) for story in STORIES]
    assert len(cells) == len(set(cells)) == len(TOPICS) * len(CARDS) == 2736
    assert {topic for topic, _ in cells} == {topic["id"] for topic in TOPICS}
    assert {emotion for _, emotion in cells} == set(CARDS)


def test_endings_have_their_length_and_name_no_emotion():
    wrong = {
        (story["topic"], story["emotion"]): problem
        for story in STORIES
        if (problem := _problem(story["ending"], story["emotion"]))
    }
    assert wrong == {}


def _problem(ending, emotion):
    n_words = len(ending.split())
    named = [*leaks(ending, emotion), *named_emotions(ending)]
    return named or (None if 60 <= n_words <= 85 else n_words)


def test_no_five_words_in_a_row_are_in_more_than_two_endings():
    owners = defaultdict(set)
    for story in STORIES:
        words = re.findall(r"[\w']+", story["ending"].lower())
        for start in range(len(words) - 4):
            owners[tuple(words[start : start + 5])].add((story["topic"], story["emotion"]))
    assert [" ".join(words) for words, cells in owners.items() if len(cells) > 2] == []


def test_every_situation_has_twelve_neutral_endings_of_the_same_length():
    numbers = Counter(ending["topic"] for ending in NEUTRAL)
    assert numbers == {topic["id"]: 12 for topic in TOPICS}
    assert len({ending["ending"] for ending in NEUTRAL}) == len(NEUTRAL)
    assert [it for it in NEUTRAL if not 60 <= len(it["ending"].split()) <= 85] == []


def test_neutral_text_names_no_emotion():
    texts = [*(ending["ending"] for ending in NEUTRAL), *(it["text"] for it in DIALOGUES)]
    assert [named for text in texts if (named := named_emotions(text))] == []


def test_dialogues_have_two_speakers_and_a_subject_each():
    assert len({it["topic"] for it in DIALOGUES}) == len(DIALOGUES) == 120
    for dialogue in DIALOGUES:
        speakers = [turn.split(":")[0] for turn in dialogue["text"].split("\n")]
        assert speakers == ["Person", "Assistant"] * (len(speakers) // 2)
        assert len(speakers) >= 4
        assert 110 <= len(dialogue["text"].split()) <= 170


def test_blind_readings_meet_their_targets_and_the_page_says_them():
    text = (FOLDER / "blind_readings.csv").read_text("utf-8")
    readings = list(csv.DictReader(text.splitlines()))
    cells = {(it["topic"], it["emotion"]) for it in readings}
    assert cells == {(story["topic"], story["emotion"]) for story in STORIES}
    cluster = {word: name for name, words in paper_clusters().items() for word in words}
    own = sum(it["first"] == it["emotion"] for it in readings)
    among = sum(
        bool(
            {it["emotion"], *CARDS[it["emotion"]]["inseparable"]}
            & {it["first"], it["second"], it["third"]}
        )
        for it in readings
    )
    same = sum(cluster[it["first"]] == cluster[it["emotion"]] for it in readings)
    shares = [n / len(readings) for n in (own, among, same)]
    assert shares[1] >= 0.75
    assert shares[2] >= 0.85
    page = " ".join((FOLDER / "README.md").read_text("utf-8").split())
    assert f"own word first in {shares[0]:.0%}" in page
    assert f"first three in {shares[1]:.1%}" in page
    assert f"ten first in {shares[2]:.1%}" in page
    changed = sum(it["unchanged_since"] == "no" for it in readings)
    assert f"{changed} endings were changed" in page
