"""Estimates are arithmetic on what was counted or seen, with a bound that holds."""

import pytest

from probes.commands.estimate import Seen, Terms, Work, duration, estimate

WORK = Work(texts=1000, requests=1000, letters=400.0, max_new_tokens=200, max_attempts=4)


def test_with_nothing_seen_answers_are_as_long_as_they_may_be():
    found = estimate(WORK, None, Terms(at_once=10))
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (
        1000,
        100_000,
        200_000,
    )
    assert (found.seconds, found.cost) == (None, None)


def test_one_answer_gives_tokens_and_time():
    seen = Seen(texts=1, requests=1, prompt_tokens=90, completion_tokens=150, seconds=2.0)
    found = estimate(WORK, seen, Terms(at_once=10))
    assert (found.prompt_tokens, found.completion_tokens) == (90_000, 150_000)
    assert found.seconds == pytest.approx(1000 * 2.0 / 10)


def test_rejections_that_were_seen_are_expected_again():
    seen = Seen(texts=100, requests=150, prompt_tokens=15_000, completion_tokens=30_000)
    found = estimate(WORK, seen, Terms(at_once=10))
    assert (found.requests, found.completion_tokens) == (1500, 300_000)


def test_several_texts_per_prompt_are_no_rejections():
    work = Work(texts=1200, requests=100, letters=400.0, max_new_tokens=2000, max_attempts=4)
    seen = Seen(texts=120, requests=10, prompt_tokens=1000, completion_tokens=15_000)
    assert estimate(work, seen, Terms(at_once=10)).requests == 100


def test_a_stated_rate_and_prices_are_used():
    seen = Seen(texts=1, requests=1, prompt_tokens=100, completion_tokens=100, seconds=2.0)
    terms = Terms(at_once=10, tokens_per_second=500.0, input_price=1.0, output_price=10.0)
    found = estimate(WORK, seen, terms)
    assert found.seconds == pytest.approx(100_000 / 500)
    assert found.cost == pytest.approx(0.1 * 1 + 0.1 * 10)
    assert found.most_requests == 4000
    assert found.most_cost == pytest.approx(0.4 * 1 + 0.8 * 10)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5.0, "5 s"), (300.0, "5.0 min"), (7200.0, "2.0 h"), (400_000.0, "4.6 days")],
)
def test_a_time_is_spelled_as_a_person_would(seconds, said):
    assert duration(seconds) == said
