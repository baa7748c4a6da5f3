"""Texts as counts of their words: what is known to whoever only looks words up."""

from collections.abc import Sequence
from typing import Any

from scipy.sparse import csr_matrix

from probes.corpus.audit import words_of


def counted_words(texts: Sequence[str]) -> csr_matrix:
    """Return a row for each text, sublinear tf-idf of length one; zero for one without a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    analyzer: Any = words_of
    counted: Any = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True).fit_transform(texts)
    return counted
