"""Every figure whose input is there is described, under the name of its files."""

import dataclasses

from probes.report.pictures import figures_of


def test_every_figure_with_input_is_described_and_no_other(analysis, geometry):
    assert list(figures_of(**analysis)) == [
        "cosine_heatmap",
        "pca_scatter",
        "umap_scatter",
        "scree",
        "layer_sweep",
        "rsa_heatmap",
        "logit_lens_table",
        "stories_written",
    ]
    without_umap = dataclasses.replace(geometry, umap=None)
    assert list(figures_of(without_umap)) == ["cosine_heatmap", "pca_scatter", "scree"]
    two_emotions = dataclasses.replace(analysis["layers"], rsa=None)
    assert list(figures_of(layers=two_emotions)) == ["layer_sweep"]
    assert figures_of() == {}
