"""The null ladder: one bar per rung and statistic.

Contract: pure; ``analysis/null_ladder.json`` becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind
from probes.figures.reading import need

_TITLES = {"valence": "|r|", "accuracy": "accuracy", "clusters": "ARI"}
_SHORT = {"random directions": "random", "shuffled labels": "shuffled", "name embedding": "names"}
_NO_MODEL = ("name embedding", "input embeddings")
_NOTHING = ("random directions", "shuffled labels")
_KINDS = ("chance", "no forward pass", "the model's layers")


def null_ladder(found: Mapping[str, Any]) -> Bars:
    """Describe every rung's statistics, colored by how much of the model is behind them.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    rungs = need(found, "rungs", "null_ladder")
    bars = [
        bar_of(
            f"{title}: {_short(rung['name'])}",
            _kind(rung["name"]),
            rung[key],
            f"null_ladder.{rung['name']}.{key}",
        )
        for key, title in _TITLES.items()
        for rung in rungs
        if rung[key] is not None
    ]
    return Bars(
        title="How much is there without the model's own work",
        subtitle=f"{found['model']}, layer {found['layer']}, {len(found['emotions'])} emotions, "
        f"n = {found['n_rows']} stories on {found['n_topics']} topics",
        caption="|r|: correlation of a component with human valence. Accuracy: stories on held-out "
        "topics whose own emotion comes first. ARI: agreement with the paper's clusters. Gray: "
        f"random directions and shuffled labels (mean of {found['n_refits']} draws). Input "
        "embeddings know the stories' words and nothing else, names the emotion's word alone; only "
        "what the analyzed layer has beyond them was computed by the model. Lines: 95% intervals, "
        "of chance when directions or labels are drawn again, else of emotions (|r|) or topics.",
        value_label="correlation, share or adjusted Rand index",
        **bars_by_kind(bars, _KINDS, muted=_KINDS[:1]),
    )


def _kind(name: str) -> str:
    if name in _NOTHING:
        return _KINDS[0]
    return _KINDS[1] if name in _NO_MODEL else _KINDS[2]


def _short(name: str) -> str:
    layer = name.partition(" (")[2].rstrip(")")
    return f"layer {layer}" if layer else _SHORT.get(name, name)
