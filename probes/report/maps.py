"""Coordinates of the interactive map: the emotions at every layer.

1. At each layer the vectors' first two principal components are taken, as `analyze` takes them.
2. At the target layer a component is flipped so that human ratings rise with it, as in the figure.
3. At any other layer it is flipped to run with the target layer's (positive correlation): a sign is
   arbitrary, and points that jump to the other side would say nothing.
4. The nearest neighbors of each emotion are taken at every layer, by cosine.

Contract: pure; tensors and plain values in, plain values out that go into JSON. A second component
that does not exist (two emotions) is zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis import geometry
from probes.figures.reading import correlation, share

N_NEIGHBORS = 5
N_TOKENS = 5
_DIGITS = 4


def describe_map(
    vectors: Float[Tensor, "layer emotion d_model"],
    layers: Sequence[int],
    described: Mapping[str, Any],
    sweep: Mapping[str, Any],
    lens: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather what the interactive map shows.

    Parameters
    ----------
    vectors
        Denoised vectors.
    layers
        The model's numbers of the layers.
    described, sweep, lens
        ``analysis/geometry.json``, ``layers.json`` and ``logit_lens.json``.

    Returns
    -------
    dict
        ``emotions``, ``layers``, ``target`` (place of the target layer), per layer ``x``, ``y``,
        ``x_label``, ``y_label`` and ``neighbors`` (pairs of a place and a cosine), ``umap`` or
        None, ``clusters`` or None, ``valence`` and ``arousal`` (None where nobody rated),
        ``tokens``.
    """
    emotions = list(described["emotions"])
    target = list(layers).index(described["layer"])
    unit_norm = described["pca"].get("unit_norm", True)
    anchor, _ = _components(vectors[target], unit_norm)
    anchor = anchor * torch.tensor([_sign(sweep, target, place) for place in range(2)])
    rows: dict[str, list[Any]] = {key: [] for key in ("x", "y", "x_label", "y_label", "neighbors")}
    for place in range(len(layers)):
        points, ratios = _components(vectors[place], unit_norm)
        # At the target layer itself this gives back the anchor.
        agreement = (points * anchor).sum(dim=0)
        points = points * torch.where(agreement < 0, -1.0, 1.0)
        for key, column in (("x", 0), ("y", 1)):
            rows[key].append(_rounded(points[:, column]))
            rows[f"{key}_label"].append(_label(sweep, place, column, ratios[column]))
        rows["neighbors"].append(_neighbors(vectors[place]))
    clusters, human = described.get("kmeans"), described.get("human") or {}
    return {
        "emotions": emotions,
        "layers": list(layers),
        "target": target,
        **rows,
        "umap": described["umap"] and [[round(v, _DIGITS) for v in p] for p in described["umap"]],
        "clusters": clusters and list(clusters["labels"]),
        **{
            scale: [human.get(emotion, {}).get(scale) for emotion in emotions]
            for scale in ("valence", "arousal")
        },
        "tokens": [
            [token.strip() for token, _ in lens["emotions"][emotion]["top"][:N_TOKENS]]
            for emotion in emotions
        ],
    }


def _components(
    vectors: Float[Tensor, "emotion d_model"], unit_norm: bool
) -> tuple[Float[Tensor, "emotion 2"], list[float]]:
    keep = min(2, len(vectors) - 1, vectors.shape[1])
    found = geometry.principal_components(vectors, keep, unit_norm)
    points = torch.zeros(len(vectors), 2)
    points[:, :keep] = found.coordinates
    return points, [*found.explained_variance_ratio.tolist(), 0.0][:2]


def _matches(
    sweep: Mapping[str, Any], place: int, component: int
) -> list[tuple[str, Mapping[str, Any]]]:
    found = [(scale, (sweep.get(scale) or {})) for scale in ("valence", "arousal")]
    return [
        (scale, rows[place])
        for scale, rows in found
        if rows and rows[place] is not None and rows[place]["component"] == component
    ]


def _sign(sweep: Mapping[str, Any], place: int, component: int) -> float:
    matches = _matches(sweep, place, component)
    return float(matches[0][1]["sign"]) if matches else 1.0


def _label(sweep: Mapping[str, Any], place: int, component: int, ratio: float) -> str:
    notes = [f"{share(ratio)} of variance"]
    for scale, match in _matches(sweep, place, component):
        notes.append(f"{scale} |r| = {correlation(abs(match['r']))}")
    return f"PC{component + 1} ({'; '.join(notes)})"


def _neighbors(vectors: Float[Tensor, "emotion d_model"]) -> list[list[tuple[int, float]]]:
    cosine = geometry.cosine_matrix(vectors)
    cosine.fill_diagonal_(-2.0)
    near = cosine.topk(min(N_NEIGHBORS, len(vectors) - 1), dim=1)
    return [
        [(int(i), round(float(v), 3)) for i, v in zip(indices, values, strict=True)]
        for indices, values in zip(near.indices, near.values, strict=True)
    ]


def _rounded(values: Float[Tensor, "emotion"]) -> list[float]:
    return [round(value, _DIGITS) for value in values.tolist()]
