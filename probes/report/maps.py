"""Coordinates of the interactive map: the emotions at every layer, on the axes of its figure.

At the target layer a component is flipped so that human ratings rise with it, as in the figure; at
any other layer it is flipped to run with the target layer's. A second component that does not exist
(two emotions) is zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis import geometry
from probes.analysis.results import Geometry, Layers, Lens, ScaleMatch
from probes.figures.palette import CROWD
from probes.figures.text import correlation
from probes.report.families import by_importance, paper_families, run_families

N_NEIGHBORS = 5
N_TOKENS = 5
_DIGITS = 4


def describe_map(
    vectors: Float[Tensor, "layer emotion d_model"],
    layers: Sequence[int],
    described: Geometry,
    sweep: Layers,
    lens: Lens,
    facts: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> dict[str, Any]:
    """Gather what the interactive map shows, as plain values for its script.

    `facts` are more lines (what, value) about some emotions.
    """
    emotions = list(described.emotions)
    target = list(layers).index(described.layer)
    unit_norm = described.pca.unit_norm
    axes = [sweep.ratings(index).axes() for index in range(len(layers))]
    anchor, _ = _components(vectors[target], unit_norm, axes[target])
    carried = [_matches(sweep, target, component) for component in axes[target]]
    anchor = anchor * torch.tensor([float(it[0][1].sign) if it else 1.0 for it in carried])
    rows: dict[str, list[Any]] = {key: [] for key in ("x", "y", "x_label", "y_label", "neighbors")}
    for index in range(len(layers)):
        points, ratios = _components(vectors[index], unit_norm, axes[index])
        # At the target layer itself this gives back the anchor.
        agreement = (points * anchor).sum(dim=0)
        points = points * torch.where(agreement < 0, -1.0, 1.0)
        for column, key in enumerate("xy"):
            rows[key].append([round(value, _DIGITS) for value in points[:, column].tolist()])
            label = _label(sweep, index, axes[index][column], ratios[column])
            rows[f"{key}_label"].append(label)
        rows["neighbors"].append(_neighbors(vectors[index]))
    families, of_paper = run_families(described), paper_families(emotions)
    order = by_importance(described, of_paper or families, rows["x"][target], rows["y"][target])
    human = [described.human.get(emotion) for emotion in emotions]
    return {
        "emotions": emotions,
        "layers": list(layers),
        "target": target,
        **rows,
        "umap": described.umap and [[round(v, _DIGITS) for v in p] for p in described.umap],
        "clusters": families and families.of,
        "cluster_names": families and families.names,
        "paper": of_paper and {"of": of_paper.of, "names": of_paper.names},
        "order": order,
        "crowded": len(emotions) > CROWD,
        "valence": [rating and rating.valence for rating in human],
        "arousal": [rating and rating.arousal for rating in human],
        "facts": [list((facts or {}).get(emotion, ())) for emotion in emotions],
        "tokens": [
            [token.strip() for token, _ in lens.emotions[emotion].top[:N_TOKENS]]
            for emotion in emotions
        ],
    }


def _components(
    vectors: Float[Tensor, "emotion d_model"], unit_norm: bool, axes: tuple[int, int]
) -> tuple[Float[Tensor, "emotion 2"], list[float]]:
    keep = min(max(axes) + 1, len(vectors) - 1, vectors.shape[1])
    components = geometry.principal_components(vectors, keep, unit_norm)
    points, ratios = torch.zeros(len(vectors), 2), [0.0, 0.0]
    for column, component in enumerate(axes):
        if component < keep:
            points[:, column] = components.coordinates[:, component]
            ratios[column] = float(components.explained_variance_ratio[component])
    return points, ratios


def _matches(sweep: Layers, index: int, component: int) -> list[tuple[str, ScaleMatch]]:
    by_scale = sweep.ratings(index).by_scale
    return [(scale, match) for scale, match in by_scale if match.component == component]


def _label(sweep: Layers, index: int, component: int, ratio: float) -> str:
    notes = [f"{ratio:.0%} of variance"]
    for scale, match in _matches(sweep, index, component):
        notes.append(f"{scale} |r| = {correlation(abs(match.r))}")
    return f"PC{component + 1} ({'; '.join(notes)})"


def _neighbors(vectors: Float[Tensor, "emotion d_model"]) -> list[list[tuple[int, float]]]:
    cosine = geometry.cosine_matrix(vectors)
    cosine.fill_diagonal_(-2.0)
    near = cosine.topk(min(N_NEIGHBORS, len(vectors) - 1), dim=1)
    pairs = zip(near.indices.tolist(), near.values.tolist(), strict=True)
    return [list(zip(indices, [round(v, 3) for v in row], strict=True)) for indices, row in pairs]
