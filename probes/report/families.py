"""Families of emotions on a map, each with a name, and which emotions are named first.

A cluster of the run is named after its most central emotions: those with the highest mean cosine to
its members. The paper's clusters have the names that the paper gave them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from probes.analysis.results import Geometry
from probes.stimuli import paper_clusters

_NAMESAKES = 2


@dataclass(frozen=True)
class Families:
    """A partition of the emotions: the family of each, the families' names, and what they are."""

    about: str
    of: tuple[int, ...]
    names: tuple[str, ...]


def run_families(geometry: Geometry) -> Families | None:
    """Name the run's k-means clusters; None where there are none."""
    if geometry.kmeans is None:
        return None
    of = tuple(geometry.kmeans.labels)
    names = (
        ", ".join(geometry.emotions[index] for index in members[:_NAMESAKES])
        for members in central_first(geometry.cosine, of)
    )
    return Families("k-means cluster, by its most central emotions", of, tuple(names))


def paper_families(emotions: Sequence[str]) -> Families | None:
    """Sort emotions into those of the paper's clusters that they are in; None if one is in none."""
    clusters = paper_clusters()
    name_of = {word: name for name, words in clusters.items() for word in words}
    if not all(emotion in name_of for emotion in emotions):
        return None
    present = {name_of[emotion] for emotion in emotions}
    names = tuple(name for name in clusters if name in present)
    of = tuple(names.index(name_of[emotion]) for emotion in emotions)
    return Families("cluster of the paper", of, names)


def central_first(cosine: Sequence[Sequence[float]], of: Sequence[int]) -> list[list[int]]:
    """List the members of each family, the most central first."""
    groups = [[row for row, it in enumerate(of) if it == family] for family in range(max(of) + 1)]
    return [
        sorted(members, key=lambda row: -sum(cosine[row][other] for other in members))
        for members in groups
    ]


def by_importance(
    geometry: Geometry, families: Families | None, x: Sequence[float], y: Sequence[float]
) -> tuple[int, ...]:
    """Order emotions for their names on a map: whoever comes late may find no room.

    First the most central of each family and the ends of both axes, then words that people have
    rated, then all others; each from the edge of the map inward.
    """
    first = {column.index(end(column)) for column in (list(x), list(y)) for end in (min, max)}
    if families is not None:
        first |= {members[0] for members in central_first(geometry.cosine, families.of)}
    outward = _from_the_middle(x, y)

    def place(index: int) -> tuple[int, float]:
        is_rated = geometry.emotions[index] in geometry.human
        return (0 if index in first else 1 if is_rated else 2, -outward[index])

    return tuple(sorted(range(len(geometry.emotions)), key=place))


def _from_the_middle(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Distances from the middle of a map whose sides are drawn equally long."""
    sides = [[2 * (it - min(side)) / ((max(side) - min(side)) or 1.0) - 1 for it in side]
             for side in (x, y)]  # fmt: skip
    return [across**2 + down**2 for across, down in zip(*sides, strict=True)]
