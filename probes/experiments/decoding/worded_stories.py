"""What is known of stories and names before any block has run: their words.

Counts of words (tf-idf), and the model's input embeddings weighted by rareness, of every row's own
text as a whole: what opens it is the same for all emotions, and what is not read of it is given.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor

from hooks import LanguageModel
from hooks.reading.embeddings import input_embedding
from probes.analysis.held_out import NeutralBasis, centered
from probes.corpus.cells import Text, read_corpus
from probes.experiments.decoding.robustness import Sample, choice_of_run
from probes.experiments.folds import TopicFolds, basis_of
from probes.experiments.steering.word_effects import first_tokens
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS, rare_embeddings, shared_words
from probes.runs.materials import Materials

_MOST_NUMBERS = 2**28
"""Of counted stories, 1 GiB; more are projected at random, which keeps their cosines."""


def name_embeddings(
    model: LanguageModel, emotions: Sequence[str]
) -> Float[Tensor, "emotion d_embedding"]:
    """Mean input embedding of the tokens of each emotion's word, less the mean over emotions."""
    matrix = input_embedding(model)
    rows = [
        matrix[torch.tensor(ids, device=matrix.device)].float().mean(dim=0).cpu()
        for ids in first_tokens(model, emotions)
    ]
    return centered(torch.stack(rows).detach())


def worded_stories(
    materials: Materials, model: LanguageModel, folds: TopicFolds
) -> dict[str, Sample]:
    """Give every row's own text to readers of words, by the reader's name."""
    stories = list(read_corpus(materials.run.root, materials.run.story_cells))
    neutral = list(read_corpus(materials.run.root, materials.run.neutral_cells))
    whole = [text.text for text in stories]
    owners = _owners(materials, stories)
    counted = torch.from_numpy(_narrowed(owners @ shared_words(whole)))
    embedded = rare_embeddings(model, [*whole, *(text.text for text in neutral)])
    averaged = torch.from_numpy((owners @ embedded[: len(whole)].numpy()).astype("float32"))
    basis = basis_of(
        embedded[len(whole) :],
        [text.topic for text in neutral],
        folds.excluded,
        choice_of_run(materials).threshold,
    )

    def nothing(*_held: int) -> NeutralBasis:
        return torch.zeros(0, counted.shape[1])

    return {
        WORD_COUNTS: Sample(counted, folds.design, folds.excluded, {}, nothing),
        EMBEDDINGS: Sample(averaged, folds.design, folds.excluded, {}, basis),
    }


def _owners(materials: Materials, stories: Sequence[Text]) -> csr_matrix:
    """Weigh each text of a row by one over how many it has."""
    rows = materials.rows
    keys = torch.stack([rows.emotion, rows.topic, rows.index], dim=1).tolist()
    row_of = {
        (materials.emotions[emotion], materials.topics[topic], index): row
        for row, (emotion, topic, index) in enumerate(keys)
    }
    one = materials.per_cell
    of_text = [row_of.get((it.emotion, it.topic, -1 if one else it.index)) for it in stories]
    texts = [number for number, row in enumerate(of_text) if row is not None]
    owner = [row for row in of_text if row is not None]
    weight = 1 / np.bincount(owner, minlength=len(keys))[owner]
    made: Any = csr_matrix((weight, (owner, texts)), (len(keys), len(stories)))
    return made


def _narrowed(counted: csr_matrix) -> Float[np.ndarray, "row feature"]:
    """Return counts as they are, or fewer numbers where there would be too many."""
    shape: Any = counted.shape
    n_rows, n_words = shape
    n_kept: Any = max(1024, _MOST_NUMBERS // n_rows)
    if n_kept < n_words:
        from sklearn.random_projection import SparseRandomProjection

        projection: Any = SparseRandomProjection(n_kept, random_state=0)
        counted = projection.fit_transform(counted)
    dense: Any = counted.toarray()
    return dense.astype("float32")
