"""Clusters: planted groups are recovered, noise has none."""

from dataclasses import replace

import pytest
import torch
from planted_runs import D_MODEL, N_LAYERS, directions

from probes.experiments import NotMeasured, find_experiment, to_json
from probes.stimuli import paper_clusters

EXPERIMENT = find_experiment("clusters")
OWNER = {word: name for name, words in paper_clusters().items() for word in words}
GROUPS = directions(sorted(paper_clusters()), 4)


def row_of(strength: float, noise: float):
    """Emotions of one of the paper's clusters share a direction of some strength, in noise."""

    def row(text, generator):
        value = noise * torch.randn(N_LAYERS, D_MODEL, generator=generator)
        return value if text.emotion is None else value + strength * GROUPS[OWNER[text.emotion]]

    return row


GROUPED, NOISE = row_of(3, 0.3), row_of(0, 1.0)
WEAK = row_of(1.2, 1.0)
"""Groups that the topics at hand show, and resampled topics show less."""


def test_planted_clusters_are_recovered_by_both_methods(planted):
    measured = EXPERIMENT.measure(planted(row=GROUPED))
    assert set(measured.methods) == {"k-means", "hierarchical"}
    for method in measured.methods.values():
        assert method.ari.value == pytest.approx(1.0)
        assert method.nmi.value == pytest.approx(1.0)
        assert method.ari.p < 0.1
        assert method.ari.shuffled_upper < 1.0
        assert method.stability.value > 0.9


def test_clusters_of_noise_are_said_to_be_none(planted):
    measured = EXPERIMENT.measure(planted(row=NOISE))
    for method, finding in zip(("k-means", "hierarchical"), measured.findings(), strict=True):
        assert measured.methods[method].ari.p > 0.05
        assert finding.verdict == "not shown"
        assert finding.limit in to_json(measured)["limits"]


def test_every_index_lies_in_its_interval_and_ends_where_it_can_be(planted):
    for row in (GROUPED, WEAK, NOISE):
        for method in EXPERIMENT.measure(planted(row=row)).methods.values():
            for index, least in ((method.ari, -1), (method.nmi, 0), (method.stability, -1)):
                assert least <= index.low <= index.value <= index.high <= 1.0 + 1e-9


def test_row_claim_and_paragraph_name_the_same_index(planted):
    measured = EXPERIMENT.measure(planted(row=WEAK))
    claim, other = measured.findings()
    ari = measured.methods["k-means"].ari
    assert (claim.statistic, other.statistic) == ("clusters", "")
    assert claim.number == f"{ari.value:.3f} ARI"
    for text in (claim.line, measured.paragraph()):
        assert f"{ari.value:.3f} [{ari.low:.3f}, {ari.high:.3f}]" in text
        assert claim.p_value in text
    assert f"at most {ari.shuffled_upper:.3f}" in claim.line


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "shown"),
        ({"p": 0.06}, "not shown"),
        ({"low": -0.01}, "not shown"),
        ({"shuffled_upper": 0.41}, "not shown"),
        ({"low": None, "high": None}, "not shown"),
    ],
)
def test_clusters_are_the_papers_when_they_beat_every_null(planted, change, verdict):
    measured = EXPERIMENT.measure(planted(row=GROUPED))
    kmeans = measured.methods["k-means"]
    given = {"value": 0.4, "low": 0.2, "high": 0.6, "p": 0.01, "shuffled_upper": 0.15, **change}
    methods = {"k-means": replace(kmeans, ari=replace(kmeans.ari, **given))}
    [claim] = replace(measured, methods=methods).findings()
    assert claim.verdict == verdict


def test_clusters_that_topics_change_are_a_limit(planted):
    limits = EXPERIMENT.measure(planted(row=NOISE)).limits()
    assert any("k-means clusters change" in limit for limit in limits)
    assert EXPERIMENT.measure(planted(row=GROUPED)).limits() == []


def test_too_few_clustered_emotions_are_not_compared(finished_original):
    from planted_runs import materials

    measured = EXPERIMENT.measure(materials(finished_original))
    assert isinstance(measured, NotMeasured)
    assert "of the emotions are in the paper's clusters" in measured.findings()[0].line


def test_the_figure_has_every_null_beside_what_it_could_explain(planted):
    measured = EXPERIMENT.measure(planted(row=GROUPED))
    [figure] = EXPERIMENT.read(to_json(measured)).figures().values()
    bars = dict(zip(figure.categories, figure.totals, strict=True))
    for name, method in measured.methods.items():
        assert bars[f"ARI {name}"] == method.ari.value
        assert bars[f"NMI {name}: any order"] == method.nmi.permuted
        assert bars[f"ARI {name}: shuffled"] == method.ari.shuffled
    ends = dict(zip(figure.categories, figure.intervals, strict=True))
    low, high = ends["ARI k-means"]
    assert low <= bars["ARI k-means"] <= high
    assert ends["ARI k-means: shuffled"] is None
    assert all(len(name) <= 27 for name in figure.categories)
