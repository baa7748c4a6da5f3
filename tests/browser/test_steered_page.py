"""The page of steered continuations, as people see it."""

import pytest

from probes.commands.steered_page import render
from probes.commands.steered_text import Steered, SteeringRequest
from probes.experiments.steering.dose_cost import Cost

LONG = "He sat down and " + "looked at the unexpectedlylonghyphenlesswordthatgoeson " * 12


@pytest.fixture
def page(tmp_path):
    cost = Cost(0.1, 0.4, 1.2)
    conditions = [Steered(None, None, "He sat down and smiled.", {"sad": -9.0}, 12.0, 0.0)]
    conditions += [
        Steered(f"emotion{n}", 0.1, LONG, {"sad": 1.0}, 20.0, 0.3, cost, n > 0) for n in range(3)
    ]
    request = SteeringRequest("He came in.", ["sad"], [0.1], [3])
    path = tmp_path / "page.html"
    path.write_text(render(request, "a model", conditions, "budget"), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "columns"), [(1280, 3), (390, 1)])
def test_continuations_stand_beside_each_other_or_below_and_nothing_runs_over(
    open_page, page, width, columns
):
    opened = open_page(page, width=width)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    lefts = opened.evaluate(
        "[...document.querySelectorAll('article')].map(a => a.getBoundingClientRect().left)"
    )
    assert len(set(lefts)) == columns
    assert opened.locator("mark").count() >= 3
    assert opened.locator(".warning").count() == 1


def test_it_is_dark_where_the_system_is_and_its_text_can_be_read(open_page, page):
    """Contrast of at least 4.5 for words and marks (WCAG 2, AA), in both schemes."""
    script = """() => {
      const light = (color) => {
        const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => {
          const share = part / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      const page = getComputedStyle(document.body).backgroundColor;
      const style = (selector) => getComputedStyle(document.querySelector(selector));
      const plain = ["body", "dt", "del", ".caption", ".warning"].map((selector) =>
        contrast(style(selector).color, page));
      const marked = ["mark", "dd.up"].map((selector) =>
        contrast(style(selector).color, style(selector).backgroundColor));
      return [light(page), Math.min(...plain, ...marked)];
    }"""
    for scheme, is_dark in (("light", False), ("dark", True)):
        background, contrast = open_page(page, color_scheme=scheme).evaluate(script)
        assert (background < 0.1) == is_dark
        assert contrast >= 4.5
