"""Running out of memory: how each device says so, and giving back what is not used."""

import torch

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What allocators say where they have no error class of their own: Linux, Windows, MPS."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the machine had too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def release_memory() -> None:
    """Give memory that failed passes left behind back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
