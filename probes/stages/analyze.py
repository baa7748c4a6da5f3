"""Geometry of the vectors: cosine, PCA, k-means, UMAP, and all layers compared."""

import csv
import io
from typing import Any

from probes.analysis.describe import describe_geometry, describe_layers
from probes.analysis.results import Geometry, plain_values
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.storage import write_json, write_text

GEOMETRY = "analysis/geometry.json"
LAYERS = "analysis/layers.json"


def analyze(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Geometry at the target layer and over all layers; leaves ``analysis/``."""
    materials = Materials(run, models, reporter)
    bundle, index, target = materials.vectors, materials.index, materials.layer
    settings = run.config.analysis
    shared: dict[str, Any] = {
        "n_components": settings.n_components,
        "unit_norm": settings.unit_norm,
        "n_permutations": settings.n_permutations,
        "seed": run.config.seed,
    }
    geometry = describe_geometry(
        bundle.at(target),
        bundle.emotions,
        materials.cell_sums(),
        materials.neutral_components(),
        n_clusters=run.n_clusters,
        n_bootstrap=settings.n_bootstrap,
        model=index["model"],
        layer=target,
        n_layers=index["n_layers"],
        **shared,
    )
    layers = describe_layers(
        bundle.vectors,
        bundle.layers,
        bundle.emotions,
        model=index["model"],
        target_layer=target,
        n_neutral_components=bundle.provenance.n_neutral_components,
        residual_norm=bundle.residual_norm.tolist(),
        **shared,
    )
    described = plain_values(geometry)
    write_json(run.root / GEOMETRY, described)
    write_json(run.root / LAYERS, plain_values(layers))
    write_text(run.root / "analysis" / "pca.csv", _table(geometry))
    return {"layer": target, "ratings": described["ratings"], "kmeans": described["kmeans"]}


def _table(geometry: Geometry) -> str:
    """One line per emotion: components, cluster, UMAP, human ratings."""
    names = [f"pc{number + 1}" for number in range(len(geometry.pca.coordinates[0]))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["emotion", *names, "cluster", "umap_x", "umap_y", "valence", "arousal"])
    for row, emotion in enumerate(geometry.emotions):
        human = geometry.human.get(emotion)
        writer.writerow(
            [
                emotion,
                *geometry.pca.coordinates[row],
                "" if geometry.kmeans is None else geometry.kmeans.labels[row],
                *(("", "") if geometry.umap is None else geometry.umap[row]),
                *(("", "") if human is None else (human.valence, human.arousal)),
            ]
        )
    return buffer.getvalue()
