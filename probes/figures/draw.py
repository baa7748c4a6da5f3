"""From a description to a file, whole or not at all.

Interactive pages load plotly.js from their own folder: it is written there once, for all of them.
matplotlib and plotly are imported here, at the moment of drawing.
"""

from collections.abc import Mapping
from pathlib import Path

from probes.figures.description import Figure
from probes.storage import write_bytes


def to_png(figure: Figure, path: Path) -> Path:
    """Write a description as a PNG of 200 dots per inch."""
    from probes.figures import png

    write_bytes(path, png.render(figure))
    return path


def to_html(figure: Figure, path: Path) -> Path:
    """Write a description as an interactive page, beside the ``plotly.min.js`` of its folder."""
    from probes.figures import webpage

    shared, library = path.parent / webpage.LIBRARY, webpage.library()
    if not shared.is_file() or shared.read_bytes() != library:
        write_bytes(shared, library)
    write_bytes(path, webpage.render(figure).encode("utf-8"))
    return path


def draw_all(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Draw every figure as NAME.png and NAME.html, by name; return the drawings."""
    paths = []
    for name, figure in figures.items():
        paths.append(to_png(figure, folder / f"{name}.png"))
        paths.append(to_html(figure, folder / f"{name}.html"))
    return paths
