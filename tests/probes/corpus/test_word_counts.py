"""Counts of words: length one, rare words weigh more, none is zero."""

import numpy as np

from probes.corpus.word_counts import counted_words

TEXTS = ["The old man sat.", "The man, the MAN!", "the", "12"]


def test_rows_have_length_one_and_a_text_without_a_word_is_zero():
    lengths = np.linalg.norm(counted_words(TEXTS).toarray(), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0])


def test_case_and_marks_are_nothing_and_rare_words_weigh_more():
    counted = counted_words(TEXTS).toarray()
    assert counted.shape[1] == 4
    the, man = counted[2].argmax(), counted[1].argmax()
    assert man != the
    assert counted[0, the] < counted[0, man]
    assert counted[0].max() > counted[0, man]
