"""The page as a file: data that cannot end its element, sizes, the same bytes."""

import dataclasses
import re

import made_up_analysis
import made_up_report
from made_up_analysis import HOSTILE

from probes.figures import Scatter
from probes.figures.text import visible
from probes.report import markdown, page, pictures

EMOTIONS = made_up_report.emotions_with(HOSTILE)


def test_numbers_are_cut_to_five_digits():
    assert page._short([0.123456789, {"x": 123456.789}, 3]) == [0.12346, {"x": 123460.0}, 3]


def test_the_same_contents_give_the_same_bytes():
    contents = made_up_report.contents(EMOTIONS)
    assert page.render(contents) == page.render(made_up_report.contents(EMOTIONS))


def test_sections_without_a_result_are_left_out():
    bare = page.render(made_up_report.contents(EMOTIONS, every_section=False))
    assert '<section id="tests"' not in bare
    assert '<a href="#tests">' not in bare.partition("</nav>")[0]


def test_every_link_leads_somewhere_and_what_is_folded_says_its_verdict():
    whole = page.render(made_up_report.contents(EMOTIONS)).partition("<script type=")[0]
    for target in set(re.findall(r'href="#([^"]+)"', whole)):
        assert f'id="{target}"' in whole, target
    folded = re.findall(r"<summary>(.*?)</summary>", whole, re.DOTALL)
    claims = [line for line in folded if 'class="verdict' in line and "[" in line]
    assert len(claims) == 3


def test_a_story_says_its_z_where_it_has_one():
    contents = made_up_report.contents(EMOTIONS, every_section=False)
    stories = [dataclasses.replace(story, z=3.14) for story in contents.stories]
    above = dataclasses.replace(contents, stories=stories)
    for render in (page.render, markdown.render):
        said = "z +3.1 (standard deviations above neutral text)."
        assert render(above).count(said) == len(stories) == 1
        assert "above neutral text" not in render(contents)


def test_the_ladder_stands_once_and_its_rungs_beside_the_claims_they_belong_to():
    whole = page.render(made_up_report.contents(EMOTIONS)).partition("<script type=")[0]
    claims = whole.split('<details class="line claim">')[1:]
    cards = {card.split('"what">')[1].split("<")[0]: card for card in claims}
    beside = [name for name, card in cards.items() if 'class="rungs"' in card]
    assert beside == ["|r| with human valence", "Held-out accuracy"]
    values = [
        "0.10 [0.00, 0.20]",
        "10.0% [0.0%, 20.0%]",
    ]
    for name, value in zip(beside, values, strict=True):
        assert f'<th scope="row">random directions</th><td>{value}</td>' in cards[name]
    assert whole.count("Results: Null ladder") == 1


def test_171_emotions_make_a_page_of_a_few_megabytes():
    emotions = made_up_analysis.words_171()
    written = page.render(made_up_report.contents(emotions, every_section=False))
    assert len(written.encode()) < 6_000_000
    assert written.count('<th scope="row">') >= 171


def test_a_crowded_heat_map_fits_the_page_and_shows_the_names_there_is_room_for():
    geometry = made_up_analysis.synthetic_geometry(made_up_analysis.words_171(), clusters=10)
    layout = page.plot(pictures.figures_of(geometry)["cosine_heatmap"])["layout"]
    assert layout["height"] < 1000
    assert "dtick" not in layout["xaxis"]
    assert "width" not in layout


def test_hostile_names_are_escaped_in_the_source():
    source = page.render(made_up_report.contents(EMOTIONS))
    body = source.partition('<script type="application/json"')[0]
    for name in HOSTILE:
        if "<" in name:
            assert visible(name) not in body
    assert "onerror=alert(1)&gt;" in body


def test_a_scatter_grows_to_its_own_width_and_leaves_its_names_to_the_script():
    names = (HOSTILE[0], "calm", "sad")
    figure = Scatter(
        title="t", subtitle="s", caption="c", labels=names, x=(0.0, 0.0, 1.0), y=(0.5, 0.5, 1.0),
        x_label="x", y_label="y", shades=(None, 0.5, -0.5),
    )  # fmt: skip
    drawn = page.plot(figure)
    assert drawn["least"] == 320
    assert drawn["most"] == 1060
    assert drawn["wide"] is None
    assert drawn["names"]["text"] == [visible(name) for name in names]
    assert drawn["names"]["x"] == figure.x
    assert {trace["mode"] for trace in drawn["data"]} == {"markers"}
    assert not any("text" in trace for trace in drawn["data"])
    bars = pictures.figures_of(counts=made_up_analysis.synthetic_counts(["calm", "sad"]))
    assert page.plot(bars["stories_written"])["names"] is None
