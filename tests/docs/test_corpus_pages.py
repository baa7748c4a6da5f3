"""What two pages say of the reference corpus is what the command prints of it."""

import json
import re
from importlib.resources import files

import pages
import pytest

from probes.run import main
from probes.stimuli import emotions, paper_clusters

FOLDER = files("probes.stimuli") / "corpora" / "reference"
DATASHEET = (FOLDER / "README.md").read_text("utf-8")
HOW_TO = (pages.ROOT / "docs" / "how-to" / "is-my-corpus-any-good.md").read_text("utf-8")
READINGS = {
    (None, "narrated"): "the other narrated topics | narrated",
    (None, "voiced"): "the other voiced topics | voiced",
    (None, "shown"): "all other topics | shown: both forms",
    ("narrated", "voiced"): "narrated | voiced",
    ("voiced", "narrated"): "voiced | narrated",
    ("said", "shown"): "said | shown",
    ("shown", "said"): "shown | said",
}


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """The command's JSON on the reference corpus."""
    with pytest.MonkeyPatch.context() as patch:
        output = tmp_path_factory.mktemp("audit") / "audit.json"
        with output.open("w", encoding="utf-8") as file:
            patch.setattr("sys.stdout", file)
            main(["corpus", "reference", "--json"])
        return json.loads(output.read_text("utf-8"))


def flat(page):
    return " ".join(page.split())


@pytest.mark.parametrize("page", [DATASHEET, HOW_TO], ids=["datasheet", "how-to"])
def test_word_counts_reach_what_the_page_says(audit, page):
    rows = []
    for reading in audit["readings"]:
        if name := READINGS.get((reading["learned"], reading["read"])):
            value, low, high = (
                f"{reading['accuracy'][key]:.1%}" for key in ("value", "low", "high")
            )
            rows.append(f"| {name} | {value} [{low}, {high}] |")
    assert len(rows) == len(READINGS)
    assert [row for row in rows if row not in page] == []
    assert {f"{reading['chance']:.1%}" for reading in audit["readings"]} == {"0.6%"}


def test_the_how_to_names_the_share_within_a_way(audit):
    [shown] = [it for it in audit["readings"] if (it["learned"], it["read"]) == (None, "shown")]
    assert f"Word counts name {shown['accuracy']['value']:.1%} of held-out topics" in flat(HOW_TO)
    largest = max(map(len, paper_clusters().values()))
    share = f"{largest / len(emotions()):.0%} ({largest} of {len(emotions())})"
    assert f"right in up to {share}" in flat(HOW_TO)


def test_limits_of_the_datasheet_are_the_commands(audit):
    checks = {check["name"]: check for check in audit["checks"]}
    section = DATASHEET.partition("| limit | found |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    assert len(rows) >= 10
    wrong = {
        name: (value, limit)
        for name, value, limit in rows
        if value != checks[name]["value"] or not limit.startswith(checks[name]["limit"])
    }
    assert wrong == {}


def test_counts_are_those_of_the_command(audit):
    described = audit["described"]
    for key in ("texts", "said", "neutral"):
        assert described[key] in flat(DATASHEET), key
    for key in ("texts", "said"):
        assert described[key] in flat(HOW_TO), key
    for part in ("opening", "closing"):
        low, high = re.findall(r", (\d+) to (\d+);", described[f"words per {part}"])[0]
        assert f"{low} to {high}" in DATASHEET


def test_every_limit_is_explained(audit):
    for check in audit["checks"]:
        name = check["name"]
        kind = re.match(r"said: |neutral: |word counts, ", name)
        assert (f"`{kind[0]}" if kind else f"`{name}`") in HOW_TO, name


def test_the_datasheet_lists_the_files_that_are_there():
    listed = re.findall(r"^\| `([\w.]+)` \|", DATASHEET, re.MULTILINE)
    there = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"README.md"}
    assert set(listed) == there
    for name in listed:
        if name.endswith(".jsonl"):
            n_lines = len((FOLDER / name).read_text("utf-8").splitlines())
            [row] = re.findall(rf"^\| `{name}` \| ([\d,]+) ", DATASHEET, re.MULTILINE)
            assert row == f"{n_lines:,}"
