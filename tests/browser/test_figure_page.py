"""Pages of figures in a folder, as a person opens them."""

import dataclasses

import pytest
from made_up_analysis import HOSTILE, TOKENS, synthetic_geometry, synthetic_lens

from probes.figures import draw_all
from probes.report import pictures

EMOTIONS = [*HOSTILE, "happy", "angry"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    geometry = dataclasses.replace(synthetic_geometry(EMOTIONS, clusters=3), model=HOSTILE[0])
    lens = synthetic_lens(EMOTIONS, (*HOSTILE, *TOKENS))
    draw_all(pictures.figures_of(geometry, lens=lens), folder)
    return folder


@pytest.mark.parametrize("name", ["cosine_heatmap", "pca_scatter", "umap_scatter", "scree"])
def test_every_plot_is_drawn_from_the_library_beside_it(open_page, folder, name):
    page = open_page(folder / f"{name}.html")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.locator(".trace, .hm, .barlayer .point").count() > 0
    assert page.locator("img, main b, script:not([src])").count() == 2


def test_names_of_a_scatter_do_not_cover_each_other(open_page, folder):
    page = open_page(folder / "pca_scatter.html")
    page.locator(".textpoint text").first.wait_for()
    boxes = [box.bounding_box() for box in page.locator(".textpoint text").all()]
    boxes = [box for box in boxes if box and box["width"]]
    assert len(boxes) >= 8
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = one["x"] + one["width"] <= other["x"] + 1
            apart = apart or other["x"] + other["width"] <= one["x"] + 1
            apart = apart or one["y"] + one["height"] <= other["y"] + 4  # of the line above letters
            assert apart or other["y"] + other["height"] <= one["y"] + 4


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
