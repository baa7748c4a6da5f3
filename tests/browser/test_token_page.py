"""Texts with their tokens in color, as a person sees them."""

import pytest
import torch

from probes.texts.token_page import Block, render

TOKENS = [
    "Rain ",
    "</script>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    " & \n",
]
COLORS = "nodes => nodes.map(node => getComputedStyle(node).backgroundColor)"


@pytest.fixture
def page_file(tmp_path):
    scores = torch.linspace(-0.4, 0.4, 10).reshape(5, 2)
    hostile = Block("<b>bold</b>", ", 5 tokens", TOKENS, scores, torch.tensor([0.1, float("nan")]))
    own = torch.tensor([0.4])
    only = Block("only sad", ", alone", ["tears"], torch.tensor([[0.4]]), own, 1, z=own * -6.9)
    path = tmp_path / "page.html"
    path.write_text(render("<i>title</i>", "{{DATA}}", ["calm", "</select>sad"], [hostile, only]))
    return path


def test_a_z_stands_beside_the_score_of_a_whole_text_and_says_what_it_is(page_file, open_page):
    page = open_page(page_file)
    assert page.locator("main p").all_text_contents() == ["score +0.100, 5 tokens"]
    page.locator("select").select_option("</select>sad")
    shown = page.locator("main p").all_text_contents()
    assert shown == ["no score, 5 tokens", "score +0.400 (z −2.8), alone"]  # noqa: RUF001
    z = page.locator("main p span")
    assert z.get_attribute("title") == "z: standard deviations above neutral text"
    page.locator(".tokens span").last.click()
    assert "z" not in page.locator("#told").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_markup_is_text_and_colors_follow_the_chosen_emotion(page_file, open_page, width, scheme):
    page = open_page(page_file, width=width, color_scheme=scheme)
    shown = page.locator(".tokens")
    assert shown.count() == 1
    assert shown.text_content() == "".join(TOKENS)
    assert page.locator("h1").inner_text() == "<i>title</i>"
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0
    before = page.locator(".tokens span").evaluate_all(COLORS)
    assert len(set(before)) == 5
    page.locator("select").select_option("</select>sad")
    assert page.locator(".tokens span").evaluate_all(COLORS)[:5] != before
    assert shown.count() == 2
    assert "no score" in page.locator("main").inner_text()
    page.locator(".tokens span").last.click()
    assert page.locator("#told").inner_text() == "“tears”: </select>sad +0.400"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
