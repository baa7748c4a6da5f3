"""Texts with a past: what differs between two of a pair, and what must not."""

import collections
import itertools

import pytest

from probes.stimuli import emotions, leaks, named_emotions
from probes.stimuli.pasts import binding_scenes, dose_templates, negations, same_words

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


class TestBindingScenes:
    def test_24_scenes_of_48_people(self):
        scenes = binding_scenes()
        assert len({it.id for it in scenes}) == len(scenes) == 24
        names = [name for it in scenes for name in it.names]
        assert len(set(names)) == len(names) == 48

    @pytest.mark.parametrize("scene", binding_scenes(), ids=lambda it: it.id)
    def test_fates_begin_with_a_name_and_a_mention_has_one(self, scene):
        for fate in (scene.lucky, scene.unlucky):
            assert fate.startswith("{name} ")
            assert 15 <= len(fate.split()) <= 30
        for text in (scene.lucky, scene.unlucky, scene.mention):
            assert text.count("{name}") == 1 and text.endswith(".")
        before, _, after = scene.mention.partition("{name} ")
        assert before in ("Later ", "In the evening ")
        assert 8 <= len(after.split()) <= 15

    @pytest.mark.parametrize("scene", binding_scenes(), ids=lambda it: it.id)
    def test_no_name_is_in_the_texts_and_no_emotion_is_named(self, scene):
        for text in (scene.lucky, scene.unlucky, scene.mention):
            assert not any(name in text for name in scene.names)
            assert named_emotions(text) == []
            assert all(not leaks(text, it) for names in scene.implies.values() for it in names)

    def test_fates_imply_known_emotions_of_their_own(self):
        for scene in binding_scenes():
            assert set(scene.implies) == {"lucky", "unlucky"}
            lucky, unlucky = (scene.implies[fate] for fate in ("lucky", "unlucky"))
            assert lucky and unlucky and not set(lucky) & set(unlucky)
            assert {*lucky, *unlucky} <= set(emotions())

    def test_both_fates_are_as_long(self):
        """Else the place of a word would tell which was told first."""
        lengths = [
            [len(fate) for fate in (scene.lucky, scene.unlucky)] for scene in binding_scenes()
        ]
        lucky, unlucky = map(sum, zip(*lengths, strict=True))
        assert abs(lucky - unlucky) <= 0.05 * unlucky


class TestDoseTemplates:
    def test_twelve_of_which_six_are_bad_where_the_number_is_high(self):
        templates = dose_templates()
        assert len({it.id for it in templates}) == len(templates) == 12
        assert collections.Counter(it.high_is_bad for it in templates) == {True: 6, False: 6}
        assert len({it.suffix for it in templates}) == 12

    @pytest.mark.parametrize("template", dose_templates(), ids=lambda it: it.id)
    def test_ten_rising_numbers_over_an_order_of_magnitude(self, template):
        assert list(template.numbers) == sorted(set(template.numbers))
        assert len(template.numbers) == 10
        assert template.numbers[-1] >= 20 * template.numbers[0] > 0

    @pytest.mark.parametrize("template", dose_templates(), ids=lambda it: it.id)
    def test_text_and_control_hold_one_number_the_suffix_none(self, template):
        for text in (template.text, template.control):
            assert text.count("{number}") == 1 and text.endswith(".")
            assert 18 <= len(text.split()) <= 30
        assert "{" not in template.suffix
        assert 24 <= len(template.suffix.split()) <= 32
        assert template.with_number(7) == template.text.replace("{number}", "7")
        # As much of either stands before and after the number, or its place would tell them apart.
        parts = [text.partition("{number}") for text in (template.text, template.control)]
        for one, other in zip(*parts, strict=True):
            assert abs(len(one.split()) - len(other.split())) <= 2

    @pytest.mark.parametrize("template", dose_templates(), ids=lambda it: it.id)
    def test_no_emotion_is_named_and_rises_are_not_falls(self, template):
        for text in (template.text, template.control, template.suffix):
            assert named_emotions(text) == []
            assert all(not leaks(text, it) for it in (*template.rises, *template.falls))
        assert template.rises and template.falls
        assert not set(template.rises) & set(template.falls)
        assert {*template.rises, *template.falls} <= set(emotions())

    def test_what_rises_is_bad_where_a_high_number_is(self):
        """Calm and safe rise with a good number alone."""
        for it in dose_templates():
            good = it.falls if it.high_is_bad else it.rises
            bad = it.rises if it.high_is_bad else it.falls
            assert not set(good) & {"afraid", "desperate", "terrified", "humiliated"}
            assert not set(bad) & {"calm", "safe", "at ease", "relieved", "hopeful"}
