"""Texts that are there are counted, and of their tokens those that go through the model."""

import json
from pathlib import Path

import pytest

from hooks.tokens.encoding import Encoder
from probes.config.sections import ActivationSettings
from probes.corpus.cells import Passage, Text
from probes.stages import cost_of_reading
from probes.stages.cost_of_reading import passing, there_already

OPENING = "The old man sat by the window and watched the rain fall on the empty street all day."
SETTINGS = ActivationSettings(token_offset=3, shard_size=8)


@pytest.fixture
def encoder(tiny_tokenizer):
    return Encoder(tiny_tokenizer())


def texts_after(*openings):
    endings = ["He opened the letter.", "She ran down the hill.", "They waited."] * 6
    return [
        Text("sad", "a window", n, Passage(ending, opening, "It was late."))
        for n, ending in enumerate(endings)
        for opening in openings
    ]


def test_a_shared_opening_counts_once_where_the_model_can_go_on(encoder):
    texts = texts_after(OPENING)
    lengths = [len(encoder.encode(text.passage.whole)) for text in texts]
    whole = passing(encoder, texts, "stories", SETTINGS, can_share=False)
    shared = passing(encoder, texts, "stories", SETTINGS, can_share=True)
    assert whole.n_tokens == sum(lengths)
    opening = len(encoder.encode(OPENING))
    assert 0 <= sum(lengths) - (len(texts) - 1) * opening - shared.n_tokens <= len(texts)
    assert (shared.n_texts, shared.n_apart) == (18, 18)
    assert shared.n_letters == sum(len(text.passage.whole) for text in texts)


def test_openings_that_are_wanted_or_differ_are_read_with_every_text(encoder):
    different = [f"{n} {OPENING}" for n in range(3)]
    texts = [texts_after(*different)[n] for n in range(3)]
    none = passing(encoder, texts, "stories", SETTINGS, can_share=True)
    assert none == passing(encoder, texts, "stories", SETTINGS, can_share=False)
    plain = [Text("sad", "a window", n, Passage(f"{OPENING} {n}")) for n in range(18)]
    read = passing(encoder, plain, "stories", SETTINGS, can_share=True)
    assert read.n_tokens == sum(len(encoder.encode(text.text)) for text in plain)
    assert read.n_apart == 0


def test_a_sample_of_whole_shards_stands_for_the_rest(reading_run, encoder, monkeypatch):
    run = reading_run(corpus={"per_cell": 6}).run()
    whole = there_already(run, "stories", encoder, can_share=True)
    assert (whole.asked.cells, whole.asked.texts, whole.apart) == (9, 54, 0)
    total = sum(len(encoder.encode(text)) for text in every_text(run, "stories"))
    assert whole.seen.tokens_per_text == pytest.approx(total / 54)
    monkeypatch.setattr(cost_of_reading, "_SAMPLE", 16)
    read = []
    monkeypatch.setattr(
        cost_of_reading,
        "passing",
        lambda *given, **how: (read.append(given[1]), passing(*given, **how))[1],
    )
    some = there_already(run, "stories", encoder, can_share=True)
    assert some.asked == whole.asked
    assert [len(texts) for texts in read] == [12, 12]  # cells are not cut
    assert some.seen.tokens_per_text == pytest.approx(total / 54, rel=0.1)
    assert some.seen.tokens_per_text != whole.seen.tokens_per_text


def every_text(run, kind):
    lines = Path(run.texts.corpus(kind).path).read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.mark.parametrize(("n", "wanted", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [1, 4, 7])])
def test_shards_are_spread_evenly(n, wanted, expected):
    assert list(cost_of_reading._spread(n, wanted)) == expected
