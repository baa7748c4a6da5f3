"""Words among the highest passages: planted ones are counted, random passages hold no more."""

import json
import math

import pytest
import torch

from probes.texts.enrichment import Enrichment, RandomPassages, enrichments, in_short
from probes.texts.sweeping import Leaders

TOP = 20


def swept(n, score, text, *, emotions=("sad",), top=TOP, source=lambda number: f"doc {number}"):
    """Leaders and random passages of `n` windows of ten tokens."""
    leaders, random = Leaders([*emotions], top), RandomPassages()
    for number in range(n):
        tokens = [f"{word} " for word in f"it was {number} {text(number)}".split()]
        scores = torch.tensor([score(number)] * len(emotions))
        leaders.offer(source(number), 0, tokens, scores, scores.expand(len(tokens), -1))
        random.offer(source(number), 0, tokens)
    return leaders, random


def planted(number):
    """Half of the first twenty windows hold a form of the word, and one in forty of the others."""
    held = number % 2 == 0 if number < TOP else number % 40 == 0
    return "with sadness in her hands" if held else "with bread in her hands"


def test_planted_words_are_enriched_by_what_was_planted():
    leaders, random = swept(1000, lambda number: -float(number), planted)
    [it] = enrichments(leaders, random)
    assert (it.n, it.with_word) == (20, 10)
    share = it.random_with_word / it.n_random
    assert share == pytest.approx(1 / 40, abs=0.012)
    assert it.odds == pytest.approx((1 - share) / share, rel=0.1)
    assert 5 < it.low < it.odds < it.high
    assert it.p < 1e-6 and it.q == it.p
    assert str(it).startswith(f"words {it.odds:.0f}x\n[") and str(it).endswith("p < .001")
    assert in_short([it]) == "words enriched for 1 of 1 emotions (q < 0.05)"


@pytest.mark.parametrize(
    ("odds", "low", "high", "p", "said"),
    [
        (4.2, 1.84, 99.6, 0.003, "words 4.2x\n[1.8, 100], p .003"),
        (0.0, 0.0, 130.2, 1.0, "words 0x\n[0, 130], p 1"),
        (12.4, 0.04, math.inf, 0.06, "words 12x\n[0.04, inf], p .06"),
        (math.inf, 5.12, math.inf, 0.0004, "words > 5.1x\np < .001"),
    ],
)
def test_numbers_are_written_short(odds, low, high, p, said):
    counts = {"n": 20, "with_word": 3, "n_random": 400, "random_with_word": 9}
    assert str(Enrichment(odds, low, high, p, p, **counts)) == said


def test_random_directions_enrich_nothing_and_their_p_is_uniform():
    generator = torch.Generator().manual_seed(0)
    held = torch.rand(500, generator=generator) < 0.3
    leaders, random = Leaders(["sad"] * 100, TOP), RandomPassages()
    drawn = torch.randn(500, 100, generator=generator)
    for number in range(500):
        tokens = ["sad " if held[number] else "bread ", f"{number}"]
        leaders.offer(f"doc {number}", 0, tokens, drawn[number], drawn[number][None])
        random.offer(f"doc {number}", 0, tokens)
    measured = enrichments(leaders, random)
    p = torch.tensor([it.p for it in measured])
    # Of counts, an exact p is a little larger than a uniform one.
    for level, least in ((0.05, 0.0), (0.2, 0.08), (0.5, 0.3), (0.8, 0.5)):
        assert least <= float((p <= level).double().mean()) <= level + 0.04
    odds = torch.tensor([it.odds for it in measured])
    assert 0.8 < float(odds.median()) < 1.1
    covered = [it.low <= 1 <= it.high for it in measured]
    assert sum(covered) >= 0.93 * len(covered)
    assert min(it.q for it in measured) > 0.05


def test_passages_of_one_document_count_once():
    leaders, random = swept(
        1000, lambda number: -float(number), planted, source=lambda number: f"doc {number // 10}"
    )
    [it] = enrichments(leaders, random)
    assert it.n == 2
    assert it.with_word == 2  # the highest of each: 0 and 10
    assert it.n_random <= 98
    assert it.p > 1e-4


def test_random_passages_are_as_long_as_the_highest_and_of_other_documents():
    random = RandomPassages()
    for number in range(400):
        random.offer(f"doc {number}", 0, ["x "] * (5 if number % 4 else 30) + [str(number)])
    chosen = random.beside([f"doc {number}" for number in range(8)], [31, 31])
    assert len(chosen) == 100
    assert sum(len(text.split()) == 31 for text in chosen) == 98
    assert not {f"{number}" for number in range(8)} & {text.split()[-1] for text in chosen}
    assert len({*chosen}) == len(chosen)


def test_the_same_windows_are_drawn_in_any_parts_and_memory_holds_no_more():
    whole = RandomPassages(size=50)
    for number in range(500):
        whole.offer(f"doc {number}", number, [f"{number}"])
    assert len(whole.drawn) == 50
    parts = RandomPassages(size=50)
    for number in range(500):
        parts.offer(f"doc {number}", number, [f"{number}"])
        if number % 100 == 0:
            parts = RandomPassages.from_json(json.loads(json.dumps(parts.to_json())))
    assert sorted(parts.drawn) == sorted(whole.drawn)
    places = [int(one.text) for one in whole.drawn]
    assert 180 < sum(places) / 50 < 320  # from all over the file


@pytest.mark.parametrize(
    ("held", "random_held", "said"),
    [
        (0, 0, "no words"),
        (5, 0, "words > "),
        (0, 5, "words 0x\n[0, "),
        (5, 5, "words "),
    ],
)
def test_what_cannot_be_divided_is_said(held, random_held, said):
    def text(number):
        has = number < held or TOP <= number < TOP + random_held
        return "in a sad voice" if has else "in a low voice"

    leaders, random = swept(100, lambda number: -float(number), text)
    [it] = enrichments(leaders, random)
    assert (it.with_word, it.random_with_word > 0) == (held, random_held > 0)
    assert str(it).startswith(said)
    assert math.isnan(it.odds) == (not held and not random_held)
    assert it.low <= 1 or held


def test_without_other_documents_nothing_is_said():
    leaders, random = swept(5, float, planted)
    assert enrichments(leaders, random) == [None]
    assert in_short([None]) == "words enriched for 0 of 0 emotions (q < 0.05)"


def test_p_is_corrected_for_all_emotions():
    leaders, random = swept(
        1000, lambda number: -float(number), planted, emotions=("sad", "angry", "calm", "smug")
    )
    sad, *others = enrichments(leaders, random)
    assert isinstance(sad, Enrichment)
    assert sad.q == pytest.approx(4 * sad.p)
    assert all(str(it) == "no words" and it.q == 1 for it in others)
