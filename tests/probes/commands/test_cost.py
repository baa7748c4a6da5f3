"""The arithmetic of a plan: paper scale, budgets, rates."""

from dataclasses import replace

import pytest

from hooks.models.architecture import Architecture
from probes.commands.cost import Rates, RunDesign, Size, plan
from probes.config import parse_config
from probes.stages.cost_of_writing import Asked, Seen


def design(**sections):
    """The paper's design: 171 emotions, 100 topics, 12 stories of each."""
    sections["generation"] = {"stories_per_topic": 12, "batch_size": 96} | sections.get(
        "generation", {}
    )
    sections["activation"] = {
        "batch_tokens": 8192,
        "shard_size": 256,
        "neutral_tokens_per_text": 8,
        "max_gigabytes": 8.0,
    } | sections.get("activation", {})
    config = parse_config({"model": {"name": "m"}, "output_dir": "o", **sections})
    stories = Asked(17_100, 205_200, 205_200, prompt_tokens=60.0, new_tokens=256)
    neutral = Asked(100, 200, 200, prompt_tokens=60.0, new_tokens=256)
    return RunDesign(config, 171, stories, neutral, prompt_tokens_read=30.0)


PAPER = design()
BIG = Size(
    Architecture(
        name="big",
        n_layers=42,
        d_model=2560,
        d_vocab=262_144,
        n_parameters=8_000_000_000,
        block_parameters=7_000_000_000,
        head_parameters=1_000_000_000,
        cache_numbers=43_000,
    ),
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
    by_cell, single = (17_300 + 200 * 8) * 42, 205_200 * 3
    assert made.activation_bytes == pytest.approx((by_cell + single) * 2560 * 4, rel=0.02)
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
    together = replace(PAPER, stories=Asked(17_100, 205_200, 17_100, 60.0, new_tokens=3000))
    made = plan(together, BIG, BIG, Seen(), Rates(1000.0))
    assert made.tokens_written == 17_100 * 3000 + 200 * 256
    assert made.unit_texts == 96
    assert made.unit_hours == pytest.approx(8 * 3000 / 1000 / 3600)


def test_workers_share_the_time_and_gpus_the_memory():
    one = plan(PAPER, BIG, BIG, Seen(), Rates(500.0, 4000.0))
    more = design(compute={"engine": "ray", "workers": 8, "gpus_per_worker": 2.0})
    many = plan(more, BIG, BIG, Seen(), Rates(500.0, 4000.0))
    assert many.reading_hours == pytest.approx(one.reading_hours / 8)
    assert many.reading_memory == pytest.approx(one.reading_memory / 2)
    assert many.unit_hours == one.unit_hours


def test_the_gpus_of_vllm_share_the_memory_of_what_it_loads():
    vllm = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    one, read, written = (
        plan(
            design(
                activation={"engine": reader, "batch_tokens": None},
                generation={"engine": writer},
                vllm=vllm,
            ),
            BIG,
            BIG,
            Seen(),
            Rates(),
        )
        for reader, writer in (("local", "local"), ("vllm", "local"), ("local", "vllm"))
    )
    assert read.reading_memory == pytest.approx(one.reading_memory / 8)
    assert read.writing_memory == one.writing_memory
    assert written.writing_memory == pytest.approx(one.writing_memory / 8)
    assert written.reading_memory == one.reading_memory


def test_own_texts_cost_no_writing():
    made = plan(PAPER, None, BIG, Seen(tokens_per_text=90.0), Rates(reading=4000.0))
    assert (made.tokens_written, made.writing_flops, made.writing_memory) == (0, 0, 0)
    assert made.writing_hours is None
    assert made.reading_hours == pytest.approx(205_400 * 90 / 4000 / 3600)


def test_stories_are_kept_where_they_fit():
    roomy = design(activation={"max_gigabytes": 100.0})
    assert not plan(roomy, BIG, BIG, Seen(), Rates()).per_cell
    few = replace(design(activation={"keep": "cell"}), stories=Asked(200, 2400, 2400, 60.0, 256))
    assert plan(few, BIG, BIG, Seen(), Rates()).per_cell


def test_single_stories_of_three_layers_are_counted_beside_means_of_cells():
    asked = Asked(200, 2400, 2400, 60.0, 256)
    kept, by_cell = (
        plan(
            replace(design(activation={"keep": keep}), stories=asked), BIG, BIG, Seen(), Rates()
        ).activation_bytes
        for keep in ("story", "cell")
    )
    n_layers, neutral = BIG.architecture.n_layers, 200 * (1 + 8)
    rows = 200 + neutral + 2400 * 3 / n_layers
    assert by_cell / kept == pytest.approx(rows / (2400 + neutral), rel=0.01)
