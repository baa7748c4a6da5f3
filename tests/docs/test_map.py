"""The map of the code names every wing, and the page of examples what is there."""

import re

import pages
import pytest

MAP = (pages.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = {
    name.removesuffix(".py").strip("/").split("/")[-1] for name in re.findall(r"`([\w./]+)`", MAP)
}


@pytest.mark.parametrize("package", ["hooks", "probes"])
def test_every_wing_is_on_the_map(package):
    folder = pages.ROOT / package
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(packages - NAMED) == []


EXAMPLES = pages.ROOT / "docs" / "explanation" / "where-does-my-change-go.md"
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("hooks", "probes")
    for path in (pages.ROOT / package).rglob("*.py")
)


def test_what_the_page_of_examples_names_is_there():
    named = re.findall(r"`([^`\s]+)`", EXAMPLES.read_text(encoding="utf-8"))
    paths = [name for name in named if re.match(r"(hooks|probes)/", name)]
    names = [name for name in named if re.fullmatch(r"[A-Za-z_]+", name)]
    assert len(paths) >= 12
    assert len(names) >= 12
    assert [path for path in paths if not (pages.ROOT / path).exists()] == []
    assert [name for name in names if not re.search(rf"\b{name}\b", SOURCE)] == []


def test_the_page_walks_through_five_changes():
    headings = re.findall(r"^## A new (.+)$", EXAMPLES.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["experiment", "figure", "export format", "config key", "backend"]


def test_every_promise_is_held_by_tests_that_are_there():
    text = (pages.ROOT / "docs" / "explanation" / "promises.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)`", text))
    there = {path.name for path in (pages.ROOT / "tests").rglob("test_*.py")}
    assert len(named) >= 8
    assert named <= there
