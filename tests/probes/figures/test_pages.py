"""The shell of all pages: texts as text, data that cannot end its element, a policy that holds."""

import json
import re

import pytest
from made_up_analysis import HOSTILE

from probes.figures import pages


def shell(**values) -> str:
    return pages.render("probes.figures", "page.html", **{"title": "t", "about": "a", **values})


@pytest.mark.parametrize("text", [*HOSTILE, "\u2028", "]]>", "<!--"])
def test_data_for_a_script_holds_no_markup_and_reads_back(text):
    written = str(pages.for_script({text: [text, 1.0]}))
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == {text: [text, 1.0]}


@pytest.mark.parametrize("text", HOSTILE)
def test_every_value_is_text_and_nothing_is_without_a_shape(text):
    page = shell(title=text, about=text)
    assert text not in page or not re.search(r"[<&]", text)
    assert not re.search("[\x00\u202e\ud800]", page)
    assert page.count("<") == shell().count("<")


def test_a_page_without_a_script_lets_none_run():
    assert "script-src 'none';" in shell()


def test_a_script_is_named_by_its_digest_and_its_library_by_where_it_lies():
    data = {"id": "x", "traces": [], "layout": {}, "config": {}}
    page = shell(data=data, library="plotly.min.js", script="figure.js")
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"script-src 'sha256-{pages.digest(script)}' 'self' file:;" in page
    assert page.index('id="data"') < page.index("plotly.min.js") < page.index("<script>")


def test_text_that_runs_on_keeps_its_lines_and_shows_what_has_no_shape():
    assert pages.running("a\n\x00b") == "a\n\\x00b"
    assert (
        pages.environment("probes.figures").from_string("{{ x | running }}").render(x="<b>\n")
        == "&lt;b&gt;\n"
    )
