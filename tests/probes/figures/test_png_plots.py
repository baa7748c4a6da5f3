"""The plot area of a PNG: names that can be read, none over another."""

import dataclasses
from itertools import combinations

import pytest
from matplotlib.text import Annotation

from probes.figures import png
from probes.figures.description import Heatmap
from probes.figures.png_plots import drawable
from probes.report import pictures


def names_drawn(figure):
    axes = png.matplotlib_figure(figure).axes[0]
    return [text for text in axes.texts if not isinstance(text, Annotation)]


def overlaps(texts):
    """Pairs of names whose boxes share a pixel, as the renderer drew them."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
    ]


@pytest.mark.parametrize("draw", [pictures.pca_scatter, pictures.umap_scatter])
def test_twenty_four_names_are_all_there_and_none_overlaps(geometry, draw):
    texts = names_drawn(draw(geometry))
    assert sorted(text.get_text() for text in texts) == sorted(geometry.emotions)
    assert overlaps(texts) == []


@pytest.mark.parametrize("draw", [pictures.pca_scatter, pictures.umap_scatter])
def test_171_names_are_nearly_all_there_none_overlaps_or_leaves_the_frame(large_geometry, draw):
    texts = names_drawn(draw(large_geometry))
    assert len(texts) >= 0.95 * 171
    assert overlaps(texts) == []
    frame = texts[0].axes.get_window_extent()
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1


@pytest.mark.slow
def test_where_171_names_have_no_room_the_most_important_are_written(large_geometry):
    close = [(0.1 * x, 0.1 * y) for x, y in large_geometry.umap]
    far = dataclasses.replace(large_geometry, umap=[(-9.0, -9.0), *close[1:-1], (9.0, 9.0)])
    figure = pictures.umap_scatter(far)
    texts = names_drawn(figure)
    assert overlaps(texts) == []
    assert 10 < len(texts) < 100
    written = {text.get_text() for text in texts}
    ranked = [figure.labels[index] in written for index in figure.order]
    assert sum(ranked[:60]) > 10 > 2 >= sum(ranked[-60:])


def test_groups_are_named_above_the_frame_and_nothing_covers_another(large_geometry):
    figure = pictures.pca_scatter(large_geometry)
    page = png.matplotlib_figure(figure)
    legend = page.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(figure.group_names)
    assert legend.get_title().get_text() == "cluster of the paper"
    assert overlaps([*legend.get_texts(), legend.get_title()]) == []
    extent = legend.get_window_extent()
    assert extent.y0 >= page.axes[0].get_window_extent().y1
    assert 0 < extent.x0 < extent.x1 < page.bbox.width


def test_a_name_without_room_is_counted_in_the_picture(geometry):
    stacked = dataclasses.replace(geometry, umap=[(0.0, 0.0)] * 23 + [(1.0, 1.0)])
    axes = png.matplotlib_figure(pictures.umap_scatter(stacked)).axes[0]
    notes = [text.get_text() for text in axes.texts if isinstance(text, Annotation)]
    names = [text for text in axes.texts if not isinstance(text, Annotation)]
    assert overlaps(names) == []
    assert 1 < len(names) < 24
    assert notes[0].startswith(f"{24 - len(names)} of 24 names")


def test_characters_that_the_font_lacks_are_written_as_escapes():
    assert drawable("sad 悲") == "sad \\u60b2"
    assert drawable("naïve ␣ печаль") == "naïve ␣ печаль"


@pytest.mark.parametrize("n", [3, 8, 24])
def test_a_heat_map_of_any_size_begins_at_the_left_of_its_page(n):
    names = tuple(f"emotion {index}" for index in range(n))
    figure = Heatmap(
        title="t", subtitle="s", caption="c", rows=names, columns=names, value_label="v",
        values=tuple(tuple(0.1 * row - 0.1 * n for _ in names) for row in range(n)),
        x_label="word", y_label="vector", limits=(-3.0, 3.0),
    )  # fmt: skip
    page = png.matplotlib_figure(figure)
    page.draw_without_rendering()
    left = page.axes[0].get_tightbbox().x0 / page.bbox.width
    assert 0.0 < left < 0.12


@pytest.mark.parametrize("palette", ["diverging", "sequential"])
def test_numbers_stand_in_their_cells_in_an_ink_that_is_read_there(palette):
    figure = Heatmap(
        title="t", subtitle="s", caption="c", rows=("a", "b"), columns=("c", "d"),
        values=((0.0, 0.5), (0.25, 1.0)), value_label="v", x_label="x", y_label="y",
        limits=(0.0, 1.0), palette=palette, written=".0%",
    )  # fmt: skip
    drawn = {text.get_text(): text for text in png.matplotlib_figure(figure).axes[0].texts}
    assert set(drawn) == {"0%", "50%", "25%", "100%"}
    assert drawn["100%"].get_color() == "#ffffff"
    assert drawn["50%"].get_color() != "#ffffff"
    assert drawn["25%"].get_position() == (0, 1)
    assert not png.matplotlib_figure(dataclasses.replace(figure, written="")).axes[0].texts
