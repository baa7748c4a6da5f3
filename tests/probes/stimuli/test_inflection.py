"""Guessed forms contain the right ones and no other common word."""

import pytest

from probes.stimuli.inflection import inflections, lemmas, verb_bases


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("glum", {"glummer", "glummest", "glumly", "glumness"}),  # doubling
        ("surly", {"surlier", "surliest", "surlily", "surliness"}),  # y -> i
        ("baffle", {"baffles", "baffled", "baffling"}),  # silent e
        ("vex", {"vexes", "vexed", "vexing"}),  # no doubling, -es
        ("fearless", {"fearlessly", "fearlessness"}),
        ("complacent", {"complacently", "complacence"}),
        ("irritable", {"irritably", "irritability"}),
        ("frantic", {"frantically"}),
        ("dreary", {"drearily", "dreariness"}),
    ],
)
def test_forms_follow_english_spelling(word, forms):
    assert forms | {word} <= inflections(word)


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("cornered", "corner"),
        ("swamped", "swamp"),
        ("caring", "care"),
        ("considerate", "considering"),
    ],
)
def test_a_participle_does_not_ban_the_plain_word_it_comes_from(word, other):
    assert other not in inflections(word)


def test_a_compound_stays_as_it_is():
    assert inflections("Fed-up") == {"fed-up"}


@pytest.mark.parametrize(
    ("participle", "base"),
    [
        ("hoped", "hope"),
        ("worried", "worry"),
        ("spurned", "spurn"),
        ("hopping", "hop"),
        ("baffling", "baffle"),
    ],
)
def test_the_verb_of_a_participle_is_among_the_guesses(participle, base):
    assert base in verb_bases(participle)


def test_hoped_is_not_mistaken_for_a_form_of_hop():
    assert verb_bases("hoped") == {"hope"}


@pytest.mark.parametrize("word", ["sad", "red", "king", ""])
def test_other_words_have_no_verb(word):
    assert verb_bases(word) == frozenset()


def test_words_are_counted_as_the_shortest_that_they_may_be_a_form_of():
    vocabulary = {"run", "ran", "running", "runs", "shiver", "shivered", "wet", "kept", "bus"}
    assert lemmas(vocabulary) == {
        **dict.fromkeys(["run", "ran", "running", "runs"], "run"),
        **dict.fromkeys(["shiver", "shivered"], "shiver"),
        "wet": "wet",
        "kept": "keep",
        "bus": "bus",
    }
