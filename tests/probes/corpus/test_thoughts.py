"""What a model thinks before its answer is no part of the answer."""

import pytest

from probes.corpus.thoughts import has_thought, without_thought


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        ("<think>He is sad. Or not?</think>\n\nThe rain fell.", "\n\nThe rain fell."),
        ("He is sad, I think.\n</think>The rain fell.", "The rain fell."),
        ("<think>\n\n</think>\n\nThe rain fell.", "\n\nThe rain fell."),
        ("<think>a</think>b<think>c</think>The rain fell.", "The rain fell."),
        ("<THINKING>a</THINKING>The rain fell.", "The rain fell."),
        ("<seed:think>a</seed:think>The rain fell.", "The rain fell."),
        ("[THINK]It wants rain.[/THINK]The rain fell.", "The rain fell."),
        ("◁think▷rain◁/think▷The rain fell.", "The rain fell."),
        (
            "<|channel|>analysis<|message|>Rain, then.<|end|><|start|>assistant"
            "<|channel|>final<|message|>The rain fell.",
            "The rain fell.",
        ),
        ("<|channel>thought\nRain.<channel|>The rain fell.", "The rain fell."),
        ("The rain fell. I think <so>.", "The rain fell. I think <so>."),
        ("", ""),
        ("<think>only this</think>", ""),
    ],
)
def test_what_stands_after_the_last_closing_mark_is_said(answer, spoken):
    assert without_thought(answer) == spoken


@pytest.mark.parametrize(
    "answer",
    [
        "<think>The rain and so on and",
        "<think>a</think>Wait.<think>Not yet",
        "[THINK]The rain",
        "<|channel|>analysis<|message|>The rain",
    ],
)
def test_a_thought_without_an_end_leaves_nothing(answer):
    assert without_thought(answer) is None


def test_marks_are_told_from_words():
    assert has_thought("</think>Yes")
    assert not has_thought("I think [so], thinking it over.")
