"""Claims: complete pairs that differ in little, and words that do not tell true from false."""

import collections
import re

import pytest

from probes.stimuli import ClaimPair, claims, named_emotions


def _words(text):
    return re.findall(r"[a-z]+", text.lower())


def test_32_pairs_with_an_id_of_their_own():
    assert len({pair.id for pair in claims()}) == len(claims()) == 32
    texts = [text for pair in claims() for text in (pair.true, pair.false)]
    assert len(set(texts)) == 64


@pytest.mark.parametrize("pair", claims(), ids=lambda pair: pair.id)
def test_a_claim_is_one_short_sentence_that_names_no_emotion(pair: ClaimPair):
    for text in (pair.true, pair.false):
        assert named_emotions(text) == []
        assert 5 <= len(text.split()) <= 12
        assert text.endswith(".") and text.count(".") == 1


@pytest.mark.parametrize("pair", claims(), ids=lambda pair: pair.id)
def test_both_sides_of_a_pair_differ_in_one_word_at_one_place(pair: ClaimPair):
    true, false = _words(pair.true), _words(pair.false)
    assert len(true) == len(false)
    assert sum(one != other for one, other in zip(true, false, strict=True)) == 1


def test_every_word_stands_as_often_in_true_claims_as_in_false_ones():
    """Else a count of words would tell which claims are true."""
    true = collections.Counter(word for pair in claims() for word in _words(pair.true))
    false = collections.Counter(word for pair in claims() for word in _words(pair.false))
    assert true == false
