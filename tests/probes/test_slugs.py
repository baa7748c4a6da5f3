"""Folder names are readable, safe everywhere, and never shared by two names."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooks.errors import InvalidInput
from probes.stimuli import emotions
from probes.storage import MAX_LENGTH, slug

NAMES = st.text(st.characters(exclude_categories=()), min_size=1, max_size=150).filter(str.strip)
# Few characters, so that near-equal names come up often.
NEAR_NAMES = st.text("aA _-%5f.~/é", min_size=1, max_size=6).filter(str.strip)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sad", "sad"),
        ("at ease", "at_ease"),
        ("self-confident", "self-confident"),
        ("at_ease", "at%5fease"),
    ],
)
def test_plain_words_stay_readable(name, expected):
    assert slug(name) == expected


def test_the_171_emotions_have_171_readable_slugs():
    slugs = {slug(name) for name in emotions()}
    assert len(slugs) == 171
    assert all(re.fullmatch(r"[a-z_-]+", text) for text in slugs)


def test_names_that_other_schemes_confuse_stay_apart():
    names = [
        "at ease",
        "at_ease",
        "At Ease",
        "at-ease",
        "at  ease",
        "at%20ease",
        "at%5fease",
        "atease",
        "../x",
        "/etc",
        "a/b",
        "a\\b",
        "x\0",
        "x",
        ".",
        "..",
        "é",
        "e\u0301",
        "\ud800",
        "con",
        "CON",
        "%63on",
        "-x",
        "%2dx",
        "a" * 200,
        "a" * 201,
        "~",
        " x",
        "x ",
    ]
    slugs = [slug(name).casefold() for name in names]
    assert len(set(slugs)) == len(names)


@given(NAMES)
@example("../x")
@example("/etc")
@example("\0")
@example("nul")
@example("C:\\x")
@example("\ud800")
@example("é" * 400)
def test_a_slug_is_a_safe_folder_name(name):
    text = slug(name)
    assert 0 < len(text) <= MAX_LENGTH == 100
    assert re.fullmatch(r"[a-z0-9_%~][a-z0-9_%~-]*", text)
    assert text not in {"con", "prn", "aux", "nul"}
    assert slug(name) == text


@given(NAMES, NAMES)
def test_two_names_never_share_a_slug(first, second):
    assert (slug(first) == slug(second)) == (first == second)


@given(NEAR_NAMES, NEAR_NAMES)
def test_two_similar_names_never_share_a_slug(first, second):
    assert (slug(first) == slug(second)) == (first == second)


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(InvalidInput, match="visible character"):
        slug(name)
