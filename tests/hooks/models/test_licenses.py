"""A model's terms are told where they are known, and said not to be where they are not."""

import pytest

from hooks.models.embedded import EMBEDDED
from hooks.models.licenses import hub_id, license_of


@pytest.mark.parametrize("name", EMBEDDED)
def test_of_embedded_models_they_are_known(name):
    assert license_of(f"embedded:{name}").words == EMBEDDED[name].license
    assert hub_id(f"embedded:{name}") == EMBEDDED[name].hub


def test_of_a_folder_they_come_from_its_page(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    assert license_of(str(tmp_path)).identifier == "mit"


@pytest.mark.parametrize(
    "page", ["", "# No front matter", "---\ntags: [a]\n---\n", "---\n- 1\n---\n"]
)
def test_of_a_page_that_does_not_say_they_are_not_known(tmp_path, page):
    (tmp_path / "README.md").write_text(page)
    known = license_of(str(tmp_path))
    assert known.identifier is None
    assert f"read the terms of {tmp_path.name} before you share" in known.words


def test_of_a_model_that_is_not_here_they_are_not_known():
    assert license_of("nobody/nothing").identifier is None
    assert "nobody/nothing" in license_of("nobody/nothing").words


def test_only_ids_of_the_hub_are_hub_ids(tmp_path):
    assert hub_id("google/gemma-3-270m") == "google/gemma-3-270m"
    assert hub_id(str(tmp_path)) is None
    assert hub_id("gpt2") is None
