"""Mean input embedding of texts: what is known before any block has run.

Factors on embeddings and position embeddings are left out: no direction between texts has them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.model import LanguageModel
from hooks.tokens.encoding import pad
from hooks.tokens.positions import FromToken, Rule, select


def input_embedding(model: LanguageModel) -> Float[Tensor, "d_vocab d_embedding"]:
    """Return the matrix of input embeddings; InvalidInput when it is quantized."""
    if model.hf is not None:
        matrix = model.hf.get_input_embeddings().weight
    else:
        hooked: Any = model.hooked
        matrix = hooked.W_E
    if not matrix.is_floating_point():
        raise InvalidInput(
            f"the input embedding of {model.name} is quantized ({matrix.dtype}); load the model "
            "without quantize."
        )
    return matrix


@torch.no_grad()
def mean_input_embedding(
    model: LanguageModel, texts: Sequence[str], positions: Rule = FromToken(0)
) -> Float[Tensor, "text d_embedding"]:
    """Average the input embeddings of each text's selected tokens; float32, NaN without any."""
    matrix = input_embedding(model)
    means = torch.full((len(texts), matrix.shape[1]), float("nan"))
    for row, text in enumerate(texts):
        batch = pad([model.encode(text)], model.special_ids)
        ids = batch.ids[0][select(positions, batch.content, [row])[0]]
        if len(ids):
            rows = matrix[ids.to(matrix.device)].float()
            means[row] = reduce(rows, "token d -> d", "mean").cpu()
    return means
