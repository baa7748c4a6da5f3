"""Likeness of two runs, every layer of one against every layer of the other."""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap
from probes.figures.reading import matrix


def layers_alike(pair: Mapping[str, Any]) -> Heatmap:
    """Draw the RSA of every layer of one run with every layer of the other."""
    one = pair["measures"]["rsa"]
    layers = pair["layers_of"]
    return Heatmap(
        title=f"Geometry of {pair['first']} and {pair['second']}",
        subtitle=(
            f"{pair['what_differs']}; {len(pair['emotions'])} shared emotions; at layers "
            f"{pair['layers'][0]} and {pair['layers'][1]}: RSA {one['value']:.2f} "
            f"[{one['low']:.2f}, {one['high']:.2f}], 5% of permutations reach "
            f"{one['null_bound']:.2f}"
        ),
        caption=(
            "Spearman correlation of the cosines between emotions at a layer of one run with those "
            "at a layer of the other. 1: the same emotions lie close to each other in both."
        ),
        rows=tuple(map(str, layers[0])),
        columns=tuple(map(str, layers[1])),
        values=matrix(pair["rsa_by_layer"], "RSA by layer"),
        value_label="RSA (Spearman)",
        x_label=f"layer of {pair['second']}",
        y_label=f"layer of {pair['first']}",
        limits=(-1.0, 1.0),
    )
