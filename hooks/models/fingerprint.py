"""Which weights a model has: a short digest that tells one set from another.

Values are rounded to bfloat16, so that the same weights in float32 and in bfloat16 agree.
"""

import contextlib
import hashlib

import torch
from torch import nn

_VALUES = 256


def fingerprint_of(module: nn.Module) -> str:
    """Return sixteen hex digits of a module's parameters."""
    owners = {
        f"{path}.{name}" if path else name: (owner, name)
        for path, owner in module.named_modules()
        for name, _ in owner.named_parameters(recurse=False)
    }
    digest = hashlib.sha256()
    for full_name, parameter in sorted(module.named_parameters(), key=lambda item: item[0]):
        count = min(_VALUES, parameter.numel())
        picks = torch.arange(count) * (parameter.numel() - 1) // max(1, count - 1)
        owner, name = owners[full_name]
        with _in_memory(owner):
            flat = getattr(owner, name).detach().reshape(-1)
            values = flat[picks.to(flat.device)].cpu()
        values = values.to(torch.bfloat16).float() if values.is_floating_point() else values
        digest.update(f"{full_name} {tuple(parameter.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


def _in_memory(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Load what a device map left on the disk, for as long as the context lasts."""
    if not any(parameter.is_meta for parameter in module.parameters(recurse=False)):
        return contextlib.nullcontext()
    from accelerate.utils import align_module_device  # whoever offloads has it

    return align_module_device(module)
