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
