"""The arithmetic of a plan: paper scale, budgets, rates."""

from dataclasses import replace

import pytest

from probes.commands.cost import Rates, Seen, Size, Task, plan

PAPER = Task(
    emotions=171,
    topics=100,
    stories_per_topic=12,
    dialogues_per_topic=2,
    new_tokens=256,
    neutral_new_tokens=256,
    prompt_tokens=60.0,
    prompt_tokens_read=30.0,
    batch_size=96,
    layers=42,
    batch_tokens=8192,
    shard_size=256,
    neutral_tokens_per_text=8,
    max_gigabytes=8.0,
    keep="auto",
)
BIG = Size(
    n_parameters=8_000_000_000,
    reading_flops=1.4e10,
    writing_flops=1.6e10,
    cache_numbers=43_000,
    d_model=2560,
    d_vocab=262_144,
    precision="4bit",
)


def test_the_papers_design_in_numbers():
    made = plan(PAPER, BIG, BIG, Seen(), Rates(writing=1000.0))
    assert made.stories == 205_200
    assert made.tokens_written == made.tokens_read == (205_200 + 200) * 256
    assert made.writing_hours == pytest.approx(205_400 * 256 / 1000 / 3600)
    assert made.reading_hours == pytest.approx(made.writing_hours * 1.4 / 1.6)
    # 205,200 stories x 42 layers x 2,560 numbers are 88 GB: cells are kept instead.
    assert made.per_cell
    assert made.activation_bytes == pytest.approx((17_300 + 200 * 8) * 42 * 2560 * 4, rel=0.02)
    assert (made.unit_texts, made.unit_hours) == (96, pytest.approx(96 * 256 / 1000 / 3600))
    assert 4e9 < made.writing_memory < 16e9


def test_what_was_seen_replaces_what_was_assumed():
    seen = Seen(
        drafts_per_prompt=1.5,
        tokens_per_draft=200.0,
        kept_per_text=0.9,
        tokens_per_text=100.0,
        letters_per_text=420.0,
    )
    made = plan(PAPER, BIG, BIG, seen, Rates())
    assert made.tokens_written == pytest.approx(1.5 * 205_400 * 200)
    assert made.tokens_read == pytest.approx(0.9 * 205_400 * 100)
    assert made.writing_hours is None


def test_neutral_texts_have_lengths_of_their_own_once_some_were_seen():
    seen = Seen(tokens_per_draft=200.0, tokens_per_text=100.0)
    neutral = Seen(drafts_per_prompt=3.0, tokens_per_draft=50.0, tokens_per_text=40.0)
    made = plan(PAPER, BIG, BIG, seen, Rates(), neutral)
    assert made.tokens_written == pytest.approx(205_200 * 200 + 200 * 3 * 50)
    assert made.tokens_read == pytest.approx(205_200 * 100 + 200 * 40)


def test_a_prompt_for_many_stories_is_one_answer():
    together = replace(PAPER, stories_per_prompt=12, new_tokens=3000)
    made = plan(together, BIG, BIG, Seen(), Rates(1000.0))
    assert made.tokens_written == 17_100 * 3000 + 200 * 256
    assert made.unit_texts == 96
    assert made.unit_hours == pytest.approx(8 * 3000 / 1000 / 3600)


def test_workers_share_the_time_and_gpus_the_memory():
    one = plan(PAPER, BIG, BIG, Seen(), Rates(500.0, 4000.0))
    more = replace(PAPER, workers=8, gpus_per_worker=2.0)
    many = plan(more, BIG, BIG, Seen(), Rates(500.0, 4000.0))
    assert many.reading_hours == pytest.approx(one.reading_hours / 8)
    assert many.reading_memory == pytest.approx(one.reading_memory / 2)
    assert many.unit_hours == one.unit_hours


def test_own_texts_cost_no_writing():
    made = plan(PAPER, None, BIG, Seen(tokens_per_text=90.0), Rates(reading=4000.0))
    assert (made.tokens_written, made.writing_flops, made.writing_memory) == (0, 0, 0)
    assert made.writing_hours is None
    assert made.reading_hours == pytest.approx(205_400 * 90 / 4000 / 3600)


def test_stories_are_kept_where_they_fit():
    assert not plan(replace(PAPER, max_gigabytes=100.0), BIG, BIG, Seen(), Rates()).per_cell
    assert plan(replace(PAPER, emotions=2, keep="cell"), BIG, BIG, Seen(), Rates()).per_cell
