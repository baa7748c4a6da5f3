"""The report as people meet it: in a browser, with a keyboard, in the dark, on paper."""

import itertools
import re
from io import BytesIO

import browsing
import made_up_report
import pytest
from made_up_analysis import HOSTILE, TOKENS, words_171
from PIL import Image

from probes.figures.text import visible
from probes.report import page as report_page
from probes.stimuli import paper_clusters
from probes.storage import read_json

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


def unfolded(page):
    """The page with everything opened that is folded."""
    drawn(page).click("#open-all")
    page.wait_for_function(
        "[...document.querySelectorAll('[data-plot]')].every(one => one.querySelector('svg'))"
    )
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


def point_at(page, place):
    """Move the pointer to an emotion's point; returns what is shown there."""
    page.mouse.move(1, 1)
    page.wait_for_selector("#map-plot .hoverlayer text", state="detached")
    box = page.locator("#map-plot .trace").first.locator(".point").nth(place).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#map-plot .hoverlayer text")
    return "\n".join(texts(page, "#map-plot .hoverlayer tspan")) or page.text_content(
        "#map-plot .hoverlayer"
    )


def page_color(page):
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(int(number) for number in re.findall(r"\d+", color)[:3])


def edges(page, box):
    """Colors at the left and at the right end of a box's lowest line."""
    box.evaluate("one => one.scrollIntoView({ block: 'end' })")
    picture = Image.open(BytesIO(box.screenshot())).convert("RGB")
    lowest = picture.height - 2
    return picture.getpixel((0, lowest)), picture.getpixel((picture.width - 1, lowest))


