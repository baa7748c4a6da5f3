"""Files: a pair per figure, one library beside them, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from probes.figures import draw_all, png, to_html, to_png, webpage
from probes.report import pictures


def test_importing_the_package_loads_no_drawing_library():
    code = "import sys, probes.figures; print({'matplotlib', 'plotly'} & set(sys.modules))"
    root = Path(png.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_draw_all_writes_a_pair_of_files_per_figure_and_one_library(analysis, tmp_path):
    folder = tmp_path / "new" / "figures"
    paths = draw_all(
        pictures.figures_of(layers=analysis["layers"], counts=analysis["counts"]), folder
    )
    names = ["layer_sweep", "rsa_heatmap", "stories_written"]
    assert paths == [folder / f"{name}.{kind}" for name in names for kind in ("png", "html")]
    assert sorted(folder.iterdir()) == sorted([*paths, folder / "plotly.min.js"])
    assert (folder / "plotly.min.js").read_bytes() == webpage.library()
    assert all(path.stat().st_size < 500_000 for path in folder.glob("*.html"))


def test_the_library_is_written_once_and_again_where_it_is_another(geometry, tmp_path):
    library = tmp_path / "plotly.min.js"
    library.write_text("of an older version")
    to_html(pictures.scree(geometry), tmp_path / "a.html")
    first = library.stat()
    assert library.read_bytes() == webpage.library()
    to_html(pictures.scree(geometry), tmp_path / "b.html")
    assert (library.stat().st_ino, library.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_a_failed_write_leaves_no_draft(geometry, tmp_path):
    taken = tmp_path / "scree.png"
    taken.mkdir()
    with pytest.raises(OSError):
        to_png(pictures.scree(geometry), taken)
    assert list(tmp_path.iterdir()) == [taken]


def test_files_hold_what_was_rendered(geometry, tmp_path):
    figure = pictures.scree(geometry)
    assert to_png(figure, tmp_path / "a.png").read_bytes() == png.render(figure)
    page = to_html(figure, tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == webpage.render(figure)
    assert f"<title>{figure.title}</title>" in page
