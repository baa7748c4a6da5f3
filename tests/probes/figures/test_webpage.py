"""The page of one figure: text as text, nothing fetched, plotly beside it."""

import json
import re

from figure_pages import own_markup, traces_in
from markupsafe import escape

from probes.figures import png, webpage
from probes.figures.description import Scatter
from probes.figures.png_plots import drawable
from probes.figures.text import for_plotly, visible
from probes.report import pictures


def test_a_page_says_how_many_names_have_no_room():
    words = {"title": "t", "subtitle": "s", "caption": "Points.", "x_label": "x", "y_label": "y"}
    crowd = tuple(f"emotion {index}" for index in range(40))
    crowded = Scatter(labels=crowd, x=(0.5,) * 40, y=(0.5,) * 40, **words)
    page = webpage.render(crowded)
    missing = 40 - sum(bool(text) for text in traces_in(page)[0]["text"])
    assert 20 < missing < 40
    note = f"Points. There is no room for {missing} of 40 names: point at a dot to read its name."
    assert note in own_markup(page)
    roomy = Scatter(labels=("a", "b"), x=(0.0, 1.0), y=(0.0, 1.0), **words)
    assert ">Points.</p>" in own_markup(webpage.render(roomy))


def test_hostile_names_are_text_on_the_page(hostile):
    plain = pictures.figures_of(**hostile)
    for name, figure in plain.items():
        page = webpage.render(figure)
        markup = own_markup(page)
        assert "<img" not in markup and "<b>bold" not in markup
        scripts = re.findall(r"<script.*?</script>", page, flags=re.DOTALL)
        assert len(scripts) == page.count("<script") == (0 if name == "logit_lens_table" else 3)
        assert "alert(1)</script>" not in page
        if scripts:
            data = json.dumps(traces_in(page))
            assert not re.search(r"<(script|img|a |br>broken)", data)
            assert "$" not in data, "MathJax, where a page has it, would read it"
    names = traces_in(webpage.render(plain["cosine_heatmap"]))[0]["y"]
    assert set(names) == {for_plotly(emotion) for emotion in hostile["geometry"].emotions}
    table = webpage.render(plain["logit_lens_table"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in table


def test_two_figures_can_share_a_page(analysis):
    figures = pictures.figures_of(**analysis)
    del figures["logit_lens_table"]
    pages = [webpage.render(figure) for figure in figures.values()]
    ids = [re.findall(r'id="(figure-[0-9a-f]+)"', page) for page in pages]
    assert all(len(names) == 1 for names in ids)
    assert len({names[0] for names in ids}) == len(pages)


def test_a_page_needs_the_library_beside_it_and_nothing_else(geometry):
    page = webpage.render(pictures.scree(geometry))
    assert re.findall(r"<[^>]+\b(?:src|href)\s*=[^>]*>", page) == ['<script src="plotly.min.js">']
    assert len(page) < 50_000
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert webpage.library().startswith(b"/**\n* plotly.js v")


def test_the_table_shows_the_same_tokens_and_the_page_their_values(analysis):
    figure = pictures.logit_lens_table(analysis["lens"])
    drawn = {text.get_text() for text in png.matplotlib_figure(figure).axes[0].texts}
    page = webpage.render(figure)
    assert {row.label for row in figure.rows} <= drawn
    assert re.findall('<tr><th scope="row">(.*?)</th>', page) == [row.label for row in figure.rows]
    cells = re.findall('<td class="up">(.*?)</td>', page)
    for row, cell in zip(figure.rows, cells, strict=True):
        assert drawable(row.up[0][0]) in drawn
        shown = [
            f"<bdi>{escape(visible(token))}</bdi> <i>{value:+.2f}</i>" for token, value in row.up
        ]
        assert re.findall(r'<span class="token">(.*?)</span>', cell) == shown


def test_the_same_description_gives_the_same_bytes(analysis):
    for figure in pictures.figures_of(**analysis).values():
        assert webpage.render(figure) == webpage.render(figure)
