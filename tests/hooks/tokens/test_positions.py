import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hooks import FromToken, Last, Spaced, Span
from hooks.errors import InvalidInput

# Right-padded, left-padded, one with a special token in the middle, one with nothing.
CONTENT = torch.tensor(
    [
        [0, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 1],
        [1, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
).bool()


def columns(mask: torch.Tensor) -> list[list[int]]:
    return [row.nonzero()[:, 0].tolist() for row in mask]


class TestByHand:
    def test_from_token_skips_the_first_content_tokens_of_each_text(self):
        assert columns(FromToken(0).select(CONTENT)) == columns(CONTENT)
        assert columns(FromToken(2).select(CONTENT)) == [[3, 4], [4, 5], [3, 4], []]
        assert columns(FromToken(4).select(CONTENT)) == [[], [], [], []]

    def test_span_counts_content_tokens_from_zero_and_leaves_out_its_end(self):
        assert columns(Span(1, 3).select(CONTENT)) == [[2, 3], [3, 4], [1, 3], []]
        assert columns(Span(3, 9).select(CONTENT)) == [[4], [5], [4], []]

    def test_last_takes_all_of_a_text_that_is_shorter(self):
        assert columns(Last().select(CONTENT)) == [[4], [5], [4], []]
        assert columns(Last(3).select(CONTENT)) == [[2, 3, 4], [3, 4, 5], [1, 3, 4], []]
        assert columns(Last(9).select(CONTENT)) == columns(CONTENT)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 12))
def test_a_span_and_what_follows_it_are_the_text(content, cut):
    mask = torch.tensor([content])
    after = FromToken(cut).select(mask)
    before = Span(0, cut).select(mask) if cut else torch.zeros_like(mask)
    assert torch.equal(before | after, mask)
    assert not (before & after).any()


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 5), st.integers(0, 5))
def test_padding_on_either_side_selects_the_same_tokens(content, left, right):
    mask = torch.tensor([content])
    padded = torch.nn.functional.pad(mask, (left, right))
    for rule in (FromToken(2), Span(1, 4), Last(2), Spaced(1, 3)):
        assert torch.equal(rule.select(padded)[:, left : left + len(content)], rule.select(mask))
        assert int(rule.select(padded).sum()) == int(rule.select(mask).sum())


@pytest.mark.parametrize(
    "make",
    [
        lambda: FromToken(-1),
        lambda: Span(3, 3),
        lambda: Span(-1, 2),
        lambda: Last(0),
        lambda: Spaced(0, 0),
        lambda: Spaced(-1, 1),
    ],
)
def test_settings_without_meaning_are_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()


@given(st.lists(st.booleans(), min_size=1, max_size=14), st.integers(0, 14), st.integers(1, 14))
def test_spaced_takes_exactly_as_many_as_there_are_up_to_n(content, offset, n):
    mask = torch.tensor([content])
    after = FromToken(offset).select(mask)
    taken = Spaced(offset, n).select(mask)
    assert int(taken.sum()) == min(n, int(after.sum()))
    assert not (taken & ~after).any()


def test_spaced_tokens_are_spread_evenly():
    mask = torch.ones(1, 12, dtype=torch.bool)
    gaps = Spaced(2, 5).select(mask).nonzero()[:, 1].diff()
    assert gaps.tolist() == [2, 2, 2, 2]
