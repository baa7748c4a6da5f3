"""Addresses on the hub: what is one, and what is refused before anything is asked of it."""

from pathlib import Path

import pytest

from hooks.errors import InvalidInput
from probes import EmotionVectors
from probes.vectors import hub


def test_only_text_with_the_prefix_is_an_address():
    assert hub.is_hub("hf://me/mine")
    assert not hub.is_hub("output/demo")
    assert not hub.is_hub(Path("hf://me/mine"))


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("hf://me/mine", ("me/mine", None)),
        ("hf://me/mine@v1.2", ("me/mine", "v1.2")),
        ("hf://me/mine@refs/pr/3", ("me/mine", "refs/pr/3")),
    ],
)
def test_an_address_names_repository_and_revision(uri, parts):
    assert hub.parse(uri) == parts


@pytest.mark.parametrize("uri", ["hf://", "hf://mine", "hf://a/b/c", "hf://a/b@", "hf://a/b c"])
def test_anything_else_is_refused(uri):
    with pytest.raises(InvalidInput, match="expected hf://user/repo"):
        EmotionVectors.load(uri)


@pytest.mark.parametrize("repo", ["mine", "a/b/c", "a/b..c", "-a/b", ""])
def test_a_name_the_hub_would_refuse_is_refused_here(repo):
    with pytest.raises(InvalidInput, match="expected a repository user/name"):
        hub.check_repo(repo)
