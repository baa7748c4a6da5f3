"""The report of a finished run says what its stages left, and stands alone."""

import re

from probes.figures.text import visible
from probes.storage import read_json


def read(finished, name):
    return (finished.folder / name).read_text(encoding="utf-8")


def test_both_forms_say_what_the_experiments_left(finished):
    steering = read_json(finished.folder / "analysis" / "steering.json")
    page, text = read(finished, "report.html").replace("&#39;", "'"), read(finished, "report.md")
    assert steering["paragraph"] in page
    for label, _ in steering["rows"]:
        assert label in page
        assert label in text
    for emotion in finished.run().emotions:
        assert f'<th scope="row">{emotion}</th>' in page
        assert f"| {emotion} |" in text


def test_the_scorecard_has_a_section_with_every_number_that_was_measured(finished):
    lines = read_json(finished.folder / "analysis" / "scorecard.json")["lines"]
    page, text = read(finished, "report.html"), read(finished, "report.md")
    assert 'id="scorecard"' in page
    assert f"Of {len(lines)} numbers" in page
    for line in lines:
        if line["ours"] is not None:
            assert line["name"] in page
            assert line["name"] in text.replace("\\", "")


def test_every_picture_of_the_text_is_in_the_run_s_folder(finished):
    linked = re.findall(r"\]\((figures/[^)]+)\)", read(finished, "report.md"))
    assert {"figures/pca_scatter.png", "figures/steering_matrix.png"} <= set(linked)
    assert all((finished.folder / name).is_file() for name in linked)


def test_example_stories_are_whole_and_colored_by_their_own_emotion(finished):
    page = read(finished, "report.html")
    shown = re.findall(r'<p class="story" dir="auto">(.*?)</p>', page, flags=re.DOTALL)
    texts = [
        story["text"]
        for path in finished.folder.glob("stories/*/*.json")
        for story in read_json(path)["texts"]
    ]
    assert len(shown) == len(finished.run().emotions)
    for story in shown:
        assert re.sub(r"<[^>]+>", "", story).strip() in {visible(text) for text in texts}
        titles = re.findall(r'title="([+-]\d\.\d\d)"', story)
        assert len(titles) > 10
        assert len(set(titles)) > 3


def test_the_record_holds_the_verdicts(finished):
    counts = finished.run().record("report").counts
    assert set(counts["claims"]) == {"Steering"}
    assert set(counts["claims"].values()) <= {"shown", "not shown", "not shown, borderline"}
    assert counts["experiments"] == ["steering", "scorecard"]


def test_the_page_holds_plotly_once_and_no_folder_of_this_machine(finished):
    page = read(finished, "report.html")
    assert page.count('id="plotly"') == 1
    assert str(finished.folder) not in page
    assert len(page) < 4_000_000
