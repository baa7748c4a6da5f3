"""How well a corpus names its emotions to whoever only looks words up: the audit's own reader.

Texts become counts of words (tf-idf, sublinear), or the idf-weighted mean of input embeddings of a
small model. Emotions are told apart as vectors tell them (`analysis.held_out`): by the nearest
centered mean of the other topics within a form, or of the whole of one form read on another. What
is learned in one form and read in another that shares no words is chance for counts: the control
that fails by construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import Estimate
from probes.analysis.held_out import Design
from probes.analysis.intervals import mean_by_topics
from probes.corpus.audit import AuditedText
from probes.corpus.word_counts import counted_words
from probes.vectors.denoising import fit_vectors

Rows = Float[Tensor, "text feature"]


@dataclass(frozen=True)
class LexicalReading:
    """One reader on one form: accuracy of all emotions, of clusters, and within valence side.

    `learned` is the form that the reader learned from; None for the other topics of the same form.
    """

    reader: str
    learned: str | None
    read: str
    accuracy: Estimate
    clusters: Estimate | None
    within_side: Estimate | None
    chance: float
    mean_rank: float


def word_counts(texts: Sequence[AuditedText]) -> Rows:
    """Count words: sublinear tf-idf, length one."""
    counted = counted_words([text.text for text in texts])
    return torch.from_numpy(counted.toarray()).float()


def read_all(
    texts: Sequence[AuditedText], readers: dict[str, Rows], *, n_resamples: int, seed: int
) -> list[LexicalReading]:
    """Read every form by itself, on held-out topics, and by what is learned from every other."""
    emotions = sorted({text.emotion for text in texts})
    topics = sorted({text.topic for text in texts})
    emotion = torch.tensor([emotions.index(text.emotion) for text in texts])
    topic = torch.tensor([topics.index(text.topic) for text in texts])
    form_of = [text.about.get("form", "") for text in texts]
    forms = list(dict.fromkeys(form_of))
    members = {form: torch.tensor([it == form for it in form_of]) for form in forms}
    judge = _Judge(emotions, n_resamples, seed)
    readings = []
    for name, rows in readers.items():
        for form in forms:
            chosen = members[form]
            ranked = _held_out(rows[chosen], emotion[chosen], topic[chosen], len(emotions))
            if ranked is not None:
                readings.append(judge(name, None, form, ranked, emotion[chosen], topic[chosen]))
        for learned in forms:
            for read in forms:
                if learned != read:
                    scored = _across(rows, emotion, topic, members[learned], members[read])
                    chosen = members[read]
                    readings.append(
                        judge(name, learned, read, scored, emotion[chosen], topic[chosen])
                    )
    return readings


class _Judge:
    """Turn scores into accuracies with intervals over topics."""

    def __init__(self, emotions: Sequence[str], n_resamples: int, seed: int) -> None:
        self._n, self._resamples, self._seed = len(emotions), n_resamples, seed
        self._groups = EmotionGroups.of(emotions)

    def __call__(
        self,
        reader: str,
        learned: str | None,
        read: str,
        scored: Float[Tensor, "text emotion"],
        emotion: Int[Tensor, "text"],
        topic: Int[Tensor, "text"],
    ) -> LexicalReading:
        ranks = held_out.rank_of(scored, emotion)
        first = scored.argmax(dim=1)
        # A tie for the first place counts against the reader.
        alone = (scored == scored.max(dim=1, keepdim=True).values).sum(dim=1) == 1

        def share(hits: Bool[Tensor, "text"], of: Bool[Tensor, "text"]) -> Estimate | None:
            if not of.any():
                return None
            return mean_by_topics(hits[of].double(), topic[of], self._resamples, self._seed)

        every = torch.ones_like(alone)
        groups = self._groups
        within = held_out.rank_of(groups.within_side(scored, emotion), emotion)
        accuracy = share(ranks == 0, every)
        assert accuracy is not None
        return LexicalReading(
            reader,
            learned,
            read,
            accuracy,
            share(groups.same_cluster(first, emotion) & alone, groups.cluster[emotion] >= 0),
            share(within == 0, groups.side[emotion] != 0),
            1 / self._n,
            float(ranks.double().mean()),
        )


def _held_out(
    rows: Rows, emotion: Int[Tensor, "text"], topic: Int[Tensor, "text"], n_emotions: int
) -> Float[Tensor, "text emotion"] | None:
    """Score every text by the means of the other topics of its form; None with one topic."""
    labels = topic.unique(return_inverse=True)[1]
    n_topics = int(labels.max()) + 1
    if n_topics < 2:
        return None
    weight = torch.ones_like(emotion)
    design = Design(emotion, labels, weight, torch.arange(n_topics), n_emotions)
    nothing = torch.zeros(0, rows.shape[1])
    return held_out.held_out_scores(held_out.centered(rows), design, [nothing] * n_topics)


def _across(
    rows: Rows,
    emotion: Int[Tensor, "text"],
    topic: Int[Tensor, "text"],
    learned: Bool[Tensor, "text"],
    read: Bool[Tensor, "text"],
) -> Float[Tensor, "_read emotion"]:
    """Score the texts of one form by the means of another, each around its own mean."""
    n_emotions = int(emotion.max()) + 1
    labels = topic[learned].unique(return_inverse=True)[1]
    weight = torch.ones_like(labels)
    n_topics = int(labels.max()) + 1
    design = Design(emotion[learned], labels, weight, torch.zeros(n_topics).long(), n_emotions)
    cells = held_out.sum_cells(held_out.centered(rows[learned]), design)
    trained = fit_vectors(cells, torch.ones(n_topics), torch.zeros(0, rows.shape[1]))
    return held_out.scores(held_out.centered(rows[read]), trained)
