"""One rule for the colors of tokens, and every token a text."""

import re

import pytest

from probes.figures.token_html import STYLE, token_html


def test_sign_and_share_of_the_largest_score_are_the_color():
    spans = token_html(["a", "b", "c"], [0.1, -0.4, 0.9], 0.4, ["", "", ""])
    assert re.findall(r'class="token (\w+)" style="--share:([\d.]+)"', spans) == [
        ("toward", "0.250"),
        ("away", "1.000"),
        ("toward", "1.000"),
    ]
    assert re.findall(r'tabindex="(-?\d)"', spans) == ["0", "-1", "-1"]
    assert {".token.toward", ".token.away"} <= set(re.findall(r"\.token\.\w+", STYLE))


def test_scores_that_are_all_zero_have_no_color_and_no_division():
    assert "--share:0.000" in token_html(["a"], [0.0], 0.0, [""])


@pytest.mark.parametrize("text", ["<script>x</script>", '"><b>', "&amp;", "👩\u200d🚀", "a\nb"])
def test_a_token_and_its_title_are_text_as_they_are(text):
    span = token_html([text], [0.1], 1.0, [text])
    assert span.count("<") == 2
    assert span.striptags().split() == text.split()


def test_lines_under_tokens_are_no_text_of_theirs():
    spans = token_html(["a", "b\n"], [0.1, 0.1], 1.0, ["", ""], ['<i>"x"', "y"])
    assert spans.count("data-under") == 1  # none where the token breaks the line
    assert 'data-under="&lt;i&gt;&#34;x&#34;"' in spans
    assert re.sub("<[^>]*>", "", spans) == "ab\n"
