"""What types and shapes are checked by while tests run.

jaxtyping's import hook decorates every function with `jaxtyping.jaxtyped`, which binds and checks
the arguments of each call twice, and does so anew for a function within a function whenever the
outer one is called. Here arguments are checked once, axes are bound where an annotation names some,
and functions within functions are left alone; so are shapes after the first `CALLS` calls of a
function in a test.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping

CALLS = 20
_called: list[list[int]] = []
"""What is left of the calls of each function that was called in this test."""


def begin_test() -> None:
    """Check the first calls of every function again."""
    for left in _called:
        left[0] = CALLS
    _called.clear()


def install() -> None:
    """Take the place of `jaxtyping.jaxtyped` in what the import hook decorates from now on."""
    jaxtyping.jaxtyped = checked


def checked(decorated: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """Check a function's arguments and result, or the fields a dataclass is made with."""
    if decorated is None:
        return functools.partial(checked, typechecker=typechecker)
    if inspect.isclass(decorated):
        if dataclasses.is_dataclass(decorated):
            decorated.__init__ = checked(decorated.__init__, typechecker=typechecker)
        return decorated
    if "<locals>" in decorated.__qualname__:
        return decorated
    if inspect.isgeneratorfunction(decorated):  # alone, these are checked once they begin
        return _jaxtyped(decorated, typechecker=typechecker)
    hints = {name: _hint(it, decorated) for name, it in decorated.__annotations__.items()}
    decorated.__annotations__ = hints
    within_types = typechecker(decorated)
    if not any(map(_names_axes, hints.values())):
        return within_types

    left = [CALLS]

    @functools.wraps(decorated)
    def within_shapes(*args: Any, **kwargs: Any) -> Any:
        if not left[0]:
            return decorated(*args, **kwargs)
        if left[0] == CALLS:
            _called.append(left)
        left[0] -= 1
        with _jaxtyped("context"):
            return within_types(*args, **kwargs)

    return within_shapes


_jaxtyped = jaxtyping.jaxtyped


def _hint(annotation: Any, decorated: Any) -> Any:
    """Evaluate what is text in an annotation; what only a type checker imports may be anything."""
    alone = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(alone, decorated.__globals__, include_extras=True)["it"]
    except (NameError, TypeError):
        return Any


def _names_axes(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_axes, typing.get_args(hint)))
