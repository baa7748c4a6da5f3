"""Which floating-point type a device really computes in, and which quantisation was asked for.

`"auto"` is bfloat16 only where the device multiplies its matrices in hardware: emulated, they are
many times slower than float32.
"""

import importlib.util
from typing import Any

import torch

from hooks.errors import InvalidInput, ModelError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` into CUDA, MPS or the CPU, in this order; anything else is taken as it is."""
    if device != "auto":
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise InvalidInput(
                f"device: expected 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', got {device!r}."
            ) from error
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise InvalidInput(
                f"device: {device!r} was asked for and torch finds none; use 'auto' or 'cpu'."
            )
        return chosen
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return torch.device(next((kind for kind, is_there in there.items() if is_there), "cpu"))


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Older versions of torch cannot say; float32 is then the safe answer.
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Turn a dtype's name into the dtype; ``"auto"`` picks what the device computes in."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        return torch.bfloat16 if computes_in_bfloat16(device) else torch.float32
    if dtype not in _DTYPES:
        raise InvalidInput(f"dtype: expected 'auto' or one of {sorted(_DTYPES)}, got {dtype!r}.")
    return _DTYPES[dtype]


def quantization_config(quantize: str | None, compute_dtype: torch.dtype) -> Any | None:
    """Return the bitsandbytes configuration for ``"4bit"`` (NF4) or ``"8bit"``, or None."""
    if quantize is None:
        return None
    if quantize not in ("4bit", "8bit"):
        raise InvalidInput(f"quantize: expected null, '4bit' or '8bit', got {quantize!r}.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"quantize={quantize!r} needs bitsandbytes: pip install 'emotion-lens[quantize]'"
        )
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute_dtype
    )
