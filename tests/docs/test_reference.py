"""The reference holds every command, every flag, and every architecture."""

import importlib.metadata
import importlib.util
import json

import pages
import pytest

from hooks.models.miniature import architectures
from probes.commands import COMMANDS

DOCS = pages.ROOT / "docs"


def page(name: str, hook: str) -> str:
    """A page as the site has it."""
    spec = importlib.util.spec_from_file_location(hook, DOCS / f"{hook}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    raw = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    return module.on_page_markdown(raw, page=None, config=None, files=None)


@pytest.fixture(scope="module")
def built() -> str:
    return page("command-line", "command_help")


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


def test_every_architecture_of_this_transformers_has_its_verdict():
    printed = json.loads((DOCS / "reference" / "architectures.json").read_text(encoding="utf-8"))
    tried = [it["kind"] for it in printed["architectures"]]
    assert (printed["transformers"], tried) == (
        importlib.metadata.version("transformers"),
        architectures(),
    ), "run `make architectures`"
    assert printed["share"] >= 0.97
    table = page("models", "architectures")
    assert all(f"`{kind}`" in table for kind in tried)
    assert f"({printed['share']:.1%})" in table
