"""Challenges: forty pairs, alike in what a model could otherwise be reading."""

from probes.stimuli import challenges, named_emotions


def test_forty_pairs_with_names_and_texts_of_their_own():
    pairs = challenges()
    assert len(pairs) == 40
    names = [name for pair in pairs for name in (pair.name, pair.neutral_name)]
    texts = [text for pair in pairs for text in (pair.text, pair.neutral)]
    assert len(set(names)) == len(set(texts)) == 80


def test_both_of_a_pair_have_as_many_words_and_end_alike():
    for pair in challenges():
        assert len(pair.text.split()) == len(pair.neutral.split()), pair.name
        assert pair.text.endswith("?") == pair.neutral.endswith("?"), pair.name
        assert 10 <= len(pair.text.split()) <= 50, pair.name


def test_no_text_names_an_emotion():
    texts = [text for pair in challenges() for text in (pair.text, pair.neutral)]
    assert [text for text in texts if named_emotions(text)] == []
