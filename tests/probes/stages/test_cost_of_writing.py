"""Estimates are arithmetic on what was counted or seen, with a bound that holds."""

import math

import pytest

from probes.config import EndpointSettings
from probes.stages.cost_of_writing import Asked, Seen, amount, cost, estimated, look
from probes.stages.units import plan

ASKED = Asked(cells=1000, texts=1000, prompts=1000, prompt_tokens=100.0, new_tokens=200)


def content(n_texts, requested=2, **usage):
    """A cell's file, as far as it is looked at."""
    texts = [{"text": "He sat down."} for _ in range(n_texts)]
    counts = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "uncounted": 0}
    return {"texts": texts, "requested": requested, "usage": counts | usage}


def rows(made, **endpoint):
    """What writing the stories of a run would take, by name."""
    run = made.run(**{f"endpoint__{name}": value for name, value in endpoint.items()})
    todo = plan(run, "stories", run.story_cells)
    return dict(estimated(run, "stories", todo, None))


def test_with_nothing_seen_answers_are_as_long_as_they_may_be():
    expected = amount(ASKED, Seen())
    assert (expected.drafts, expected.prompt_tokens) == (1000, 100_000)
    assert expected.new_tokens == expected.read == 200_000
    assert expected.letters == 4 * 200_000


def test_rejections_that_were_seen_are_expected_again():
    seen = Seen(drafts_per_prompt=1.5, prompt_tokens=90.0, tokens_per_draft=150.0)
    expected = amount(ASKED, seen)
    assert expected.drafts == 1500
    assert (expected.prompt_tokens, expected.new_tokens) == (135_000, 225_000)


def test_several_texts_per_prompt_are_no_rejections():
    cells = [content(12, 12, requests=1, completion_tokens=1500) for _ in range(10)]
    seen = look(cells, texts_per_prompt=12)
    assert seen is not None
    assert (seen.drafts_per_prompt, seen.tokens_per_draft) == (1, 1500)
    assert look(cells, texts_per_prompt=1).drafts_per_prompt == pytest.approx(1 / 12)


def test_what_a_server_did_not_count_does_not_shorten_its_answers():
    cells = [content(2, requests=4, completion_tokens=400), content(1, requests=4, uncounted=4)]
    seen = look(cells, 1, n_tokens=len)
    assert (seen.drafts_per_prompt, seen.tokens_per_draft) == (2, 100)
    assert seen.kept_per_text == 0.75
    assert seen.tokens_per_text == seen.letters_per_text == len("He sat down.")


def test_cells_without_a_text_say_nothing():
    assert look([], 1) is None
    assert look([content(0, requests=3)], 1) is None


def test_a_stated_rate_gives_the_time(small_run):
    made = small_run()
    assert "states a rate" in rows(made)["time"]
    timed = rows(made, tokens_per_second=12 * 18 / 300)
    assert timed["time"] == "about 5.0 min at 0.72 new tokens per second"


def test_prices_give_a_cost():
    endpoint = EndpointSettings(input_price=1.0, output_price=10.0)
    assert cost(endpoint, 1e5, 1e5) == pytest.approx(0.1 * 1 + 0.1 * 10)
    assert math.isnan(cost(EndpointSettings(input_price=1.0), 1e5, 1e5))


def test_the_bound_is_every_attempt_at_full_length(small_run):
    said = rows(small_run())
    assert said["requests"] == "about 18, at most 72"
    assert said["new tokens"] == f"about {18 * 12}, at most {72 * 12}"
