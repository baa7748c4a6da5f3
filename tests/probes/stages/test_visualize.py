"""Every figure of a run is drawn."""

import json

from probes import stages


def read(finished, name):
    return json.loads((finished.folder / "analysis" / name).read_text())


class TestVisualize:
    def test_every_figure_is_a_picture_and_a_page(self, finished):
        figures = finished.folder / "figures"
        pictures = {path.stem for path in figures.glob("*.png")}
        assert pictures == {path.stem for path in figures.glob("*.html")}
        assert len(pictures) >= 5
        for path in figures.glob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG")
        others = {path.name for path in figures.iterdir() if path.stem not in pictures}
        assert others == {"plotly.min.js"}

    def test_the_library_of_the_pages_counts_as_theirs(self, finished):
        run = finished.run()
        [stage] = stages.find_stages(["visualize"])
        assert stages.is_complete(run, stage)
        (finished.folder / "figures" / "plotly.min.js").unlink()
        assert not stages.is_complete(run, stage)
