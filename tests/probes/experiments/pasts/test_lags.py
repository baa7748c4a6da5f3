"""Curves over lags: what lasts along planted directions, and who lasts as long."""

import math

import pytest
import torch

from probes.analysis.findings import Finding
from probes.experiments.pasts.lags import RANDOM, SHUFFLED, TOPICS, WORDS, Course, follow

D, KEPT = 12, 0.9


def _texts(n=48, steps=60, seed=0):
    """Texts whose steps keep a share of the one before along two dimensions of one layer."""
    generator, texts = torch.Generator().manual_seed(seed), []
    for _ in range(n):
        fresh = torch.randn(steps, 2, D, generator=generator)
        for step in range(1, steps):
            fresh[step, 0, :2] *= math.sqrt(1 - KEPT**2)
            fresh[step, 0, :2] += KEPT * fresh[step - 1, 0, :2]
        texts.append(fresh)
    return texts


def _sets(rows, n=24, seed=1):
    """Sets of two random directions among some dimensions."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.zeros(n, 2, D)
    drawn[:, :, rows] = torch.randn(n, 2, len(rows), generator=generator)
    return list(drawn / drawn.norm(dim=2, keepdim=True))


SLOW, FAST = [0, 1], list(range(2, D))
OWN = [torch.eye(D)[:2]] * 2


def _course(random, shuffled=FAST, own=OWN, texts=None) -> Course:
    sets = {RANDOM: _sets(random), SHUFFLED: _sets(shuffled, seed=2)}
    course = follow("token", texts or _texts(), own, sets)
    assert course is not None
    return course


def test_what_lasts_is_seen_with_its_size_and_beats_what_does_not():
    course = _course(FAST)
    assert list(course.lags) == [1, 2, 4, 8, 16, 32]
    for lag, own in zip(course.lags, course.own, strict=True):
        assert own.value == pytest.approx(KEPT**lag, abs=0.04)
    assert list(course.controls) == [RANDOM, SHUFFLED, WORDS]
    assert all(abs(r) < 0.1 for it in course.controls.values() for r in it.r)
    finding = course.finding(2)
    assert finding.verdict == "shown"
    assert finding.p == pytest.approx(1 / 25)
    assert "below 1/e from lag 16 on" in finding.note


def test_directions_that_fade_as_the_others_do_are_not_shown():
    shown = 0
    for seed in range(12):
        own = [_sets(FAST, n=1, seed=100 + seed)[0]] * 2
        finding = _course(FAST, own=own, texts=_texts(24, 40, seed)).finding(2)
        shown += finding.verdict != "not shown"
    assert shown <= 2


def test_what_lasts_no_longer_than_other_directions_is_shown_in_part():
    course = _course(SLOW)
    assert course.finding(2).verdict == "shown in part"
    assert course.finding(2).p > 0.05
    assert "last longer than shuffled labels and words alone" in course.sentences()
    assert _course(SLOW, SLOW).finding(2).verdict == "not shown"


def test_words_alone_may_last_as_long():
    course = _course(FAST, texts=[text[:, [0, 0]] for text in _texts()])
    assert course.finding(2).verdict == "shown in part"
    assert course.controls[WORDS].p is None


def test_directions_of_topics_are_told_and_take_no_verdict_away():
    sets = {RANDOM: _sets(FAST), SHUFFLED: _sets(FAST, seed=2), TOPICS: _sets(SLOW)}
    course = follow("token", _texts(), OWN, sets)
    assert course is not None and not course.lasts_beyond(TOPICS)
    assert course.finding(2).verdict == "shown"
    assert f"{TOPICS} {course.controls[TOPICS].r[course.at]:+.3f}" in course.sentences()


def test_line_sentence_and_figure_say_the_same_number():
    course = _course(FAST)
    finding: Finding = course.finding(2)
    number = f"{course.own[course.at].value:+.3f}"
    assert course.lags[course.at] == 16 and "lag 16 (tokens)" in finding.name
    figure = course.curves("a model", "layer 0")
    for text in (finding.line, course.sentences(), figure.caption):
        assert number in text
    own, *others = figure.panels[0].lines
    assert own.y == tuple(it.value for it in course.own)
    assert [line.name for line in others] == list(course.controls)


def test_short_texts_are_judged_at_the_longest_lag_that_they_have():
    course = _course(FAST, texts=[text[:10] for text in _texts()])
    assert list(course.lags) == [1, 2, 4, 8]
    assert course.lags[course.at] == 8
    assert "lag 8" in course.finding(2).name


def test_few_texts_or_single_steps_have_no_course():
    for texts in (_texts(7), [text[:1] for text in _texts()], []):
        assert follow("token", texts, OWN, {RANDOM: _sets(FAST), SHUFFLED: _sets(FAST)}) is None


def test_turns_are_judged_at_the_next_one():
    sets = {RANDOM: _sets(FAST), SHUFFLED: _sets(FAST)}
    course = follow("turn", [text[:5] for text in _texts()], OWN, sets)
    assert course is not None
    assert list(course.lags) == [1, 2, 3, 4] and course.at == 0
    assert "scores 1 turn apart" in course.sentences()


def test_a_single_layer_has_no_control_of_words():
    course = _course(FAST, own=OWN[:1])
    assert WORDS not in course.controls and course.finding(2).verdict == "shown"
