"""Example stories, with a number for every token.

`choose` takes a few emotions spread evenly over the clustered order and, of each, the first story
on another topic each time: nothing is picked for its effect. `heat` takes, at every token, the
cosine of the centered residual with the vector of the story's emotion. A character that spans
several tokens is one piece, with the mean of their scores. The story as a whole has a z, by the
cosine of its mean residual, as neutral text was read; no token has one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hooks.tokens.encoding import content_places
from probes.corpus.cells import Cell
from probes.report.contents import HeatedStory

if TYPE_CHECKING:
    from hooks import LanguageModel
    from probes.vectors.emotion_vectors import EmotionVectors

N_STORIES = 6
N_NEAREST = 3
_UNDECODED = "\N{REPLACEMENT CHARACTER}"


def choose(
    emotions: Sequence[str],
    order: Sequence[int],
    cells: Sequence[Cell],
    n_stories: int = N_STORIES,
) -> list[list[Cell]]:
    """Choose emotions, and for each the cells in which to look for a story, the best first."""
    n = min(n_stories, len(order))
    spread = [(2 * number + 1) * len(order) // (2 * n) for number in range(n)]
    topics = list(dict.fromkeys(cell.topic for cell in cells))
    known = set(cells)
    chosen = []
    for number, rank in enumerate(spread):
        turned = [*topics[number % len(topics) :], *topics[: number % len(topics)]]
        wanted = [Cell(emotions[order[rank]], topic) for topic in turned]
        chosen.append([cell for cell in wanted if cell in known])
    return chosen


def heat(model: "LanguageModel", vectors: "EmotionVectors", cell: Cell, text: str) -> HeatedStory:
    """Score a story token by token; StaleArtifact for another model than the vectors'."""
    _, scores = vectors.score_tokens(model, text)
    ids = model.encode(text)
    kept = content_places(ids, model.special_ids)
    pieces, owners = split(model.tokenizer, [ids[position] for position in kept])
    of_emotion = scores[kept, vectors.emotions.index(cell.emotion or "")].tolist()
    members: dict[int, list[float]] = {}
    for owner, score in zip(owners, of_emotion, strict=True):
        members.setdefault(owner, []).append(score)
    mean = scores[kept].mean(dim=0)
    best = mean.topk(min(N_NEAREST, len(vectors.emotions)))
    return HeatedStory(
        emotion=cell.emotion or "",
        topic=cell.topic,
        pieces=pieces,
        scores=[sum(several) / len(several) for _, several in sorted(members.items())],
        nearest=[
            (vectors.emotions[index], value)
            for index, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
        z=_z(model, vectors, cell.emotion or "", text),
    )


def _z(model: "LanguageModel", vectors: "EmotionVectors", emotion: str, text: str) -> float | None:
    """Return how far a whole story lies above neutral text in an emotion; None where unknown."""
    if vectors.zero is None:
        return None
    whole = vectors.score(model, [text])
    above = vectors.z(whole, vectors.provenance.target_layer)[0, vectors.emotions.index(emotion)]
    return float(above) if above.isfinite() else None


def split(tokenizer: Any, ids: Sequence[int]) -> tuple[list[str], list[int]]:
    """Cut a text where its tokens end; returns the pieces and each token's index among them."""
    pieces, owners, before = [], [], ""
    for end in range(1, len(ids) + 1):
        now = tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)
        owners.append(len(pieces))
        if now.endswith(_UNDECODED) and end < len(ids):
            continue  # the next token completes the character
        pieces.append(now[len(before) :])
        before = now
    return pieces, owners


def scale_of(stories: Sequence[HeatedStory]) -> float:
    """Return the score at which the color is full: the 98th percentile of all magnitudes."""
    scores = sorted(abs(score) for story in stories for score in story.scores)
    return scores[int(0.98 * (len(scores) - 1))] if scores else 1.0
