"""The report as people meet it: in a browser, with a keyboard, in the dark, on paper."""

import itertools

import browsing
import made_up_report
import pytest
from made_up_analysis import HOSTILE, TOKENS

from probes.figures.text import visible
from probes.report import page as report_page

EMOTIONS = made_up_report.emotions_with(HOSTILE)
OURS = 4
"""Script elements of the page: two of data, plotly's and the report's."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A report whose every text is hostile."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_page.render(made_up_report.contents(EMOTIONS)), encoding="utf-8")
    return file


def drawn(page):
    page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)
    return page


def texts(page, selector):
    return page.eval_on_selector_all(selector, "all => all.map(one => one.textContent)")


def labels_of_the_map(page):
    return page.eval_on_selector_all(
        "#map-plot .textpoint text",
        """all => all.map(one => {
          const map = document.getElementById("map-plot").getBoundingClientRect();
          const box = one.getBoundingClientRect();
          const [x, y] = [map.left, map.top];
          const edges = [box.left - x, box.top - y, box.right - x, box.bottom - y];
          return [one.textContent, ...edges.map(Math.round)];
        }).filter(row => row[0].trim())""",
    )


@pytest.fixture(scope="module")
def desktop(chromium, path):
    """A window 1280 pixels wide, in light colors; tests leave it as they found it."""
    with browsing.pages(chromium) as open_page:
        page = open_page(path)
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        yield drawn(page)


@pytest.fixture(scope="module")
def phone(chromium, path):
    with browsing.pages(chromium) as open_page:
        yield drawn(open_page(path, width=390, height=844))


@pytest.fixture(scope="module")
def dark(chromium, path):
    with browsing.pages(chromium) as open_page:
        yield drawn(open_page(path, color_scheme="dark"))


class TestHostileTexts:
    def test_make_no_elements(self, desktop):
        assert desktop.locator("script").count() == OURS
        assert desktop.locator("img, iframe, object, embed").count() == 0
        assert desktop.locator("main b, svg a, svg image[href^='x']").count() == 0
        links = desktop.eval_on_selector_all(
            "a[href]", "all => all.map(a => a.getAttribute('href'))"
        )
        assert all(link.startswith("#") for link in links)

    def test_are_names_in_the_menu_the_table_and_the_title(self, desktop):
        expected = [visible(name) for name in EMOTIONS]
        assert texts(desktop, "#emotion option") == expected
        assert texts(desktop, "#table-logit_lens_table tbody th") == expected
        assert texts(desktop, "h1") == [f"Emotion vectors of {expected[0]}"]

    def test_are_tokens_with_their_values(self, desktop):
        shown = {name.strip("␣") for name in texts(desktop, "#table-logit_lens_table bdi")}
        assert shown == {visible(name.strip(" ")) for name in TOKENS}
        assert {"<b>", "</script>", "$x$", "\\n\\n"} <= shown

    def test_are_words_of_a_story(self, desktop):
        assert "".join(texts(desktop, ".story span")).strip() == made_up_report.HOSTILE_STORY

    def test_are_labels_of_the_map_and_the_figures(self, desktop):
        names = {visible(name) for name in EMOTIONS}
        assert {row[0] for row in labels_of_the_map(desktop)} <= names
        ticks = texts(desktop, "#figure-held-out-topics-bars .ytick text")
        assert set(ticks) == names

    def test_are_text_beside_the_map_and_under_the_pointer(self, desktop):
        for place, name in enumerate(HOSTILE):
            desktop.select_option("#emotion", str(place))
            assert desktop.inner_text("#about strong") == visible(name)
        desktop.select_option("#emotion", "0")
        desktop.locator("#map-plot").scroll_into_view_if_needed()
        box = desktop.locator("#map-plot .point").first.bounding_box()
        desktop.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        desktop.wait_for_selector("#map-plot .hoverlayer text")
        assert visible(HOSTILE[0]) in desktop.text_content("#map-plot .hoverlayer")

    def test_do_not_reach_the_data_as_markup(self, path):
        source = path.read_text(encoding="utf-8")
        data = source.partition('id="map-data">')[2].partition("</script>")[0]
        assert len(data) > 10_000
        assert not set("<>&") & set(data)


class TestMap:
    def test_the_slider_moves_the_points_from_layer_to_layer(self, desktop):
        assert desktop.inner_text("#layer-now") == "12"
        before = desktop.text_content("#map-plot .xtitle"), labels_of_the_map(desktop)
        desktop.focus("#layer")
        desktop.keyboard.press("ArrowRight")
        assert desktop.inner_text("#layer-now") == "13"
        assert desktop.get_attribute("#layer", "aria-valuetext") == "layer 13"
        assert labels_of_the_map(desktop) != before[1]
        desktop.keyboard.press("ArrowLeft")
        assert (desktop.text_content("#map-plot .xtitle"), labels_of_the_map(desktop)) == before

    def test_umap_is_for_one_layer_and_says_so(self, desktop):
        desktop.focus("#layer")
        desktop.keyboard.press("Home")
        assert desktop.inner_text("#layer-now") == "0"
        desktop.check("input[value=umap]")
        assert desktop.inner_text("#layer-now") == "12"
        assert desktop.is_disabled("#layer")
        assert desktop.text_content("#map-plot .xtitle").startswith("UMAP 1")
        desktop.check("input[value=pca]")
        assert desktop.is_enabled("#layer")

    def test_clusters_are_named_by_their_members(self, desktop):
        desktop.check("input[value=cluster]")
        listed = texts(desktop, "#families li")
        assert [text.partition(":")[0] for text in listed] == [f"Cluster {n}" for n in range(1, 5)]
        assert sum(text.count(visible(name)) for text in listed for name in EMOTIONS[10:]) >= 14
        desktop.check("input[value=valence]")
        assert len(texts(desktop, "#families li")) == 4

    @pytest.mark.parametrize("window", ["desktop", "phone"])
    def test_no_name_covers_another(self, request, window):
        page = request.getfixturevalue(window)
        for _ in range(3):
            labels = labels_of_the_map(page)
            assert len(labels) >= 5
            for one, other in itertools.combinations(labels, 2):
                apart = one[3] <= other[1] + 1 or other[3] <= one[1] + 1
                apart = apart or one[4] <= other[2] + 3 or other[4] <= one[2] + 3
                assert apart, (one, other)
            page.focus("#layer")
            page.keyboard.press("ArrowLeft")
        for _ in range(3):
            page.keyboard.press("ArrowRight")


class TestTable:
    def test_a_search_leaves_the_rows_that_hold_the_words(self, desktop):
        desktop.fill("#search-logit_lens_table", EMOTIONS[-1].upper())
        rows = desktop.locator("#table-logit_lens_table tbody tr:visible")
        assert rows.count() == 1
        assert desktop.inner_text("output[for=search-logit_lens_table]") == "1 of 24"
        desktop.fill("#search-logit_lens_table", "")
        assert rows.count() == 24


class TestForEveryone:
    def test_the_page_is_never_wider_than_the_window(self, desktop, phone):
        for page in (desktop, phone):
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0

    def test_what_scrolls_sideways_can_be_reached_with_the_keyboard(self, phone):
        boxes = phone.eval_on_selector_all(
            ".scroll",
            "all => all.map(one => [one.scrollWidth > one.clientWidth + 1, one.tabIndex === 0])",
        )
        assert [wide for wide, _ in boxes].count(True) >= 5
        assert all(reached for wide, reached in boxes if wide)

    def test_headings_figures_and_tables_say_what_they_are(self, desktop):
        levels = desktop.eval_on_selector_all(
            "h1, h2, h3, h4, h5", "all => all.map(one => Number(one.tagName[1]))"
        )
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        plots = desktop.locator("[data-plot]")
        assert plots.count() >= 12
        for plot in plots.all():
            caption = plot.locator("xpath=ancestor::figure//figcaption").text_content()
            assert plot.get_attribute("role") == "img"
            assert caption in plot.get_attribute("aria-label")
        assert desktop.locator("table:not(:has(caption))").count() == 0
        assert desktop.locator("input:visible:not([id]):not([name])").count() == 0
        assert desktop.get_attribute("html", "lang") == "en"
        ids = desktop.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
        assert len(set(ids)) == len(ids)
        targets = desktop.eval_on_selector_all(
            "a[href^='#']", "all => all.map(a => a.getAttribute('href').slice(1))"
        )
        assert set(targets) <= set(ids)

    def test_the_keyboard_reaches_the_content_first_and_its_place_is_seen(self, dark):
        dark.keyboard.press("Tab")
        assert dark.evaluate("document.activeElement.className") == "skip"
        outline = dark.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"
        dark.keyboard.press("Enter")
        assert dark.evaluate("document.activeElement.id") == "main"

    def test_the_switch_goes_against_the_system_s_colors(self, dark):
        color = "getComputedStyle(document.body).backgroundColor"
        ink = "getComputedStyle(document.querySelector('#map-plot .xtitle')).fill"
        before = dark.evaluate(color), dark.evaluate(ink)
        dark.click("#theme")
        light = dark.evaluate(color), dark.evaluate(ink)
        assert light[0] == "rgb(255, 255, 255)"
        assert before[0] != light[0]
        assert before[1] != light[1]
        dark.click("#theme")
        assert (dark.evaluate(color), dark.evaluate(ink)) == before

    def test_on_paper_it_is_light_and_no_figure_is_cut_off(self, dark):
        dark.evaluate("dispatchEvent(new Event('beforeprint'))")
        widths = dark.eval_on_selector_all(
            "[data-plot], #map-plot",
            "all => all.map(one => one.querySelector('svg').getBoundingClientRect().width)",
        )
        assert max(widths) <= 700
        background = dark.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(255, 255, 255)"
        dark.evaluate("dispatchEvent(new Event('afterprint'))")
        assert dark.pdf(format="A4").startswith(b"%PDF")
