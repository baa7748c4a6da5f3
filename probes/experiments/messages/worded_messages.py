"""What words tell of messages: counts and input embeddings, learned from the run's stories.

Vectors are made of all stories' words as the model's are made of their activations: mean over an
emotion's stories less the mean over emotions. Messages are read less their own mean.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor

from probes.corpus.cells import read_corpus
from probes.experiments.messages.reading import cosines
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS, rare_embeddings, shared_words
from probes.runs.materials import Materials


def read_by_words(
    materials: Materials, messages: Sequence[str]
) -> dict[str, Float[Tensor, "message emotion"]]:
    """Return cosines of messages with the vectors of each reader of words, by its name."""
    stories = list(read_corpus(materials.run.root, materials.run.story_cells))
    texts = [*(story.text for story in stories), *messages]
    emotion = [materials.emotions.index(story.emotion or "") for story in stories]
    share = torch.zeros(len(materials.emotions), len(stories), dtype=torch.float64)
    share[emotion, range(len(stories))] = 1.0
    share /= share.sum(dim=1, keepdim=True)
    counted = shared_words(texts)
    embedded = csr_matrix(rare_embeddings(materials.subject(), texts).numpy())
    cosine = {}
    for name, rows in ((WORD_COUNTS, counted), (EMBEDDINGS, embedded)):
        means = torch.from_numpy(share.numpy() @ rows[: len(stories)])
        read = torch.from_numpy(rows[len(stories) :].toarray()).double()
        cosine[name] = cosines(read - read.mean(dim=0), means - means.mean(dim=0))
    return cosine
