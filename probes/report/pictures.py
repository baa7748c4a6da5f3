"""The figures of the analysis, by the names of their files; one whose input is absent is absent."""

from collections.abc import Mapping
from typing import Any

from probes.analysis.results import Geometry, Layers, Lens
from probes.figures import Figure
from probes.report.corpus_figures import logit_lens_table, stories_written
from probes.report.geometry_figures import cosine_heatmap, pca_scatter, scree, umap_scatter
from probes.report.layer_figures import layer_sweep, rsa_heatmap


def maps_of(geometry: Geometry) -> dict[str, Figure]:
    """Describe the map of the emotions, and that of neighborhoods where there is one."""
    maps: dict[str, Figure] = {"pca_scatter": pca_scatter(geometry)}
    if geometry.umap is not None:
        maps["umap_scatter"] = umap_scatter(geometry)
    return maps


def figures_of(
    geometry: Geometry | None = None,
    layers: Layers | None = None,
    lens: Lens | None = None,
    counts: Mapping[str, Any] | None = None,
) -> dict[str, Figure]:
    """Describe every figure whose input is given."""
    figures: dict[str, Figure] = {}
    if geometry is not None:
        figures["cosine_heatmap"] = cosine_heatmap(geometry)
        figures |= maps_of(geometry)
        figures["scree"] = scree(geometry)
    if layers is not None:
        figures["layer_sweep"] = layer_sweep(layers)
        if layers.rsa is not None:
            figures["rsa_heatmap"] = rsa_heatmap(layers)
    if lens is not None:
        figures["logit_lens_table"] = logit_lens_table(lens)
    if counts is not None:
        figures["stories_written"] = stories_written(counts)
    return figures
