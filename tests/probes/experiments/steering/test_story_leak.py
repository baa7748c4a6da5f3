"""Content leak: words of an emotion's stories are told from its name, and counted."""

import pytest

from probes.experiments.steering.judged_texts import Continuations
from probes.experiments.steering.story_leak import distinctive_words, leak, leaked

STORIES = [
    ("she lost the umbrella, sadly", "sad", 0),
    ("the umbrella was gone", "sad", 1),
    ("lanterns shone on the water", "happy", 0),
    ("more lanterns and music", "happy", 0),
]


def test_words_of_an_emotions_stories_neither_name_it_nor_belong_to_one_topic():
    own = distinctive_words(*map(list, zip(*STORIES, strict=True)))
    assert own == {"sad": {"umbrella"}, "happy": set()}
    assert leak("An umbrella there", own["sad"]) == pytest.approx(0.5)
    assert leak("no", own["sad"]) == 0


def test_a_planted_leak_is_found_and_other_words_are_none():
    own = {"sad": {"umbrella"}, "happy": {"lanterns"}, "angry": {"doors"}}
    plain = ["They went down the road"] * 4
    planted = {name: [f"They went down {next(iter(own[name]))}"] * 4 for name in own}
    random = [["They went past lanterns there"] * 4, plain]
    leaks = leaked(Continuations(plain, planted, random), own, 0.5)
    assert leaks.excess_interval[0] > 0
    assert leaks.excess_over_random > 0
    assert leaks.elsewhere == leaks.unsteered == 0
    assert leaks.words == ["angry: doors", "happy: lanterns", "sad: umbrella"]
    # Words of another emotion's stories are not counted as the emotion's own.
    others = dict(zip(own, [*planted.values()][1:] + [planted["sad"]], strict=True))
    swapped = leaked(Continuations(plain, others, random), own, 0.5)
    assert swapped.excess_interval == (0.0, 0.0)
    assert [control.name for control in leaks.controls()] == [
        "unsteered text",
        "random-steered text",
    ]
