import pytest
from matplotlib.text import Annotation

from probes.figures import catalog, labels, png


def names_drawn(figure):
    axes = png.matplotlib_figure(figure).axes[0]
    return [text for text in axes.texts if not isinstance(text, Annotation)]


@pytest.mark.parametrize("draw", [catalog.pca_scatter, catalog.umap_scatter])
def test_twenty_four_names_are_all_there_and_none_overlaps(geometry, draw):
    texts = names_drawn(draw(geometry))
    assert sorted(text.get_text() for text in texts) == sorted(geometry["emotions"])
    assert labels.overlaps(texts) == []


def test_171_names_are_nearly_all_there_and_none_overlaps(large_geometry):
    texts = names_drawn(catalog.pca_scatter(large_geometry))
    assert len(texts) >= 0.95 * 171
    assert labels.overlaps(texts) == []


def test_a_name_without_room_is_counted_in_the_picture(geometry):
    stacked = {**geometry, "umap": [[0.0, 0.0]] * 23 + [[1.0, 1.0]]}
    axes = png.matplotlib_figure(catalog.umap_scatter(stacked)).axes[0]
    notes = [text.get_text() for text in axes.texts if isinstance(text, Annotation)]
    shown = len(axes.texts) - len(notes)
    assert labels.overlaps([text for text in axes.texts if not isinstance(text, Annotation)]) == []
    assert shown == 24 or notes[0].startswith(f"{24 - shown} of 24 names")


def test_overlaps_finds_names_that_do_share_pixels():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = Figure()
    FigureCanvasAgg(page)
    texts = [page.text(0.5, 0.5, "one"), page.text(0.51, 0.5, "two"), page.text(0.5, 0.8, "three")]
    assert labels.overlaps(texts) == [("one", "two")]
