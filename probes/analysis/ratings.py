"""Human ratings beside the model's geometry.

The 45 rated words among the 171 (Russell & Mehrabian 1977) are matched with principal components:
each component's coordinates are correlated with the ratings, and the component with the largest
|r| is reported with the number searched, and with a permutation p-value and an interval that pay
for that search. A component has no sign of its own, so r is reported positive with the sign that
makes it so.

Contract: numbers in, numbers out; which words are rated comes from `stimuli`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.statistics import search_components
from probes.stimuli import human_ratings

MIN_RATED = 5
"""Fewer rated words than this are not compared: the interval would span nearly everything."""


def rated_words(emotions: Sequence[str]) -> list[int]:
    """Return the places of the emotions that people have rated."""
    ratings = human_ratings()
    return [index for index, emotion in enumerate(emotions) if emotion in ratings]


def rating_table(emotions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return valence and arousal of the rated emotions, in -1..1."""
    ratings = human_ratings()
    return {
        emotion: {"valence": ratings[word].pleasure, "arousal": ratings[word].arousal}
        for emotion in emotions
        if (word := emotion.lower()) in ratings
    }


def match_component(
    coordinates: Float[Tensor, "emotion component"],
    emotions: Sequence[str],
    scale: str,
    *,
    n_searched: int,
    exclude: Collection[int] = (),
    n_permutations: int,
    seed: int,
) -> dict[str, Any] | None:
    """Find the principal component that follows a rating scale best.

    Parameters
    ----------
    coordinates
        Of all emotions; only rated ones count.
    scale
        ``"valence"`` or ``"arousal"``.
    n_searched
        How many leading components to search.
    exclude
        Components already taken by another scale.
    n_permutations
        Shuffles of the ratings behind ``p_corrected``.

    Returns
    -------
    dict or None
        ``component, sign, r, n, low, high, p_corrected, n_searched``; None with too few rated
        words.
    """
    rated = rated_words(emotions)
    if len(rated) < MIN_RATED:
        return None
    table = rating_table(emotions)
    target = torch.tensor([table[emotions[index]][scale] for index in rated], dtype=torch.float64)
    count = min(n_searched, coordinates.shape[1])
    searched = [component for component in range(count) if component not in exclude]
    if not searched or target.std() == 0:
        return None
    chosen = coordinates[rated][:, searched].double()
    found = search_components(chosen, target, n_permutations=n_permutations, seed=seed)
    return {
        "component": searched[found.component],
        "sign": found.sign,
        "r": found.correlation,
        "n": len(rated),
        "low": found.low,
        "high": found.high,
        "p_corrected": found.p_corrected,
        "n_searched": len(searched),
    }
