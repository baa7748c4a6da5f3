"""Readers of words: they know the words that stories and messages share, and nothing else."""

from probes.experiments.messages.worded_messages import read_by_words
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS


def test_messages_lie_near_the_emotion_whose_stories_they_quote(materials):
    stories = materials.texts(materials.stories())
    n = len(materials.emotions)
    of = [(materials.rows.emotion == number).nonzero()[:, 0].tolist() for number in range(n)]
    cosine = read_by_words(materials, [" ".join(stories[row] for row in rows) for rows in of])
    assert set(cosine) == {WORD_COUNTS, EMBEDDINGS}
    for each in cosine.values():
        assert each.shape == (n, n)
        own, others = each.diagonal().mean(), (each.sum() - each.diagonal().sum()) / (n * (n - 1))
        assert own > others + 0.2
