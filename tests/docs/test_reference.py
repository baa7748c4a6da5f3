"""The reference of the command line holds every command and every flag."""

import importlib.util

import pages
import pytest

from probes.commands import COMMANDS

DOCS = pages.ROOT / "docs"


@pytest.fixture(scope="module")
def built() -> str:
    """The page as the site has it."""
    spec = importlib.util.spec_from_file_location("command_help", DOCS / "command_help.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    return module.on_page_markdown(page, page=None, config=None, files=None)


def test_the_overview_and_every_stage_are_there(built):
    assert "## emotion-probes" in built
    assert "Exit codes" in built
    assert "compute-vectors" in built


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_there_with_its_flags(built, name):
    section = built.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert COMMANDS[name].summary() in section
    assert all(f"--{flag}" in section for flag in COMMANDS[name].meanings())


def test_a_page_without_a_place_stays_as_it_is(built):
    assert "<!-- the help" not in built
