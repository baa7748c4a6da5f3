"""Story traits: who tells a story."""

import pytest

from probes.experiments.decoding.story_traits import narrator


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("I'd left my keys. She had my map.", "first"),
        ('He said, "I told you I lost my map." He left.', "third"),
        ("“I know,” she said, and we laughed; our train left.", "first"),
        ("The bell rang.", "neither"),
    ],
)
def test_the_narrator_is_told_by_pronouns_outside_quoted_speech(text, who):
    assert narrator(text) == who
