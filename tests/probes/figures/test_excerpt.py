"""A picture of many names shows some of them, says so, and changes none of what it shows."""

import pytest

from probes.figures import png_plots
from probes.figures.description import Bars, Heatmap, Part, TokenRow, TokenTable
from probes.figures.excerpt import MOST_ROWS, excerpt, name_step

N = 171
NAMES = tuple(f"name {number}" for number in range(N))
TEXTS = {"title": "t", "subtitle": "s", "caption": "c."}
LABELS = {"x_label": "x", "y_label": "y", "value_label": "v", "limits": (0.0, 200.0)}


def bars(n):
    values = tuple(float(number) for number in range(n))
    return Bars(
        **TEXTS,
        categories=NAMES[:n],
        parts=(Part(name="p", values=values), Part(name="q", values=values)),
        category_label="c",
        value_label="v",
        horizontal=True,
        intervals=tuple((value, value + 1) for value in values),
    )


def heatmap(n_rows, n_columns):
    values = tuple(tuple(float(column) for column in range(n_columns)) for _ in range(n_rows))
    return Heatmap(**TEXTS, **LABELS, rows=NAMES[:n_rows], columns=NAMES[:n_columns], values=values)


def test_bars_are_spread_over_their_order_with_their_values():
    some = excerpt(bars(N))
    assert len(some.categories) == MOST_ROWS
    assert (some.categories[0], some.categories[-1]) == (NAMES[0], NAMES[-1])
    for name, one, two, interval in zip(
        some.categories, some.parts[0].values, some.parts[1].values, some.intervals, strict=True
    ):
        value = float(name.removeprefix("name "))
        assert (one, two, interval) == (value, value, (value, value + 1))
    assert some.caption == (
        "c. 40 of 171 are drawn, evenly spread over their order; the HTML page has all."
    )


def test_rows_of_a_table_and_columns_of_a_flat_heat_map_are_chosen_alike():
    table = TokenTable(
        **TEXTS, header=("a", "b", "c", "d"), rows=tuple(TokenRow(label=name) for name in NAMES)
    )
    rows = tuple(row.label for row in excerpt(table).rows)
    flat = excerpt(heatmap(6, N))
    assert rows == flat.columns == excerpt(bars(N)).categories
    assert flat.values[5] == tuple(float(name.removeprefix("name ")) for name in flat.columns)
    assert "40 of 171" in flat.caption


@pytest.mark.parametrize("figure", [bars(MOST_ROWS), heatmap(24, 24), heatmap(6, 24)])
def test_few_names_are_all_there(figure):
    assert excerpt(figure) is figure


def test_a_large_square_keeps_its_cells_and_names_some_so_that_they_can_be_read():
    whole = heatmap(N, N)
    some = excerpt(whole)
    assert some.values == whole.values
    assert some.caption == f"c. One in {name_step(whole)} names is written; the HTML page has all."
    width, _ = png_plots.size(some)
    assert width < 13  # at 900 pixels a letter of 7 points is 7 pixels high
