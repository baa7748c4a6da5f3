"""Clusters and sample size: planted groups are found, noise has neither groups nor reliability."""

import math

import pytest
import torch
from planted_runs import D_MODEL, N_LAYERS, directions

from probes.experiments import find_experiment
from probes.stimuli import paper_clusters

CLUSTERS, SIZE = find_experiment("clusters"), find_experiment("sample-size")
OWNER = {word: name for name, words in paper_clusters().items() for word in words}
GROUPS = directions(sorted(paper_clusters()), 4)


def grouped_row(text, generator):
    """Emotions of one of the paper's clusters share a direction."""
    value = 0.3 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
    return value if text.emotion is None else value + 3 * GROUPS[OWNER[text.emotion]]


def noise_row(text, generator):
    return torch.randn(N_LAYERS, D_MODEL, generator=generator)


def test_planted_clusters_are_recovered_by_both_methods(planted):
    values = CLUSTERS.measure(planted(row=grouped_row)).values
    for found in values["methods"].values():
        assert found["ari"]["value"] == pytest.approx(1.0)
        assert found["nmi"]["value"] == pytest.approx(1.0)
        assert found["ari"]["p"] < 0.1
        assert found["ari"]["shuffled_upper"] < 1.0
        assert found["stability"]["value"] > 0.9


def test_clusters_of_noise_are_said_to_be_none(planted):
    measured = CLUSTERS.measure(planted(row=noise_row))
    for name, found in measured.values["methods"].items():
        assert found["ari"]["p"] > 0.05
        assert any(name in limit for limit in measured.limits)


def weak_row(text, generator):
    """Groups that the topics at hand show, and topics drawn again show less."""
    value = torch.randn(N_LAYERS, D_MODEL, generator=generator)
    return value if text.emotion is None else value + 1.2 * GROUPS[OWNER[text.emotion]]


def test_every_index_lies_in_its_interval_and_ends_where_it_can_be(planted):
    for row in (grouped_row, weak_row, noise_row):
        for found in CLUSTERS.measure(planted(row=row)).values["methods"].values():
            for index, least in (("ari", -1.0), ("nmi", 0.0), ("stability", -1.0)):
                low, value, high = (found[index][key] for key in ("low", "value", "high"))
                assert least <= low <= value <= high <= 1.0 + 1e-9


def test_reliable_vectors_need_no_more_stories(planted):
    measured = SIZE.measure(planted(row=grouped_row))
    assert measured.values["sizes"] == [1, 2, 3]
    assert measured.values["mean_reliability"] > 0.95
    needed = measured.values["needed"]["0.9"]
    assert needed["low"] <= needed["value"] <= (needed["high"] or math.inf)
    assert needed["value"] < 12
    assert not measured.limits


def test_noise_is_said_to_need_more_than_there_is(planted):
    measured = SIZE.measure(planted(row=noise_row))
    assert measured.values["mean_reliability"] < 0.4
    assert "reliability" in measured.limits[0]
    figures = SIZE.figures(measured.to_json())
    lines = figures["sample_size"].panels[0].lines
    assert [line.name for line in lines] == ["same emotion", "different emotions"]
    low, high = measured.values["mean_reliability_interval"]
    assert 0.0 <= low <= measured.values["mean_reliability"] <= high <= 1.0
    assert measured.rows[1][0] == "stories needed, on more topics at 2.0 a topic"
    assert len(figures["reliability_by_emotion"].intervals) == 8
    [part] = figures["reliability_by_emotion"].parts
    assert list(part.values) == sorted(measured.values["reliability"].values())


def test_the_figure_of_clusters_has_every_null_beside_what_it_could_explain(planted):
    measured = CLUSTERS.measure(planted(row=grouped_row))
    [figure] = CLUSTERS.figures(measured.to_json()).values()
    found = dict(zip(figure.categories, figure.totals, strict=True))
    for method, values in measured.values["methods"].items():
        assert found[f"ARI {method}"] == values["ari"]["value"]
        assert found[f"NMI {method}: any order"] == values["nmi"]["permuted"]
        assert found[f"ARI {method}: shuffled"] == values["ari"]["shuffled"]
    ends = dict(zip(figure.categories, figure.intervals, strict=True))
    low, high = ends["ARI k-means"]
    assert low <= found["ARI k-means"] <= high
    assert ends["ARI k-means: shuffled"] is None
    assert all(len(name) <= 27 for name in figure.categories)
