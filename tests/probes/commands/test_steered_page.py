"""Continuations side by side: the words that differ are marked, and every text is text."""

import html
import re

from probes.commands import steered_page
from probes.commands.steered_text import Steered, SteeringRequest
from probes.experiments.steering.dose_cost import Cost


def _conditions(text):
    plain = Steered(None, None, "He sat down and smiled.", {"sad": -9.0}, 12.0, 0.0)
    cost = Cost(0.4, 3.0, 5.0)
    return [plain, Steered("sad", 0.4, text, {"sad": 2.5}, 30.0, 0.1, cost, False, {1: 4.5})]


def test_words_that_differ_are_marked_and_every_text_is_text():
    page = steered_page.render(
        SteeringRequest("<b>prompt</b>", ["sad"], [0.4], [1]),
        "m",
        _conditions("He sat down and <script>wept</script>."),
        "budget",
        ["sad"],
    )
    assert "<script>" not in page
    assert "<b>prompt" not in page
    wept = "<del>smiled.</del><mark>&lt;script&gt;wept&lt;/script&gt;.</mark>"
    assert f"He sat down and {wept}" in page
    assert "“sad”*" in page
    assert "coefficient, layer 1" in page
    assert "+2.50" in page


def test_marking_keeps_every_character_of_both_texts():
    text, plain = "  He\n\nsat  up & wept. ", "He sat down & smiled."
    marked = steered_page.marked(text, plain)
    without_lost = re.sub("<del>.*?</del>", "", marked, flags=re.DOTALL)
    assert html.unescape(re.sub("</?mark>", "", without_lost)) == text
    without_new = re.sub("<mark>.*?</mark>", "", marked, flags=re.DOTALL)
    assert html.unescape(re.sub("</?del>", "", without_new)) == plain


def test_a_word_that_is_only_missing_is_struck():
    marked = steered_page.marked("He sat down.", "He sat quietly down.")
    assert marked == "He sat <del>quietly </del>down."
