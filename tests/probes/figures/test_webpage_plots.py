"""One description drives both drawings: what plotly draws is what matplotlib draws."""

import dataclasses

import pytest
from figure_pages import traces_in

from hooks.errors import InvalidInput
from probes.figures import TokenTable, png, webpage, webpage_plots
from probes.figures.description import Bars, Part
from probes.report import pictures


def test_one_description_drives_both_drawings_of_a_heat_map(geometry):
    figure = pictures.cosine_heatmap(geometry)
    axes = png.matplotlib_figure(figure).axes[0]
    (trace,) = traces_in(webpage.render(figure))
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(figure.rows) == trace["y"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(figure.columns)
    assert axes.images[0].get_array().tolist() == trace["z"] == [*map(list, figure.values)]


def test_both_drawings_write_the_same_numbers_into_the_cells_of_a_heat_map(geometry):
    figure = dataclasses.replace(pictures.cosine_heatmap(geometry), written="+.1f")
    written = [format(value, "+.1f") for row in figure.values for value in row]
    assert [text.get_text() for text in png.matplotlib_figure(figure).axes[0].texts] == written
    page = webpage.render(figure)
    assert all(f'"text":"{number}"' in page.replace('": "', '":"') for number in set(written))


def test_one_description_drives_both_drawings_of_a_scatter(geometry):
    figure = pictures.pca_scatter(geometry)
    axes = png.matplotlib_figure(figure).axes[0]
    drawn = {tuple(point) for cloud in axes.collections for point in cloud.get_offsets().tolist()}
    traces = traces_in(webpage.render(figure))
    on_page = {point for trace in traces for point in zip(trace["x"], trace["y"], strict=True)}
    assert drawn == on_page == set(zip(figure.x, figure.y, strict=True))
    hover = "".join(text for trace in traces for text in trace["hovertext"])
    assert all(f"<b>{word}</b>" in hover for word in figure.labels)
    assert axes.get_xlabel() == figure.x_label


def test_one_description_drives_both_drawings_of_lines_and_bars(analysis):
    sweep = pictures.layer_sweep(analysis["layers"])
    axes = png.matplotlib_figure(sweep).axes[0]
    valence = sweep.panels[0].lines[0]
    on_page = next(t for t in traces_in(webpage.render(sweep)) if t.get("name") == "valence")
    in_png = next(line for line in axes.get_lines() if line.get_label() == "valence")
    assert on_page["y"] == list(valence.y)
    heights = [None if height != height else float(height) for height in in_png.get_ydata()]
    assert heights == list(valence.y)

    stories = pictures.stories_written(analysis["counts"])
    bars = png.matplotlib_figure(stories).axes[0].containers
    for part, container, trace in zip(
        stories.parts, bars, traces_in(webpage.render(stories)), strict=True
    ):
        assert [bar.get_width() for bar in container] == list(part.values) == trace["x"]
        assert trace["y"] == list(stories.categories)


@pytest.mark.parametrize("horizontal", [True, False])
def test_intervals_are_lines_over_their_bars_in_both(horizontal):
    figure = Bars(
        title="t", subtitle="s", caption="c", categories=("a", "b", "c"),
        parts=(Part(name="p", values=(0.4, -0.2, 0.1)),), category_label="", value_label="r",
        horizontal=horizontal, intervals=((0.1, 0.6), None, (-0.3, 0.3)),
    )  # fmt: skip
    axes = png.matplotlib_figure(figure).axes[0]
    along = 0 if horizontal else 1
    drawn = [lines.get_segments()[0] for lines in axes.collections]
    assert [tuple(ends[:, along]) for ends in drawn] == [(0.1, 0.6), (-0.3, 0.3)]
    assert [tuple(ends[:, 1 - along]) for ends in drawn] == [(0, 0), (2, 2)]
    bars, lines = traces_in(webpage.render(figure))
    value, bar = ("x", "y") if horizontal else ("y", "x")
    assert lines[value] == [0.1, 0.6, None, -0.3, 0.3, None]
    assert lines[bar] == ["a", "a", "a", "c", "c", "c"]
    assert "[0.1, 0.6]" in bars["hovertext"][0]
    assert "[" not in bars["hovertext"][1]


@pytest.mark.parametrize("horizontal", [True, False])
def test_a_band_lies_behind_the_bars_and_is_named_in_both(horizontal):
    figure = Bars(
        title="t", subtitle="s", caption="c", categories=("a", "b"),
        parts=(Part(name="p", values=(0.4, -0.2)),), category_label="", value_label="r",
        horizontal=horizontal, band=(-0.1, 0.3), band_name="chance",
    )  # fmt: skip
    axes = png.matplotlib_figure(figure).axes[0]
    [shade] = [patch for patch in axes.patches if patch.get_label() == "chance"]
    ends = (shade.get_x(), shade.get_width()) if horizontal else (shade.get_y(), shade.get_height())
    assert ends == pytest.approx((-0.1, 0.4))
    assert shade.get_zorder() < axes.containers[0][0].get_zorder()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["p", "chance"]
    [shape] = webpage_plots.draw(figure).layout.shapes
    assert (shape.name, shape.layer, shape.showlegend) == ("chance", "below", True)
    assert ((shape.x0, shape.x1) if horizontal else (shape.y0, shape.y1)) == (-0.1, 0.3)


def test_most_of_24_names_have_a_side_on_the_page(geometry):
    traces = webpage_plots.draw(pictures.pca_scatter(geometry)).data
    shown = [name for trace in traces for name in trace["text"] if name]
    assert len(shown) >= 22


def test_all_of_171_names_are_under_the_pointer_and_their_groups_in_the_legend(large_geometry):
    figure = pictures.pca_scatter(large_geometry)
    drawn = webpage_plots.draw(figure)
    assert [trace["name"] for trace in drawn.data] == list(figure.group_names)
    assert drawn.layout.legend.title.text == "cluster of the paper"
    hover = {text.split("<br>")[0]: text for trace in drawn.data for text in trace["hovertext"]}
    assert len(hover) == 171
    assert "cluster of the paper: exuberant joy<br>people: valence +0.81" in hover["<b>happy</b>"]
    assert "<br>not rated by people<br>" in hover["<b>smug</b>"]


def test_a_table_is_not_drawn():
    table = TokenTable(title="t", subtitle="s", caption="c", header=("a", "b", "c", "d"))
    with pytest.raises(InvalidInput, match="plotly cannot draw a TokenTable"):
        webpage_plots.draw(table)
