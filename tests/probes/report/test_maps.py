"""The map shows each layer's own components, turned so that layers can be compared."""

from dataclasses import replace

import made_up_analysis
import made_up_report
import pytest
import torch

from probes.analysis import geometry
from probes.report.maps import describe_map

EMOTIONS = made_up_report.emotions_with((), 12)
LAYERS = list(range(18))


@pytest.fixture(scope="module")
def vectors():
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(len(EMOTIONS), 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    turned = torch.randn(18, 3, 16, generator=generator)
    return shared @ turned + 0.1 * torch.randn(18, len(EMOTIONS), 16, generator=generator)


def described(vectors, n=12, **changes):
    geometry = made_up_analysis.synthetic_geometry(EMOTIONS, clusters=3)
    geometry = replace(geometry, emotions=EMOTIONS[:n], **changes)
    lens = made_up_analysis.synthetic_lens(EMOTIONS, made_up_analysis.TOKENS)
    sweep = made_up_analysis.synthetic_layers()
    return describe_map(vectors[:, :n], LAYERS, geometry, sweep, lens)


def test_the_coordinates_are_the_layer_s_components_up_to_their_sign(vectors):
    shown = described(vectors)
    for layer in (0, 12, 17):
        expected = geometry.principal_components(vectors[layer], 2).coordinates
        for column, key in enumerate("xy"):
            drawn = torch.tensor(shown[key][layer])
            torch.testing.assert_close(drawn.abs(), expected[:, column].abs(), atol=1e-4, rtol=0)


def test_no_axis_runs_against_the_target_layer_s(vectors):
    shown = described(vectors)
    for key in "xy":
        rows = torch.tensor(shown[key])
        assert ((rows * rows[shown["target"]]).sum(dim=1) >= 0).all()


def test_at_the_target_layer_the_sign_is_that_of_the_ratings(vectors):
    match = made_up_analysis.synthetic_layers().valence[12]
    assert match is not None
    assert match.component == 0
    points = geometry.principal_components(vectors[12], 2).coordinates[:, 0]
    drawn = torch.tensor(described(vectors)["x"][12])
    torch.testing.assert_close(drawn, match.sign * points, atol=1e-4, rtol=0)


def test_each_layer_has_the_axes_that_ratings_are_shown_to_follow_there(vectors):
    sweep, shown = (
        made_up_analysis.synthetic_layers(),
        {"p_corrected": 0.001, "r": 0.6, "low": 0.2, "high": 0.9},
    )
    valence, arousal = list(sweep.valence), list(sweep.arousal)
    valence[3] = replace(valence[3], component=2, **shown)
    arousal[3] = replace(arousal[3], component=0, **shown)
    lens = made_up_analysis.synthetic_lens(EMOTIONS, made_up_analysis.TOKENS)
    made = replace(
        made_up_analysis.synthetic_geometry(EMOTIONS, clusters=3), emotions=EMOTIONS[:12]
    )
    drawn = describe_map(
        vectors, LAYERS, made, replace(sweep, valence=valence, arousal=arousal), lens
    )
    expected = geometry.principal_components(vectors[3], 3).coordinates
    for key, component in (("x", 2), ("y", 0)):
        axis = torch.tensor(drawn[key][3])
        torch.testing.assert_close(axis.abs(), expected[:, component].abs(), atol=1e-4, rtol=0)
        assert drawn[f"{key}_label"][3].startswith(f"PC{component + 1} ")


def test_neighbors_are_the_nearest_by_cosine_and_never_oneself(vectors):
    neighbors = described(vectors)["neighbors"]
    cosine = geometry.cosine_matrix(vectors[5])
    for emotion, near in enumerate(neighbors[5]):
        values = [value for _, value in near]
        assert emotion not in [other for other, _ in near]
        assert values == sorted(values, reverse=True)
        assert values[0] == pytest.approx(cosine[emotion].sort().values[-2].item(), abs=1e-3)


def test_clusters_have_names_and_the_most_important_names_come_first(vectors):
    shown = described(vectors)
    assert len(shown["cluster_names"]) == len(set(shown["clusters"]))
    assert sorted(shown["order"]) == list(range(12))
    ends = {shown[key][12].index(end(shown[key][12])) for key in "xy" for end in (min, max)}
    assert ends <= set(shown["order"][: len(ends) + len(shown["paper"]["names"])])
    assert not shown["crowded"]
    assert len(shown["paper"]["of"]) == 12


def test_two_emotions_lie_on_a_line_and_nobody_is_rated_is_no_error(vectors):
    shown = described(vectors, n=2, human={}, umap=None, kmeans=None)
    assert shown["y"][12] == [0.0, 0.0]
    assert shown["valence"] == [None, None]
    assert shown["umap"] is None
    assert shown["clusters"] is None
    assert shown["cluster_names"] is None
