import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_analysis import HOSTILE, TOKENS, synthetic_counts, synthetic_geometry, synthetic_lens

from probes.figures import catalog, draw_all, png, to_html, to_png, webpage
from probes.figures.description import Bars, Heatmap, Part, Scatter
from probes.figures.png_plots import drawable
from probes.figures.text import for_plotly, visible


def traces_in(page: str) -> list[dict]:
    """Data of the plot, as the browser will read it."""
    start = page.index("Plotly.newPlot(")
    return json.JSONDecoder().raw_decode(page, page.index("[", start))[0]


def own_markup(page: str) -> str:
    """The page without the library and the JSON: what is left is markup."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


@pytest.fixture(scope="module")
def hostile():
    emotions = [*HOSTILE, "happy", "angry"]
    return {
        "geometry": {**synthetic_geometry(emotions, clusters=3), "model": HOSTILE[0]},
        "lens": synthetic_lens(emotions, (*HOSTILE, *TOKENS)),
        "counts": synthetic_counts(emotions),
    }


def test_one_description_drives_both_drawings_of_a_heat_map(geometry):
    figure = catalog.cosine_heatmap(geometry)
    axes = png.matplotlib_figure(figure).axes[0]
    (trace,) = traces_in(webpage.render(figure))
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(figure.rows) == trace["y"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(figure.columns)
    assert axes.images[0].get_array().tolist() == trace["z"] == [*map(list, figure.values)]


def test_one_description_drives_both_drawings_of_a_scatter(geometry):
    figure = catalog.pca_scatter(geometry)
    axes = png.matplotlib_figure(figure).axes[0]
    drawn = {tuple(point) for cloud in axes.collections for point in cloud.get_offsets().tolist()}
    traces = traces_in(webpage.render(figure))
    on_page = {point for trace in traces for point in zip(trace["x"], trace["y"], strict=True)}
    assert drawn == on_page == set(zip(figure.x, figure.y, strict=True))
    hover = "".join(text for trace in traces for text in trace["hovertext"])
    assert all(f"<b>{word}</b>" in hover for word in figure.labels)
    assert axes.get_xlabel() == figure.x_label


def test_a_page_says_how_many_names_have_no_room():
    words = {"title": "t", "subtitle": "s", "caption": "Points.", "x_label": "x", "y_label": "y"}
    crowd = tuple(f"emotion {index}" for index in range(40))
    crowded = Scatter(labels=crowd, x=(0.5,) * 40, y=(0.5,) * 40, **words)
    page = webpage.render(crowded)
    missing = 40 - sum(bool(text) for text in traces_in(page)[0]["text"])
    assert 20 < missing < 40
    note = f"Points. There is no room for {missing} of 40 names: point at a dot to read its name."
    assert note in own_markup(page)
    roomy = Scatter(labels=("a", "b"), x=(0.0, 1.0), y=(0.0, 1.0), **words)
    assert ">Points.</p>" in own_markup(webpage.render(roomy))


def test_one_description_drives_both_drawings_of_lines_and_bars(analysis):
    sweep = catalog.layer_sweep(analysis["layers"])
    axes = png.matplotlib_figure(sweep).axes[0]
    valence = sweep.panels[0].lines[0]
    on_page = next(t for t in traces_in(webpage.render(sweep)) if t.get("name") == "valence")
    in_png = next(line for line in axes.get_lines() if line.get_label() == "valence")
    assert on_page["y"] == list(valence.y)
    heights = [None if height != height else float(height) for height in in_png.get_ydata()]
    assert heights == list(valence.y)

    stories = catalog.stories_written(analysis["counts"])
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
    bars, *lines = traces_in(webpage.render(figure))
    value, place = ("x", "y") if horizontal else ("y", "x")
    assert [line[value] for line in lines] == [[0.1, 0.6], [-0.3, 0.3]]
    assert [line[place] for line in lines] == [["a", "a"], ["c", "c"]]
    assert "[0.1, 0.6]" in bars["hovertext"][0]
    assert "[" not in bars["hovertext"][1]


def test_the_table_shows_the_same_tokens_and_the_page_their_values(analysis):
    figure = catalog.logit_lens_table(analysis["lens"])
    drawn = {text.get_text() for text in png.matplotlib_figure(figure).axes[0].texts}
    (trace,) = traces_in(webpage.render(figure))
    assert {row.label for row in figure.rows} <= drawn
    assert trace["cells"]["values"][0] == [row.label for row in figure.rows]
    for row, cell in zip(figure.rows, trace["cells"]["values"][1], strict=True):
        assert drawable(row.up[0][0]) in drawn
        for token, value in row.up:
            assert f"{for_plotly(token)}\u2069 <i>{value:+.2f}</i>" in cell


def test_hostile_names_are_text_on_the_page(hostile):
    plain = catalog.figures_of(hostile)
    for figure in plain.values():
        page = webpage.render(figure)
        markup = own_markup(page)
        assert "<img" not in markup and "<b>bold" not in markup
        assert page.count("<script") == markup.count("<script") + len(
            re.findall(r"<script.*?</script>", page, flags=re.DOTALL)
        )
        assert "alert(1)</script>" not in page
        data = json.dumps(traces_in(page))
        assert not re.search(r"<(script|img|a |br>broken)", data)
        assert "$" not in data, "MathJax, where a page has it, would read it"
    names = traces_in(webpage.render(plain["cosine_heatmap"]))[0]["y"]
    assert set(names) == {for_plotly(emotion) for emotion in hostile["geometry"]["emotions"]}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in webpage.render(plain["cosine_heatmap"])


def test_hostile_names_are_text_in_the_picture(hostile):
    figures = catalog.figures_of(hostile)
    for figure in figures.values():
        assert png.render(figure).startswith(b"\x89PNG")  # a missing glyph would be a warning
    axes = png.matplotlib_figure(figures["cosine_heatmap"]).axes[0]
    ticks = {tick.get_text() for tick in axes.get_yticklabels()}
    assert {"costs $5 and $x^2$", "<script>alert(1)</script>"} <= ticks
    assert not any(tick.get_parse_math() for tick in axes.get_yticklabels())


def test_characters_without_a_shape_are_written_as_escapes():
    assert drawable("sad 悲") == "sad \\u60b2"
    assert drawable("naïve ␣ печаль") == "naïve ␣ печаль"
    assert visible("a\n\x00\u202e\ud800") == "a\\n\\x00\\u202e\\ud800"


def test_the_same_description_gives_the_same_bytes(analysis):
    for figure in catalog.figures_of(analysis).values():
        assert png.render(figure) == png.render(figure)
        assert webpage.render(figure) == webpage.render(figure)


def test_two_figures_can_share_a_page(analysis):
    pages = [webpage.render(figure) for figure in catalog.figures_of(analysis).values()]
    ids = [re.findall(r'id="(figure-[0-9a-f]+)"', page) for page in pages]
    assert all(len(found) == 1 for found in ids)
    assert len({found[0] for found in ids}) == len(pages)


def test_a_page_needs_no_network(geometry):
    page = webpage.render(catalog.scree(geometry))
    assert "plotly.js v" in page
    assert not re.search(
        r"<(script|link|img|iframe)[^>]*(src|href)\s*=", page[:5000] + page[-5000:]
    )
    assert not re.search(r"<script[^>]+src\s*=", own_markup(page))
    assert "cdn.plot.ly" not in own_markup(page)


def test_a_reader_s_style_and_pyplot_are_left_alone(geometry):
    import matplotlib

    with matplotlib.rc_context({"font.size": 31.0, "text.usetex": False, "axes.grid": True}):
        ours = png.render(catalog.scree(geometry))
        assert matplotlib.rcParams["font.size"] == 31.0
    assert ours == png.render(catalog.scree(geometry))


def test_importing_the_package_loads_no_drawing_library():
    code = "import sys, probes.figures; print({'matplotlib', 'plotly'} & set(sys.modules))"
    root = Path(png.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_drawing_never_loads_pyplot(geometry, tmp_path):
    code = (
        "import sys, json, pathlib\n"
        "from probes.figures import catalog, to_png\n"
        "to_png(catalog.pca_scatter(json.load(sys.stdin)), pathlib.Path(sys.argv[1]))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "map.png")],
        cwd=Path(png.__file__).parents[2],
        input=json.dumps(geometry),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_draw_all_writes_a_pair_of_files_per_figure_and_nothing_else(analysis, tmp_path):
    folder = tmp_path / "new" / "figures"
    paths = draw_all(
        catalog.figures_of({"layers": analysis["layers"], "counts": analysis["counts"]}), folder
    )
    names = ["layer_sweep", "rsa_heatmap", "stories_written"]
    assert paths == [folder / f"{name}.{kind}" for name in names for kind in ("png", "html")]
    assert sorted(folder.iterdir()) == sorted(paths)


def test_a_failed_write_leaves_no_draft(geometry, tmp_path):
    taken = tmp_path / "scree.png"
    taken.mkdir()
    with pytest.raises(OSError):
        to_png(catalog.scree(geometry), taken)
    assert list(tmp_path.iterdir()) == [taken]


def test_files_hold_what_was_rendered(geometry, tmp_path):
    figure = catalog.scree(geometry)
    assert to_png(figure, tmp_path / "a.png").read_bytes() == png.render(figure)
    page = to_html(figure, tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == webpage.render(figure)
    assert f"<title>{figure.title}</title>" in page


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
