"""Which emotions are steered with: of many the default, of few all."""

import pytest

from probes.stimuli import emotions, human_ratings, scenarios, steered_by_default, steered_of
from probes.stimuli._data import read_yaml

RATED = read_yaml("steered.yaml")
OWN = ["homesick", "weightless", "at sea"]


def test_the_default_is_24_rated_words_and_those_of_the_scenarios_in_the_order_of_the_171():
    rated = {name for names in RATED.values() for name in names}
    implied = {it.emotion for it in scenarios() if it.emotion is not None}
    assert len(rated) == sum(map(len, RATED.values())) == 24
    assert set(steered_by_default()) == rated | implied
    assert len(steered_by_default()) == 30
    assert list(steered_by_default()) == [
        name for name in emotions() if name in steered_by_default()
    ]


def test_the_rated_words_lie_on_the_sides_that_they_are_listed_under():
    rating = human_ratings()
    arousal = {}
    for side, names in RATED.items():
        pleasant = not side.startswith("unpleasant")
        assert all((rating[name].pleasure > 0) == pleasant for name in names)
        arousal[side] = sum(rating[name].arousal for name in names) / len(names)
    assert arousal["pleasant, excited"] > arousal["pleasant, milder"] + 0.2
    assert arousal["unpleasant, excited"] > arousal["unpleasant, calm"] + 0.4


@pytest.mark.parametrize(
    ("run", "asked", "also", "steered"),
    [
        (["sad", "happy", "kind"], None, (), ["sad", "happy", "kind"]),
        (["sad", "smug", "happy"], None, (), ["sad", "smug", "happy"]),
        ([*emotions()], None, (), [*steered_by_default()]),
        (OWN, None, (), OWN),
        ([*OWN, "sad"], None, (), [*OWN, "sad"]),
        (["sad", "smug", "happy"], ["happy", "smug"], (), ["smug", "happy"]),
        (["sad", "hostile", "happy"], None, ["hostile", "blissful"], ["sad", "hostile", "happy"]),
        (["sad", "hostile", "happy"], ["sad", "happy"], ["hostile"], ["sad", "happy"]),
        ([*OWN, "hostile"], None, ["hostile"], [*OWN, "hostile"]),
    ],
    ids=[
        "all in the default", "few", "those in the default", "none in it", "one in it", "asked for",
        "an experiment's own besides", "nothing besides what was asked for", "all, and no more",
    ],
)  # fmt: skip
def test_a_runs_own_order_is_kept(run, asked, also, steered):
    assert steered_of(run, asked, also) == steered


def test_a_run_of_all_171_is_steered_with_30():
    assert steered_of(emotions(), None) == list(steered_by_default())
