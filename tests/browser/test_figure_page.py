"""Pages of figures in a folder, as a person opens them."""

import dataclasses
from itertools import combinations

import pytest
from made_up_analysis import HOSTILE, TOKENS, synthetic_geometry, synthetic_lens, words_171

from probes.figures import draw_all, to_html
from probes.report import pictures

EMOTIONS = [*HOSTILE, "happy", "angry"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    geometry = dataclasses.replace(synthetic_geometry(EMOTIONS, clusters=3), model=HOSTILE[0])
    lens = synthetic_lens(EMOTIONS, (*HOSTILE, *TOKENS))
    draw_all(pictures.figures_of(geometry, lens=lens), folder)
    return folder


def boxes_of(page, selector):
    boxes = page.eval_on_selector_all(
        selector,
        """all => all.map(one => {
          const { x, y, width, height } = one.getBoundingClientRect();
          return { x, y, width, height, text: one.textContent };
        })""",
    )
    return [box for box in boxes if box["width"]]


def covering(boxes):
    """Pairs of texts that cover each other, but for the empty line above letters."""
    return [
        (one["text"], other["text"])
        for one, other in combinations(boxes, 2)
        if one["x"] + one["width"] > other["x"] + 1
        and other["x"] + other["width"] > one["x"] + 1
        and one["y"] + one["height"] > other["y"] + 4
        and other["y"] + other["height"] > one["y"] + 4
    ]


@pytest.mark.parametrize("name", ["cosine_heatmap", "pca_scatter", "umap_scatter", "scree"])
def test_every_plot_is_drawn_from_the_library_beside_it(open_page, folder, name):
    page = open_page(folder / f"{name}.html")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.locator(".trace, .hm, .barlayer .point").count() > 0
    assert page.locator("img, main b, script:not([src])").count() == 2


def test_names_of_a_scatter_do_not_cover_each_other(open_page, folder):
    page = open_page(folder / "pca_scatter.html")
    page.locator(".textpoint text").first.wait_for()
    boxes = boxes_of(page, ".textpoint text")
    assert len(boxes) >= 8
    assert covering(boxes) == []


def test_of_171_names_none_covers_another_and_the_pointer_reads_all(open_page, tmp_path):
    geometry = synthetic_geometry(words_171(), clusters=10)
    to_html(pictures.pca_scatter(geometry), tmp_path / "map.html")
    page = open_page(tmp_path / "map.html", width=1700, height=1300)
    page.locator(".textpoint text").first.wait_for()
    boxes = boxes_of(page, ".textpoint text")
    assert len(boxes) > 120
    assert covering(boxes) == []
    legend = boxes_of(page, ".legend .legendtext")
    assert len(legend) == 10
    right = page.locator(".js-plotly-plot .main-svg").first.bounding_box()
    assert max(box["x"] + box["width"] for box in legend) <= right["x"] + right["width"]
    assert page.locator(".trace .point").count() == 171


def test_a_page_without_its_library_says_what_it_needs(chromium, folder, tmp_path):
    alone = tmp_path / "scree.html"
    alone.write_bytes((folder / "scree.html").read_bytes())
    page = chromium.new_page()
    page.goto(alone.as_uri())
    assert "plotly.min.js, which lies beside it" in page.inner_text(".plot")
    page.close()


def test_the_policy_stops_a_script_that_a_text_would_bring(chromium, folder):
    page = chromium.new_page()
    page.goto((folder / "scree.html").as_uri())
    ran = page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<p onclick='window.ran = true'>x</p>");
          document.body.lastElementChild.click();
          return window.ran === true;
        }"""
    )
    assert not ran
    page.close()


def test_a_table_is_text_that_needs_no_script(open_page, folder):
    page = open_page(folder / "logit_lens_table.html")
    assert page.locator("tbody tr").count() == len(EMOTIONS)
    assert page.locator("script, img").count() == 0
    assert page.locator("tbody th").first.inner_text() == HOSTILE[0]
