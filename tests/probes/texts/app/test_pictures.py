"""Tokens in color: every text stays a text, every token says its emotions."""

import dataclasses
from html.parser import HTMLParser

import pytest
import torch

from probes.texts.app import pictures
from probes.texts.app.look import Look
from probes.texts.app.reading import Reading
from probes.texts.dialogue import ASSISTANT, USER, Turn

EMOTIONS = ["sad", "<b>'happy'</b>", '"><img src=x onerror=alert(1)>']


class Spans(HTMLParser):
    """Tags and text of a piece of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(str(source))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    @property
    def tokens(self) -> list[dict[str, str | None]]:
        spans = [values for tag, values in self.tags if tag == "span"]
        return [values for values in spans if "data-score" in values]


def look(tokens, turn, scores, emotion=0, emotions=("sad",)) -> Look:
    return Look(Reading(tokens, turn, torch.tensor(scores)[None]), 0, emotion, list(emotions), "m")


def test_hostile_tokens_and_names_stay_text():
    tokens = ["<script>alert(1)</script>", "&amp;", "\n", '"><b>']
    read = look(tokens, [0] * 4, [[0.1, 0.2, 0.3]] * 4, 1, EMOTIONS)
    spans = Spans(pictures.colored_tokens(read))
    assert {tag for tag, _ in spans.tags} == {"p", "span"}
    assert spans.words.startswith("".join(tokens))
    for token in spans.tokens:
        known = {"class", "tabindex", "data-score", "title", "style", "data-under"}
        assert known - {"data-under"} <= set(token) <= known
        assert "onerror=alert(1)> +0.30" in (token["title"] or "")


def test_a_token_says_itself_its_score_and_its_highest_emotions():
    read = look([" rain"], [0], [[-0.5, 0.25, 0.0]], emotions="abc")
    spans = Spans(pictures.colored_tokens(read))
    assert spans.tokens[0]["title"] == "“rain”  a -0.50; highest: b +0.25, c +0.00, a -0.50"


def test_color_follows_sign_and_strength_and_turns_compare():
    read = look(["a", "b", "c", "mark"], [0, 0, 1, -1], [[0.1], [-0.2], [0.4], [9.0]])
    first = Spans(pictures.colored_tokens(read, turn=0)).tokens
    second = Spans(pictures.colored_tokens(read, turn=1)).tokens
    assert [(token["class"], token["style"]) for token in (*first, *second)] == [
        ("token toward", "--share:0.250"),
        ("token away", "--share:0.500"),
        ("token toward", "--share:1.000"),
    ]


def test_the_key_of_the_colors_says_the_scores_at_its_ends():
    scores = [[0.1, 0.9], [-0.2396, 0.9], [9.0, 9.0]]
    read = look(["a", "b", "mark"], [0, 1, -1], scores, emotions=EMOTIONS[:0:-1])
    key = Spans(pictures.color_key(read))
    assert key.words == f"{EMOTIONS[2]}, cosine -0.24  +0.24"
    assert [tag for tag, _ in key.tags] == ["p", "span"]


def test_one_token_of_a_text_is_a_tab_stop_and_empty_ones_are_left_out():
    read = look(["é", "", "b", "c"], [0] * 4, [[0.1]] * 4)
    tokens = Spans(pictures.colored_tokens(read)).tokens
    assert [token["tabindex"] for token in tokens] == ["0", "-1", "-1"]


def test_under_a_token_stand_its_strongest_emotions_and_its_text_stays_what_it_was():
    read = look(["a", "b\n"], [0, 0], [[0.1, 0.4, 0.2, 0.3], [0.1] * 4], emotions="wxyz")
    spans = Spans(pictures.colored_tokens(read))
    assert spans.tokens[0]["data-under"] == "x\nz\ny"
    assert "data-under" not in spans.tokens[1]  # a line that ends in the middle of a cell
    assert spans.words.startswith("ab\n")


def test_what_no_pass_has_read_has_no_color():
    read = look(["a"], [0], [[0.3]])
    read = dataclasses.replace(read, reading=dataclasses.replace(read.reading, unread=" <b>"))
    spans = Spans(pictures.colored_tokens(read))
    assert len(spans.tokens) == 1
    assert spans.words.startswith("a <b>")


def test_texts_that_are_compared_share_their_colors():
    read = look(["a"], [0], [[0.2]])
    [alone] = Spans(pictures.colored_tokens(read)).tokens
    [beside] = Spans(pictures.colored_tokens(read, largest=0.8)).tokens
    assert (alone["style"], beside["style"]) == ("--share:1.000", "--share:0.250")
    assert Spans(pictures.color_key(read, 0.8)).words == "sad, cosine -0.80  +0.80"


class TestHeatMap:
    READ = look(["a", "", "mark", " b"], [0, 0, -1, 0], [[0.1, -0.4], [9, 9], [9, 9], [0.2, 0.3]])
    READ = dataclasses.replace(READ, emotions=EMOTIONS[1:])

    def test_a_row_is_an_emotion_and_a_column_a_token(self):
        html = Spans(pictures.heat_table(self.READ, [1, 0], 0.4))
        cells = [values for tag, values in html.tags if tag == "td" and "title" in values]
        assert [(cell["class"], cell["style"]) for cell in cells] == [
            ("away", "--share:1.000"),
            ("toward", "--share:0.750"),
            ("toward", "--share:0.250"),
            ("toward", "--share:0.500"),
        ]
        assert cells[1]["title"] == f"“b” {EMOTIONS[2]} +0.30"
        assert html.words == f"ab{EMOTIONS[2]}{EMOTIONS[1]}cosine -0.40  +0.40"
        assert "img" not in {tag for tag, _ in html.tags}

    def test_the_figure_says_the_same(self):
        figure = pictures.heat_map(self.READ, [1, 0])
        assert figure.rows == (EMOTIONS[2], EMOTIONS[1])
        assert figure.columns == ("1  a", "2  b")
        assert figure.values[0] == pytest.approx((-0.4, 0.3))
        assert figure.limits == pytest.approx((-0.4, 0.4))
        assert figure.caption.startswith("Scores are cosines")


VALUES = [[0.1, 0.0, 0.2, 0.0, 0.0, 0.0], [0.1, 0.9, 0.2, 0.2, 0.1, 0.4]]
VALUES += [[0.1, 0.0, 0.5, 0.0, 0.0, 0.0]]
TURNS = [Turn(USER, "a"), Turn(ASSISTANT, "b"), Turn(USER, "c")]
NAMES = ["calm", "sad", "proud", "bored", "kind", "tense"]


def test_curves_of_a_conversation_show_the_selected_emotion_and_what_changes_most():
    read = look(["a", "b", "c"], [0, 1, 2], VALUES, emotions=NAMES)
    figure = pictures.conversation_curves(read, TURNS)
    lines = figure.panels[0].lines
    assert [line.name for line in lines] == ["calm", "sad", "tense", "proud", "bored"]
    assert lines[1].y == pytest.approx((0.0, 0.9, 0.0))
    assert lines[1].x == (1.0, 2.0, 3.0)
    assert "selected, calm;" in figure.caption
    assert "that change most: sad, tense, proud, bored. Scores are" in figure.caption
    proud = dataclasses.replace(read, emotion=2)
    other = pictures.conversation_curves(proud, TURNS).panels[0].lines
    assert [line.name for line in other] == ["proud", "sad", "tense", "bored", "kind"]


def test_the_caption_of_a_conversation_claims_no_change_and_no_others_where_there_are_none():
    read = look(["a"], [0], [[0.1, -0.9]], emotions=NAMES[:2])
    figure = pictures.conversation_curves(read, TURNS[:1])
    assert "calm; beside it the others that are farthest from 0: sad. Scores" in figure.caption
    alone = look(["a"], [0], [[0.1]], emotions=NAMES[:1])
    figure = pictures.conversation_curves(alone, TURNS[:1])
    assert "selected, calm. Scores are" in figure.caption
