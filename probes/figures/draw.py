"""From a description to a file.

Contract
--------
* A file appears whole or not at all (`storage.write_bytes`).
* Interactive pages load plotly.js from their own folder: it is written there once, for all of them.
* matplotlib and plotly are imported here, at the moment of drawing.
"""

from collections.abc import Mapping
from pathlib import Path

from probes.figures.description import Figure
from probes.storage import write_bytes


def to_png(figure: Figure, path: Path) -> Path:
    """Write a description as a PNG of 200 dots per inch.

    Parameters
    ----------
    figure : Figure
        One of the five kinds of description.
    path : pathlib.Path
        Where to write; missing folders are made, an older file is replaced.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    from probes.figures import png

    return _write(path, png.render(figure))


def to_html(figure: Figure, path: Path) -> Path:
    """Write a description as an interactive page that works without a network.

    Two files: the page, and beside it ``plotly.min.js``, which pages of one folder share and which
    has to go along where the page goes.

    Parameters
    ----------
    figure : Figure
        One of the five kinds of description.
    path : pathlib.Path
        Where to write; missing folders are made, an older file is replaced.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    from probes.figures import webpage

    shared, library = path.parent / webpage.LIBRARY, webpage.library()
    if not shared.is_file() or shared.read_bytes() != library:
        _write(shared, library)
    return _write(path, webpage.render(figure).encode("utf-8"))


def draw_all(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Draw every figure as NAME.png and NAME.html; pages share the folder's ``plotly.min.js``.

    Parameters
    ----------
    figures : mapping of str to Figure
        Descriptions by file name, without a suffix.
    folder : pathlib.Path
        Where the files go; made if missing.

    Returns
    -------
    list of pathlib.Path
        The drawings, in the order of the mapping.
    """
    paths = []
    for name, figure in figures.items():
        paths.append(to_png(figure, folder / f"{name}.png"))
        paths.append(to_html(figure, folder / f"{name}.html"))
    return paths


def _write(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path
