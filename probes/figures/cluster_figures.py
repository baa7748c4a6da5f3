"""Agreement with the paper's clusters, beside what chance and shuffled stories give.

Contract: pure; ``analysis/clusters.json`` becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Bars, Part
from probes.figures.reading import interval, need, number

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
    bars: list[tuple[str, str, float, tuple[float, float] | None]] = []
    for key in ("ari", "nmi"):
        for method, measured in methods.items():
            index, where = need(measured, key, f"clusters.{method}"), f"clusters.{method}.{key}"
            short = f"{key.upper()} {method}"
            bars.append((short, _FOUND, number(index["value"], where), interval(index, where)))
            for null, name in _NULLS.items():
                bars.append((f"{short}: {name}", _NULL, number(index[null], where), None))
    for method, measured in methods.items():
        stable, where = measured["stability"], f"clusters.{method}.stability"
        if stable["value"] is not None:
            value = number(stable["value"], where)
            bars.append((f"stability {method}", _STABLE, value, interval(stable, where)))
    chance = ", ".join(f"{method} p={row['ari']['p']:.4f}" for method, row in methods.items())
    return Bars(
        title="Do the emotions fall into the paper's clusters",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {len(found['emotions'])} "
        f"emotions in {found['k']} clusters",
        caption="ARI and NMI: how alike the run's clusters and the paper's are; 1 is the same. An "
        "ARI of 0 is what chance gives; NMI is above 0 by chance, so only what it has beyond its "
        "gray bars counts. Any order: the run's clusters with the emotions dealt out anew (as "
        f"large an ARI: {chance}). Shuffled: vectors of stories whose labels were shuffled. "
        "Stability: ARI with the clusters of topics drawn again. Lines: 95% intervals when topics "
        "are drawn again.",
        categories=tuple(name for name, _, _, _ in bars),
        parts=tuple(
            Part(
                name=name,
                values=tuple(value if kind == name else 0.0 for _, kind, value, _ in bars),
                muted=name == _NULL,
            )
            for name in (_FOUND, _NULL, _STABLE)
        ),
        category_label="",
        value_label="index of agreement",
        horizontal=True,
        intervals=tuple(ends for _, _, _, ends in bars),
    )
