"""One hundred story topics in ten areas, each open to a good or a bad turn.

A topic is a noun phrase that fits "Write a short story about {topic}" and contains no word of
`lexicon.banned` of any emotion. `topics()` takes one of each area per round, so its first n cover
the areas evenly.
"""

from functools import cache

from probes.stimuli._data import read_yaml


@cache
def topics() -> tuple[str, ...]:
    """Return the 100 topics, the ten areas in turn."""
    return tuple(
        topic for round_ in zip(*topics_by_area().values(), strict=True) for topic in round_
    )


def topics_by_area() -> dict[str, tuple[str, ...]]:
    """Return area name to its ten topics."""
    return {area: tuple(names) for area, names in read_yaml("topics.yaml").items()}
