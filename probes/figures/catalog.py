"""The figures of an analysis, by name.

Input
-----
Plain dictionaries as an analysis leaves them in JSON files:

* ``geometry``: the emotion vectors of one layer (model, layer, n_layers, emotions, cosine, order,
  pca, ratings, human, kmeans, umap); see `geometry_figures`.
* ``layers``: the same measures at every layer; see `layer_figures`.
* ``lens`` and ``counts``: tokens per emotion and stories per emotion; see `corpus_figures`.

The figures of an experiment belong to the experiment (`probes.experiments`).

Contract
--------
* Pure: dictionaries in, descriptions out. No file, no drawing, no statistics beyond sums.
* A figure whose input is absent is absent; an input that is present but damaged is an error.
"""

from collections.abc import Mapping

from probes.figures.corpus_figures import logit_lens_table, stories_written
from probes.figures.description import Figure
from probes.figures.geometry_figures import cosine_heatmap, pca_scatter, scree, umap_scatter
from probes.figures.layer_figures import layer_sweep, rsa_heatmap

__all__ = [
    "cosine_heatmap",
    "figures_of",
    "layer_sweep",
    "logit_lens_table",
    "pca_scatter",
    "rsa_heatmap",
    "scree",
    "stories_written",
    "umap_scatter",
]


def figures_of(analysis: Mapping[str, Mapping | None]) -> dict[str, Figure]:
    """Describe every figure whose input is present.

    Parameters
    ----------
    analysis : mapping
        Any of ``geometry``, ``layers``, ``lens`` and ``counts``; other entries are
        left alone.

    Returns
    -------
    dict of str to Figure
        Descriptions by file name, without a suffix.
    """
    figures: dict[str, Figure] = {}
    geometry = analysis.get("geometry")
    if geometry is not None:
        figures["cosine_heatmap"] = cosine_heatmap(geometry)
        figures["pca_scatter"] = pca_scatter(geometry)
        if geometry.get("umap") is not None:
            figures["umap_scatter"] = umap_scatter(geometry)
        figures["scree"] = scree(geometry)
    layers = analysis.get("layers")
    if layers is not None:
        figures["layer_sweep"] = layer_sweep(layers)
        if layers.get("rsa") is not None:
            figures["rsa_heatmap"] = rsa_heatmap(layers)
    lens = analysis.get("lens")
    if lens is not None:
        figures["logit_lens_table"] = logit_lens_table(lens)
    counts = analysis.get("counts")
    if counts is not None:
        figures["stories_written"] = stories_written(counts)
    return figures
