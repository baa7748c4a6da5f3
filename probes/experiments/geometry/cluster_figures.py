"""Agreement with the paper's clusters, beside what chance and shuffled stories give.

Contract: pure; ``analysis/clusters.json`` becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Bars
from probes.figures.estimates import Bar, bar_of, bars_by_kind
from probes.figures.reading import need, number

_FOUND, _NULL, _STABLE = "this run", "chance", "with itself"
_NULLS = {"permuted": "any order", "shuffled": "shuffled"}


def cluster_agreement(found: Mapping[str, Any]) -> Bars:
    """Describe both indices of every method beside their nulls, and how stable the clusters are.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    methods = need(found, "methods", "clusters")
    bars: list[Bar] = []
    for key in ("ari", "nmi"):
        for method, measured in methods.items():
            index, where = need(measured, key, f"clusters.{method}"), f"clusters.{method}.{key}"
            short = f"{key.upper()} {method}"
            bars.append(bar_of(short, _FOUND, index, where))
            for null, name in _NULLS.items():
                bars.append(Bar(f"{short}: {name}", _NULL, number(index[null], where)))
    for method, measured in methods.items():
        if measured["stability"]["value"] is not None:
            where = f"clusters.{method}.stability"
            bars.append(bar_of(f"stability {method}", _STABLE, measured["stability"], where))
    chance = ", ".join(f"{method} p={row['ari']['p']:.4f}" for method, row in methods.items())
    return Bars(
        title="Do the emotions fall into the paper's clusters",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {len(found['emotions'])} "
        f"emotions in {found['k']} clusters",
        caption="ARI and NMI: how alike the run's clusters and the paper's are; 1 is the same. An "
        "ARI of 0 is what chance gives; NMI is above 0 by chance, so only what it has beyond its "
        "gray bars counts. Any order: the run's clusters with the emotions dealt out anew (as "
        f"large an ARI: {chance}). Shuffled: vectors of stories whose labels were shuffled. "
        "Stability: ARI with the clusters of topics drawn again. Lines: 95% intervals over topics; "
        "of stability, 95% of its draws.",
        value_label="index of agreement",
        **bars_by_kind(bars, (_FOUND, _NULL, _STABLE), muted=(_NULL,)),
    )
