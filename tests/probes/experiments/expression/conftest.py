"""Worlds of expression, measured once."""

from collections.abc import Callable
from typing import Any

import pytest
from expressed_worlds import World

from probes.experiments import find_experiment


@pytest.fixture(scope="session")
def world(tiny_model) -> Callable[..., World]:
    """``world(alike=1.0, shuffled=False, ...)``: see `World`."""
    return lambda **parts: World(lambda: tiny_model("gpt2"), **parts)


@pytest.fixture(scope="session")
def measured(world) -> Callable[..., Any]:
    """``measured(...)``: what the experiment finds in such a world."""
    made: dict[str, Any] = {}

    def measure(**parts: Any) -> Any:
        key = repr(sorted(parts.items()))
        if key not in made:
            made[key] = find_experiment("expression").measure(world(**parts))
        return made[key]

    return measure
