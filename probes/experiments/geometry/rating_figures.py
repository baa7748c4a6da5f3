"""Human ratings against a component of the vectors.

Contract: pure; ``analysis/human_ratings.json`` becomes one description per scale.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Scatter
from probes.figures.reading import correlation, need, numbers


def rating_scatter(found: Mapping[str, Any], name: str, scale: str) -> Scatter:
    """Describe one scale's ratings and the component that follows it best.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    norms = need(need(found, "norms", "human_ratings"), name, "human_ratings.norms")
    match = need(norms, scale, "human_ratings.norms")
    where = f"human_ratings.{scale}"
    return Scatter(
        title=f"Human {scale} and the component that follows it best",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {match['n']} words ({name}), "
        f"r = {correlation(match['r'])}, p = {match['p_corrected']:.4f} for "
        f"{match['n_searched']} components",
        caption="Each point is an emotion. The component is turned so that it rises with the "
        f"rating. Emotions predicted from the others alone: r = "
        f"{correlation(match['left_out']['r'])}.",
        labels=tuple(need(norms, "words", where)),
        x=numbers(need(match, "ratings", where), where),
        y=numbers(need(match, "coordinates", where), where),
        x_label=f"{scale} as people rated it",
        y_label=f"PC{match['component'] + 1} of the vectors",
    )
