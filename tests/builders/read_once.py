"""What takes long to load is loaded once, by tests that only look at it."""

import functools
from collections.abc import Callable
from typing import Any


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Share what the same arguments gave; those that cannot be compared give it anew."""
    cached = functools.cache(function)

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return function(*args, **kwargs)
        return cached(*args, **kwargs)

    return called
