"""Texts with a past: what differs between two of a pair, and what must not."""

import itertools

import pytest

from probes.stimuli import emotions
from probes.stimuli.lexicon import named_emotions
from probes.stimuli.pasts import negations, same_words

STIMULI = same_words()


def test_there_are_as_many_as_promised():
    assert (len(STIMULI.pairs), len(STIMULI.neutral), len(STIMULI.suffixes)) == (32, 12, 4)
    ids = [it.id for it in (*STIMULI.pairs, *STIMULI.neutral)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("pair", STIMULI.pairs, ids=lambda pair: pair.id)
def test_a_turn_names_no_emotion_and_is_as_long_as_the_other(pair):
    assert not named_emotions(f"{pair.good} {pair.bad}")
    good, bad = pair.good.split(), pair.bad.split()
    assert abs(len(good) - len(bad)) <= 3
    assert 30 <= len(good) <= 48
    assert pair.good != pair.bad
    assert "{name}" in pair.good and "{name}" in pair.bad
    for names in pair.implies.values():
        assert {*names} <= {*emotions()} and 1 <= len(names) <= 3
    assert not {*pair.implies["good"]} & {*pair.implies["bad"]}


def test_turns_imply_many_emotions():
    for turn in ("good", "bad"):
        assert len({pair.implies[turn][0] for pair in STIMULI.pairs}) >= 14


@pytest.mark.parametrize("pair", STIMULI.neutral, ids=lambda pair: pair.id)
def test_neutral_turns_name_nothing(pair):
    assert not named_emotions(f"{pair.one} {pair.other}")
    assert pair.one != pair.other
    assert abs(len(pair.one.split()) - len(pair.other.split())) <= 3


def test_suffixes_share_little_and_name_nothing():
    for suffix in STIMULI.suffixes:
        assert not named_emotions(suffix)
        assert 22 <= len(suffix.split()) <= 30
    for one, other in itertools.combinations(STIMULI.suffixes, 2):
        long = {word for word in one.lower().split() if len(word) > 4}
        assert len(long & set(other.lower().split())) <= 3


def test_a_frame_is_said_denied_and_filled():
    for frame in negations():
        said = frame.affirmed("sad")
        assert "feeling sad" in said and "  " not in said
        assert frame.negated("sad").replace("not ", "") == said
        for filler in frame.fillers:
            assert frame.filled(filler, "sad").replace(f"{filler} ", "", 1) == said
        assert said.endswith(frame.end) and frame.end
    assert len(negations()) == 4
