"""Layers compared: gaps where too few words are rated, correlations that are positive."""

from dataclasses import replace

from probes.report.layer_figures import layer_sweep, rsa_heatmap


def test_the_sweep_has_gaps_and_mirrors_negative_correlations(analysis):
    layers = analysis["layers"]
    valence, arousal = layer_sweep(layers).panels[0].lines
    assert (valence.name, arousal.name) == ("valence", "arousal")
    assert valence.low is not None and valence.high is not None
    assert valence.y[0] is None and valence.y[5] is None
    ends = zip(valence.low, valence.y, valence.high, strict=True)
    for layer, (low, middle, high) in enumerate(ends):
        if middle is not None and low is not None and high is not None:
            assert low < middle < high
            assert middle == abs(layers.valence[layer].r)
    assert layer_sweep(layers).mark == 12
    assert layer_sweep(layers).subtitle == "18 layers, n = 24 rated words"


def test_a_sweep_without_ratings_is_still_drawn(analysis):
    figure = layer_sweep(replace(analysis["layers"], valence=[None] * 18, arousal=[None] * 18))
    assert "too few rated words" in figure.subtitle
    assert figure.panels[1].lines[0].y[-1] == 9


def test_layers_are_compared_by_their_own_numbers(analysis):
    kept = [2 * layer for layer in range(18)]
    figure = rsa_heatmap(replace(analysis["layers"], layers=kept))
    assert figure.rows == figure.columns == tuple(map(str, kept))
    assert figure.values[3][5] == analysis["layers"].rsa[3][5]
