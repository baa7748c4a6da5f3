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
from probes.analysis.intervals import SHARE, mean_over
from probes.corpus.audit import AuditedText
from probes.corpus.cells import n_shared_topics
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


def read_all(texts: Sequence[AuditedText], readers: dict[str, Rows]) -> list[LexicalReading]:
    """Read every form by itself, on held-out topics, and by what is learned from every other.

    Chance counts the emotions that are candidates: those of the form, or of both.
    """
    forms = list(dict.fromkeys(map(_form, texts)))
    topics = sorted({text.topic for text in texts})
    topic = torch.tensor([topics.index(text.topic) for text in texts])
    there = {form: {text.emotion for text in texts if _form(text) == form} for form in forms}
    pairs: list[tuple[str | None, str]] = [(None, form) for form in forms]
    pairs += [(learned, read) for learned in forms for read in forms if learned != read]
    readings = []
    for name, rows in readers.items():
        for learned, read in pairs:
            emotions = sorted(there[read] & there[learned if learned is not None else read])
            if len(emotions) < 2:
                continue
            index = {it: n for n, it in enumerate(emotions)}
            emotion = torch.tensor([index.get(text.emotion, -1) for text in texts])
            chosen = _members(texts, read) & (emotion >= 0)
            if learned is None:
                own = rows[chosen]
                own = own[:, own.any(dim=0)]  # what none of them has tells nothing
                scored = _held_out(own, emotion[chosen], topic[chosen], len(emotions))
            else:
                from_these = _members(texts, learned) & (emotion >= 0)
                known = rows[:, rows[from_these].any(dim=0)]  # vectors are zero in all others
                scored = _across(known, emotion, topic, from_these, chosen)
            if scored is not None:
                judge = _Judge(emotions)
                readings.append(judge(name, learned, read, scored, emotion[chosen], topic[chosen]))
    return readings


class _Judge:
    """Turn scores into accuracies with intervals over topics."""

    def __init__(self, emotions: Sequence[str]) -> None:
        self._n = len(emotions)
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
            return mean_over(hits[of].double(), topic[of], within=SHARE)

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


def _form(text: AuditedText) -> str:
    return text.about.get("form", "")


def _members(texts: Sequence[AuditedText], form: str) -> Bool[Tensor, "text"]:
    return torch.tensor([_form(text) == form for text in texts])


def _held_out(
    rows: Rows, emotion: Int[Tensor, "text"], topic: Int[Tensor, "text"], n_emotions: int
) -> Float[Tensor, "text emotion"] | None:
    """Score every text by the means of the form's other topics; None unless two are shared."""
    if n_shared_topics(zip(emotion.tolist(), topic.tolist(), strict=True)) < 2:
        return None
    labels = topic.unique(return_inverse=True)[1]
    n_topics = int(labels.max()) + 1
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
