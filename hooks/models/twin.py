"""A second module tree over the same tensors: whatever hangs on one is not on the other."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn


def shared_twin(hf: Any, instead: Mapping[nn.Module, nn.Module] | None = None) -> Any:
    """Return a second module tree over the same parameters and buffers; no tensor is copied.

    Of the modules that are keys of `instead` it holds the values, as they are.
    """
    # bitsandbytes keeps scales beside the weights and moves them at the first pass: one set serves
    # both trees, or the second tree to run would take packed numbers for weights.
    kept = [getattr(m, name, None) for m in hf.modules() for name in ("state", "quant_state")]
    shared = [*hf.parameters(), *hf.buffers(), *(state for state in kept if state is not None)]
    replaced = {id(module): other for module, other in (instead or {}).items()}
    return copy.deepcopy(hf, {id(part): part for part in shared} | replaced)
