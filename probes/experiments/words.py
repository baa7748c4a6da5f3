"""What the words of the same texts tell: counts, and input embeddings weighted by rareness.

Both know every word of a text and nothing of the sentence. Texts that are the same for all emotions
of a unit tell nothing: there, chance is what words can reach.
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
from probes.corpus.word_counts import counted_words

WORD_COUNTS, EMBEDDINGS = "word counts", "input embeddings"


def shared_words(texts: Sequence[str]) -> csr_matrix:
    """Count words (tf-idf); what stands in one text alone tells nothing of others and is left out.

    Rows keep the length that they have with all their words.
    """
    counted: Any = counted_words(texts)
    n_texts = np.diff(counted.tocsc().indptr)
    return counted[:, np.flatnonzero(n_texts > 1)].astype("float32")


@torch.no_grad()
def rare_embeddings(
    model: LanguageModel, texts: Sequence[str]
) -> Float[Tensor, "text d_embedding"]:
    """Average the input embeddings of each text's tokens, weighted by inverse document frequency.

    Zero for a text without a token.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    special = model.special_ids
    encoded = [[token for token in model.encode(text) if token not in special] for text in texts]
    as_they_are: Any = list
    weigher: Any = TfidfVectorizer(analyzer=as_they_are, norm="l1")
    weights = weigher.fit_transform(encoded)
    matrix = input_embedding(model)
    used = torch.tensor(weigher.get_feature_names_out().astype(int), device=matrix.device)
    return torch.from_numpy((weights @ matrix[used].double().cpu().numpy()).astype("float32"))


def tell_nothing(texts: Sequence[str], unit: Sequence[int]) -> bool:
    """Whether each unit has one text, whatever the emotion."""
    return len(set(zip(unit, texts, strict=True))) == len(set(unit))
