"""The text for a repository: hostile names stay text, tables stay tables."""

import made_up_report
import pytest
from made_up_analysis import HOSTILE
from markdown_it import MarkdownIt

from probes.figures.text import visible
from probes.report import markdown

EMOTIONS = made_up_report.emotions_with((*HOSTILE, "a|b", "[link](http://x)", "*bold* `code`"))


@pytest.fixture(scope="module")
def rendered():
    text = markdown.render(made_up_report.contents(EMOTIONS))
    return text, MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_no_text_becomes_markup(rendered):
    _, html = rendered
    for sign in (
        "<script",
        "<img src=x",
        "<b>",
        "<a href",
        "<code",
        "<em>bold",
        "onerror=alert(1)>",
    ):
        allowed = html.count('<a href="report.html"') if sign == "<a href" else 0
        assert html.count(sign) == allowed, sign


def test_dollar_signs_start_no_formula(rendered):
    text, _ = rendered
    assert "$" in text
    assert text.count("$") == text.count("\\$")


def test_every_emotion_has_one_row_of_four_cells(rendered):
    _, html = rendered
    table = html.partition("Words that the vectors point to")[2].partition("</table>")[0]
    rows = table.split("<tr>")[2:]
    assert len(rows) == len(EMOTIONS)
    assert all(row.count("<td>") == 4 for row in rows)
    for name, row in zip(EMOTIONS, rows, strict=True):
        first = row.partition("<td>")[2].partition("</td>")[0]
        shown = first.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
        expected = " ".join(map(visible, name.split("\n")))
        assert shown.replace("&amp;", "&") == expected


def test_the_table_of_words_says_what_its_ranks_and_its_sign_for_a_space_are(rendered):
    _, html = rendered
    section = html.partition("Words that the vectors point to")[2].partition("<h2>")[0]
    table, _, below = section.partition("</table>")
    assert "<th>rank of own word</th>" in table
    assert "␣ is a space." in below


def test_pictures_are_linked_relatively_with_their_captions(rendered):
    text, _ = rendered
    assert "](figures/pca_scatter.png)" in text
    assert "](figures/matrix.png)" in text
    assert "No more than a test." in text
