"""The page around a plot as a PNG: its own style, no pyplot, every name as text."""

import subprocess
import sys
from pathlib import Path

import pytest

from probes.figures import png
from probes.report import pictures


def test_hostile_names_are_text_in_the_picture(hostile):
    figures = pictures.figures_of(**hostile)
    for figure in figures.values():
        assert png.render(figure).startswith(b"\x89PNG")  # a missing glyph would be a warning
    axes = png.matplotlib_figure(figures["cosine_heatmap"]).axes[0]
    ticks = {tick.get_text() for tick in axes.get_yticklabels()}
    assert {"costs $5 and $x^2$", "<script>alert(1)</script>"} <= ticks
    assert not any(tick.get_parse_math() for tick in axes.get_yticklabels())


def test_a_reader_s_style_and_pyplot_are_left_alone(geometry):
    import matplotlib

    with matplotlib.rc_context({"font.size": 31.0, "text.usetex": False, "axes.grid": True}):
        ours = png.render(pictures.scree(geometry))
        assert matplotlib.rcParams["font.size"] == 31.0
    assert ours == png.render(pictures.scree(geometry))


def test_drawing_never_loads_pyplot(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from probes.figures import Scatter, to_png\n"
        "words = dict.fromkeys(['title', 'subtitle', 'caption', 'x_label', 'y_label'], 'w')\n"
        "figure = Scatter(labels=('a', 'b'), x=(0.0, 1.0), y=(1.0, 0.0), **words)\n"
        "to_png(figure, pathlib.Path(sys.argv[1]))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "map.png")],
        cwd=Path(png.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_the_same_description_gives_the_same_bytes(analysis):
    for figure in pictures.figures_of(**analysis).values():
        assert png.render(figure) == png.render(figure)
