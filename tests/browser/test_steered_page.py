"""The page of steered continuations, as people see it."""

import pytest

from probes.commands.steered_page import render
from probes.commands.steered_text import Steered
from probes.dosing import Cost

LONG = "He sat down and " + "looked at the unexpectedlylonghyphenlesswordthatgoeson " * 12


@pytest.fixture
def page(tmp_path):
    cost = Cost(0.1, 0.4, 1.2)
    conditions = [Steered(None, None, "He sat down and smiled.", {"sad": -9.0}, 12.0, 0.0)]
    conditions += [
        Steered(f"emotion{n}", 0.1, LONG, {"sad": 1.0}, 20.0, 0.3, cost, n > 0) for n in range(3)
    ]
    path = tmp_path / "page.html"
    path.write_text(render("He came in.", "a model", conditions, "budget"), encoding="utf-8")
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