CONTRAST = """selector => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const solid = color => { const c = numbers(color); return c.length < 4 || c[3] === 1; };
  const light = color => {
    const [r, g, b] = numbers(color).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = one => {
    const color = getComputedStyle(one).backgroundColor;
    return solid(color) ? color : behind(one.parentElement);
  };
  return [...document.querySelectorAll(selector)].map(one => {
    const pair = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def desktop(chromium, path):
    """A window 1280 pixels wide, in light colors; tests leave it as they found it."""
    with browsing.pages(chromium) as open_page:
        yield unfolded(open_page(path))


@pytest.fixture(scope="module")
def phone(chromium, path):
    with browsing.pages(chromium) as open_page:
        yield unfolded(open_page(path, width=390, height=844))


@pytest.fixture(scope="module")
def dark(chromium, path):
    with browsing.pages(chromium) as open_page:
        yield unfolded(open_page(path, color_scheme="dark"))


@pytest.fixture(scope="module")
def real(chromium, validated):
    with browsing.pages(chromium) as open_page:
        yield unfolded(open_page(validated.folder / "report.html"))


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
        options = "all => all.map(one => one.value)"
        assert desktop.eval_on_selector_all("#emotions option", options) == expected
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
        for name in (*HOSTILE, HOSTILE[0]):
            desktop.fill("#emotion", visible(name))
            assert desktop.inner_text("#about strong") == visible(name)
        desktop.locator("#map-plot").scroll_into_view_if_needed()
        assert visible(HOSTILE[0]) in point_at(desktop, 0)

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
        names = made_up_report.contents(EMOTIONS).map["cluster_names"]
        assert len(listed) == len(names) == 4
        for number, (text, name) in enumerate(zip(listed, names, strict=True), start=1):
            assert text.startswith(f"Cluster {number} ({visible(name)}): ")
        assert sum(text.count(visible(name)) for text in listed for name in EMOTIONS[10:]) >= 14
        desktop.check("input[value=valence]")
        assert len(texts(desktop, "#families li")) == 4

    def test_the_key_has_the_shape_and_color_of_each_cluster_s_points(self, desktop):
        desktop.check("input[value=cluster]")
        key = desktop.eval_on_selector_all(
            "#families .dot",
            "all => all.map(one => [one.dataset.symbol, one.firstChild.getAttribute('fill')])",
        )
        marker = desktop.evaluate("document.getElementById('map-plot').data[0].marker")
        desktop.check("input[value=valence]")
        clusters = made_up_report.contents(EMOTIONS).map["clusters"]
        assert len({symbol for symbol, _ in key}) == 4
        for place, cluster in enumerate(clusters):
            assert [marker["symbol"][place], marker["color"][place]] == key[cluster]

    def test_a_crowd_is_colored_by_the_papers_clusters(self, open_page, tmp_path):
        made = made_up_report.contents(words_171(), every_section=False)
        (tmp_path / "report.html").write_text(report_page.render(made), encoding="utf-8")
        page = drawn(open_page(tmp_path / "report.html", width=1600, height=1200))
        assert page.is_checked("input[value=paper]")
        listed = texts(page, "#families li")
        assert [text.partition(":")[0] for text in listed] == list(paper_clusters())
        named = [row[0] for row in labels_of_the_map(page)]
        first = [made.map["emotions"][index] for index in made.map["order"]]
        # The chosen one comes before all; of the others whoever is important has room.
        assert len(set(first[:14]) & {*named}) >= 9
        assert "Paper's cluster: fear and overwhelm" in texts(page, "#about p")

    def test_the_pointer_tells_cluster_neighbors_and_words(self, desktop):
        shown_map = made_up_report.contents(EMOTIONS).map
        shown = point_at(desktop, 15)
        near = ", ".join(
            f"{visible(EMOTIONS[other])} ({cosine:.2f})"
            for other, cosine in shown_map["neighbors"][12][15]
        )
        assert visible(EMOTIONS[15]) in shown
        assert f"Cluster: {shown_map['clusters'][15] + 1}" in shown
        assert f"Nearest at layer 12: {near}" in shown
        words = ", ".join(visible(token) for token in shown_map["tokens"][15])
        assert f"Words it points to: {words}" in shown

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


def widths_of(page, selector):
    return page.eval_on_selector_all(
        selector, "all => all.map(one => [one.scrollWidth, one.parentElement.clientWidth])"
    )


class TestNamedPoints:
    SCATTERS = "[data-plot$='-points']"

    def test_take_the_room_they_have_and_scroll_nowhere(self, phone, desktop):
        for page in (phone, desktop):
            widths = widths_of(page, self.SCATTERS)
            assert widths
            assert all(width <= room for width, room in widths)
        assert widths_of(desktop, self.SCATTERS)[0][0] > 2 * widths_of(phone, self.SCATTERS)[0][0]

    @pytest.mark.parametrize("window", ["desktop", "phone"])
    def test_without_room_for_their_names_say_so(self, request, window):
        page = request.getfixturevalue(window)
        place = page.locator(self.SCATTERS).first
        names = [text for text in place.locator(".textpoint text").all_text_contents() if text]
        points = place.locator(".trace").first.locator(".point").count()
        caption = place.locator("xpath=ancestor::figure//figcaption").text_content()
        assert 0 < len(names) <= points
        missing = f"no room for {points - len(names)} of {points} names"
        assert (missing in caption) == (len(names) < points)
        assert ("no room" in caption) == (len(names) < points)


class TestFolds:
    """A reader who opens nothing has seen it all in short; a click, or a link, shows more."""

    def test_a_page_of_171_emotions_is_three_screens_of_few_words(self, open_page, tmp_path):
        made = made_up_report.contents(words_171())
        (tmp_path / "report.html").write_text(report_page.render(made), encoding="utf-8")
        page = drawn(open_page(tmp_path / "report.html", width=1280, height=900))
        assert page.evaluate("document.documentElement.scrollHeight") <= 3 * 900
        assert len(page.inner_text("main").split()) <= 700
        shown = page.inner_text("#found")
        assert all(claim.name in shown and claim.judged in shown for claim in made.claims)
        assert page.locator("[data-plot] svg").count() == 0

    def test_a_figure_is_drawn_when_what_holds_it_is_opened(self, open_page, path):
        page = drawn(open_page(path))
        page.locator("#steering > summary").click()
        page.wait_for_selector("#steering [data-plot] svg")
        assert page.locator("#clusters [data-plot] svg").count() == 0

    def test_a_claim_opens_its_test_or_leads_to_it(self, open_page, path):
        page = drawn(open_page(path))
        page.locator(".claim summary", has_text="Held-out accuracy").click()
        page.wait_for_selector(".claim[open] #held-out-topics")
        page.locator("#clusters > summary").click()
        page.wait_for_selector("#clusters[open] [data-plot] svg")
        assert "Results: Clusters" in page.inner_text("#clusters")
        page.goto(f"{page.url.partition('#')[0]}#steering")
        page.wait_for_selector("#steering[open] [data-plot] svg")

    def test_a_link_leads_to_an_emotion(self, open_page, path):
        page = drawn(open_page(path))
        page.goto(f"{page.url.partition('#')[0]}#emotion={EMOTIONS[-1]}")
        page.wait_for_function(
            f"document.querySelector('#about strong').textContent === {EMOTIONS[-1]!r}"
        )
        assert "Reliability: 0.50" in texts(page, "#about p")
        page.fill("#emotion", EMOTIONS[-2])
        assert page.url.endswith(f"#emotion={EMOTIONS[-2]}")

    def test_all_is_opened_and_closed_at_once(self, open_page, path):
        page = unfolded(open_page(path))
        assert page.locator("details:not([open]):not(.numbers)").count() == 0
        page.click("#open-all")
        assert page.locator("details[open]").count() == 0


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

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_what_scrolls_sideways_has_a_shadow_at_the_edge_that_hides_more(
        self, open_page, path, scheme
    ):
        page = unfolded(open_page(path, width=390, height=844, color_scheme=scheme))
        box = page.locator(".scroll:has([data-plot=cosine_heatmap])")
        assert box.evaluate("one => one.scrollWidth > one.clientWidth + 1")
        at_the_start = edges(page, box)
        box.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
        at_the_end = edges(page, box)
        assert at_the_start[0] == at_the_end[1] == page_color(page)
        assert page_color(page) not in (at_the_start[1], at_the_end[0])

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

    @pytest.mark.parametrize("window", ["desktop", "dark"])
    def test_words_can_be_told_from_what_is_behind_them(self, request, window):
        page = request.getfixturevalue(window)
        for selector in (".story span", ".token bdi", ".token small", ".verdict", "main p"):
            contrasts = page.evaluate(CONTRAST, selector)
            assert contrasts
            assert min(contrasts) >= 4.5, selector

    def test_numbers_of_a_story_s_words_need_no_pointer(self, phone):
        phone.locator(".numbers summary").first.focus()
        phone.keyboard.press("Enter")
        words = phone.locator(".numbers p").first
        assert words.is_visible()
        assert "and -0.33" in words.inner_text()
        phone.keyboard.press("Enter")
        assert not words.is_visible()
        assert "toward it" in phone.get_attribute(".key[role=img]", "aria-label")

    def test_the_keyboard_reaches_the_content_first_and_its_place_is_seen(self, open_page, path):
        dark = drawn(open_page(path, color_scheme="dark"))
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

    def test_on_paper_it_is_light_whole_and_no_figure_is_cut_off(self, dark):
        dark.emulate_media(media="print")
        dark.evaluate("dispatchEvent(new Event('beforeprint'))")
        widths = dark.eval_on_selector_all(
            "[data-plot], #map-plot",
            "all => all.map(one => one.querySelector('svg').getBoundingClientRect().width)",
        )
        assert max(widths) <= 700
        background = dark.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(255, 255, 255)"
        printed = dark.inner_text("body")
        assert all(visible(name) in printed for name in EMOTIONS)
        for words in ("random directions", "All numbers, with intervals", "Limits of this run"):
            assert words in printed
        assert dark.locator("nav:visible, .controls:visible, .numbers:visible").count() == 0
        dark.evaluate("dispatchEvent(new Event('afterprint'))")
        dark.emulate_media(media="screen")
        paper = dark.pdf(format="A4")
        assert paper.startswith(b"%PDF")
        assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") >= 5


class TestARealRun:
    """What a run of a tiny model left, UMAP and every experiment with it."""

    def test_every_figure_is_drawn(self, real):
        plots = real.locator("[data-plot]")
        assert plots.count() >= 20
        empty = real.eval_on_selector_all(
            "[data-plot]",
            "all => all.filter(one => !one.querySelector('svg .trace, svg .hm, svg image'))"
            ".map(one => one.dataset.plot)",
        )
        assert empty == []
        assert real.evaluate("document.documentElement.scrollWidth - innerWidth") == 0

    def test_the_pointer_tells_what_the_run_left_in_both_maps(self, real, validated):
        geometry = read_json(validated.folder / "analysis" / "geometry.json")
        lens = read_json(validated.folder / "analysis" / "logit_lens.json")
        calm = geometry["emotions"].index("calm")
        for kind in ("umap", "pca"):
            real.check(f"input[value={kind}]")
            real.locator("#map-plot").scroll_into_view_if_needed()
            shown = point_at(real, calm)
            assert "calm" in shown
            assert f"Cluster: {geometry['kmeans']['labels'][calm] + 1}" in shown
            cosines = geometry["cosine"][calm]
            order = sorted(range(len(cosines)), key=lambda place: -cosines[place])
            nearest = geometry["emotions"][order[1]]
            assert f"Nearest at layer {geometry['layer']}: {nearest} (" in shown
            [token, _] = lens["emotions"]["calm"]["top"][0]
            assert visible(token.strip()) in shown

    def test_umap_lies_where_the_run_put_it(self, real, validated):
        layout = read_json(validated.folder / "analysis" / "geometry.json")["umap"]
        real.check("input[value=umap]")
        drawn_at = real.evaluate("document.getElementById('map-plot').data[0].x")
        real.check("input[value=pca]")
        assert drawn_at == pytest.approx([x for x, _ in layout], abs=1e-3)
