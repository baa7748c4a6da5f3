"""Cases of pleasant and unpleasant pasts, and which of their tokens are kept apart."""

import pytest
import torch

from probes.experiments.pasts.knockouts import (
    BETWEEN,
    BOTH,
    OPEN,
    OTHER,
    READ,
    Case,
    KnockoutReader,
    closings,
    denials,
    doses,
    turns,
)
from probes.experiments.pasts.reading import Pair
from probes.stimuli.pasts import dose_templates, same_words

WORDS = [("xq", "qx"), ("jz", "zj"), ("kv", "vk")]
"""Of as many tokens each."""


@pytest.fixture
def reader(materials):
    return KnockoutReader(materials, turns(materials)[:6], lambda _n: None)


def test_every_turn_stands_before_one_suffix(materials):
    cases = turns(materials)
    assert len(cases) == len(same_words().pairs)
    assert {case.end for case in cases} == set(same_words().suffixes)


def test_the_pleasant_number_comes_first(materials):
    for case, template in zip(doses(materials), dose_templates(), strict=True):
        smallest_first = template.with_number(template.numbers[0]) in case.pair.one
        assert smallest_first == template.high_is_bad


def test_closings_pair_a_pleasant_and_an_unpleasant_story_of_a_topic(with_closings):
    cases = closings(with_closings)
    assert len(cases) > 1
    for case in cases:
        assert case.pair.one.endswith(case.end) and case.pair.other.endswith(case.end)
        assert case.pair.one != case.pair.other


def test_denials_differ_by_not(materials):
    cases = denials(materials)
    assert len(cases) == len(materials.emotions)
    for case in cases:
        assert case.pair.other.replace("not ", "") == case.pair.one
        assert case.pair.one.endswith(case.end)


def test_a_run_without_closings_has_no_such_cases(materials):
    assert closings(materials) == []


def test_nothing_is_left_where_neither_can_look_back(materials):
    """Exact where both pasts are equally long: else the end stands at other positions."""
    model, axis = materials.subject(), turns(materials)[0].axis
    end = "The clock struck nine."
    pairs = [Pair(f"{one} ran. {end}", f"{other} ran. {end}") for one, other in WORDS]
    cases = [Case(pair, end, axis) for pair in pairs]
    assert all(len(model.encode(a)) == len(model.encode(b)) for a, b in pairs)
    reader = KnockoutReader(materials, cases, lambda _n: None)
    assert reader.effects(OPEN).abs().min() > 0
    assert torch.equal(reader.effects(BOTH), torch.zeros(len(pairs), model.n_layers).double())


def test_each_knockout_takes_something_else_away(reader):
    effects = [reader.effects(it) for it in (OPEN, READ, BETWEEN, OTHER)]
    for number, one in enumerate(effects):
        for other in effects[:number]:
            assert not torch.allclose(one, other)


def test_blocking_no_layer_is_blocking_nothing(reader):
    """Exact where no pair of tokens is kept apart."""
    assert torch.equal(reader.effects(READ, []), reader.effects(OPEN))


def test_later_layers_alone_change_no_earlier_one(reader, materials):
    last = materials.subject().n_layers - 1
    one, whole = reader.effects(READ, [last]), reader.effects(OPEN)
    torch.testing.assert_close(one[:, :last], whole[:, :last], rtol=1e-4, atol=1e-7)
    assert not torch.allclose(one[:, last], whole[:, last])


def test_as_many_other_tokens_are_blocked_and_none_of_the_past(reader):
    for layout in reader._layouts:
        past, other = set(layout.past.numbers), set(layout.other.numbers)
        assert not past & other
        assert len(other) <= len(past)
        assert not other & set(layout.read.numbers)
        every = past | set(layout.between.numbers) | set(layout.read.numbers)
        assert every == set(range(min(past), max(every) + 1))
