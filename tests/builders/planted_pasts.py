"""A model whose stream holds what a test planted, after the texts' beginnings that it names."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from hooks import LanguageModel
from hooks.models.watching import Inputs


@contextlib.contextmanager
def planted_pasts(
    model: LanguageModel, planted: Mapping[str, Tensor], layer: int = 1
) -> Iterator[None]:
    """Add a vector after block `layer` at every token that follows one of these beginnings.

    A text is known by its token ids; of several beginnings the longest counts.
    """
    by_ids = {tuple(model.encode(text)): vector for text, vector in planted.items()}
    longest_first = sorted(by_ids, key=len, reverse=True)
    rows: list[list[int]] = []

    def see(inputs: Inputs) -> None:
        rows[:] = inputs.ids.tolist()

    def change(residual: Tensor, _layer: int) -> Tensor:
        changed = residual.clone()
        for row, ids in enumerate(rows):
            for beginning in longest_first:
                if tuple(ids[: len(beginning)]) == beginning:
                    changed[row, len(beginning) :] += by_ids[beginning].to(residual)
                    break
        return changed

    with torch.no_grad(), model.bulk.watched(see), model.bulk.hooked({layer: change}):
        yield
