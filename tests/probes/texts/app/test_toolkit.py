"""Curves for a page that is white or dark."""

import pytest

from probes.figures.description import Line, Lines, Panel
from probes.texts.app.toolkit import drawn_for_page


def curves(n_points: int, n_lines: int = 1) -> Lines:
    x = tuple(float(number) for number in range(n_points))
    lines = tuple(Line(name=f"line {number}", x=x, y=x) for number in range(n_lines))
    panels = (Panel(y_label="cosine", lines=lines),)
    return Lines(title="t", subtitle="s", caption="c", x_label="turn", panels=panels)


def test_every_curve_has_a_color_of_its_own_and_no_paper():
    drawn = drawn_for_page(curves(3, n_lines=5)).to_plotly_json()
    colors = [trace["line"]["color"] for trace in drawn["data"]]
    assert len(set(colors)) == 5
    layout = drawn["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert "width" not in layout  # as wide as the page


@pytest.mark.parametrize(("n_points", "step"), [(2, 1), (11, 1), (60, None)])
def test_tokens_and_turns_have_no_halves(n_points, step):
    layout = drawn_for_page(curves(n_points)).to_plotly_json()["layout"]
    assert layout["xaxis"].get("dtick") == step
