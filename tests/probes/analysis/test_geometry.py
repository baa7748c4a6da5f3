import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr
from torch.nn.functional import one_hot

from hooks.errors import DataError, InvalidInput
from probes.analysis.geometry import (
    agreement,
    cosine_matrix,
    hierarchical_order,
    kmeans_labels,
    principal_components,
    rsa,
    silhouette,
    umap_layout,
)
from probes.vectors.normalize import normalize


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def three_groups(n_each: int = 5, d_model: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors around three orthogonal directions, interleaved, with the group of each."""
    group = torch.arange(3 * n_each) % 3
    return one_hot(group, d_model).float() + 0.05 * noise(3 * n_each, d_model), group


def correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


class TestCosine:
    def test_known_angles(self):
        vectors = torch.tensor([[1.0, 0.0], [5.0, 5.0], [-2.0, 0.0]])
        half = 0.5**0.5
        expected = torch.tensor([[1.0, half, -1.0], [half, 1.0, -half], [-1.0, -half, 1.0]])
        torch.testing.assert_close(cosine_matrix(vectors), expected)

    def test_matrix_is_symmetric_bounded_and_one_on_the_diagonal(self):
        cosine = cosine_matrix(torch.cat([noise(5, 7), noise(5, 7)]))
        assert torch.equal(cosine, cosine.T)
        assert torch.equal(cosine.diagonal(), torch.ones(10))
        assert cosine.abs().max() <= 1.0

    @pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
    def test_vector_without_a_direction_is_an_error(self, value):
        with pytest.raises(DataError, match="zero or holds NaN"):
            cosine_matrix(torch.tensor([[1.0, 0.0], [value, 0.0]]))


class TestPrincipalComponents:
    def test_planted_axis_comes_first(self):
        position = torch.linspace(-1, 1, 9)
        vectors = torch.eye(10)[9] * 3 + position[:, None] * torch.eye(10)[2]
        components = principal_components(vectors + 0.01 * noise(9, 10), 2)
        assert abs(correlation(components.coordinates[:, 0], position)) > 0.99
        assert components.directions[0, 2] > 0.9
        assert components.explained_variance_ratio[0] > 0.9

    def test_norm_of_the_vectors_drives_the_axes_only_without_unit_norm(self):
        # Valence decides the direction; a norm unrelated to it varies tenfold along a common one.
        valence = torch.tensor([-1.0, 1.0] * 10)
        norm = torch.linspace(1, 10, 20)
        shape = torch.eye(30)[0] + 0.3 * valence[:, None] * torch.eye(30)[1]
        vectors = norm[:, None] * (shape + 0.01 * noise(20, 30))
        scaled = principal_components(vectors, 1).coordinates[:, 0]
        unscaled = principal_components(vectors, 1, unit_norm=False).coordinates[:, 0]
        assert abs(correlation(scaled, valence)) > 0.95
        assert abs(correlation(unscaled, norm)) > 0.95
        assert abs(correlation(scaled, norm)) < 0.3

    def test_coordinates_and_directions_rebuild_the_centered_unit_vectors(self):
        vectors = noise(6, 20)
        components = principal_components(vectors, 5)
        centered = normalize(vectors) - normalize(vectors).mean(0)
        torch.testing.assert_close(components.coordinates @ components.directions, centered)
        torch.testing.assert_close(components.explained_variance_ratio.sum(), torch.tensor(1.0))

    def test_sign_is_fixed_by_the_largest_entry(self):
        vectors = noise(6, 20)
        components = principal_components(vectors, 3)
        mirrored = principal_components(-vectors, 3)
        torch.testing.assert_close(components.directions, mirrored.directions)
        torch.testing.assert_close(components.coordinates, -mirrored.coordinates)

    @pytest.mark.parametrize("n_components", [0, 6])
    def test_more_components_than_vectors_span_are_refused(self, n_components):
        with pytest.raises(InvalidInput, match=r"1\.\.5"):
            principal_components(noise(6, 20), n_components)

    def test_parallel_vectors_have_no_components(self):
        vectors = noise(1, 20).double() * torch.tensor([[1.0], [3.0], [7.0]])
        with pytest.raises(DataError, match="identical"):
            principal_components(vectors, 1)


class TestClusters:
    def test_planted_groups_are_found_and_numbered_by_first_appearance(self):
        vectors, group = three_groups()
        for seed in range(3):
            assert torch.equal(kmeans_labels(vectors, 3, seed), group)

    def test_length_does_not_split_a_group(self):
        vectors, group = three_groups()
        vectors = vectors * torch.linspace(1, 50, len(vectors))[:, None]
        assert torch.equal(kmeans_labels(vectors, 3, seed=0), group)
        assert not torch.equal(kmeans_labels(vectors, 3, seed=0, unit_norm=False), group)

    def test_more_clusters_than_distinct_vectors_are_refused(self):
        vectors = noise(2, 5).double()
        vectors = torch.cat([vectors, 3 * vectors])
        with pytest.raises(InvalidInput, match=r"1\.\.2"):
            kmeans_labels(vectors, 3, seed=0)

    def test_silhouette_prefers_the_planted_groups(self):
        vectors, group = three_groups()
        shuffled = group[torch.randperm(15, generator=torch.Generator().manual_seed(0))]
        assert silhouette(vectors, group) > 0.9
        assert silhouette(vectors, shuffled) < 0.1

    @pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
    def test_silhouette_needs_several_but_not_all_labels(self, labels):
        with pytest.raises(InvalidInput, match="distinct labels"):
            silhouette(noise(3, 4), torch.tensor(labels))

    def test_agreement_ignores_the_names_of_labels(self):
        labels = torch.tensor([0, 0, 1, 1, 2, 2])
        assert agreement(labels, 2 - labels) == pytest.approx((1.0, 1.0))

    def test_agreement_of_unrelated_labels_is_chance(self):
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(4, (2, 2000), generator=generator)
        ari, nmi = agreement(labels[0], labels[1])
        assert abs(ari) < 0.01
        assert nmi < 0.01


class TestOrder:
    def test_groups_end_up_next_to_each_other(self):
        vectors, group = three_groups()
        order = hierarchical_order(cosine_matrix(vectors))
        assert sorted(order) == list(range(15))
        assert int((group[order].diff() != 0).sum()) == 2

    def test_order_follows_a_planted_line(self):
        angle = torch.tensor([0.4, 0.1, 0.8, 0.0, 0.6])
        order = hierarchical_order(cosine_matrix(torch.stack([angle.cos(), angle.sin()], dim=1)))
        assert order in ([3, 1, 0, 4, 2], [2, 4, 0, 1, 3])

    def test_single_emotion_needs_no_order(self):
        assert hierarchical_order(torch.ones(1, 1)) == [0]

    def test_nan_is_an_error(self):
        with pytest.raises(DataError, match="finite cosine"):
            hierarchical_order(torch.full((3, 3), float("nan")))


@pytest.mark.slow
class TestUmap:
    def test_same_seed_gives_the_same_layout_with_groups_apart(self):
        vectors, group = three_groups(n_each=8)
        layout = umap_layout(vectors, seed=3)
        assert torch.equal(layout, umap_layout(vectors, seed=3))
        distance = torch.cdist(layout, layout).fill_diagonal_(torch.inf)
        assert torch.equal(group[distance.argmin(dim=1)], group)

    @pytest.mark.parametrize("n_emotions", [4, 5, 9])
    def test_few_emotions_still_get_a_layout(self, n_emotions):
        layout = umap_layout(noise(n_emotions, 16), seed=0)
        assert layout.shape == (n_emotions, 2)
        assert bool(torch.isfinite(layout).all())

    def test_torch_keeps_its_threads(self):
        code = """
import torch
from probes.analysis.geometry import umap_layout
torch.set_num_threads(5)
print(torch.get_num_threads())
umap_layout(torch.randn(6, 8), seed=0)
print(torch.get_num_threads())
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "5\n5\n", done.stderr

    def test_what_is_compiled_is_kept_for_the_next_process(self):
        umap_layout(noise(5, 16), seed=0)
        function = sys.modules["umap.umap_"].smooth_knn_dist
        kept = Path(function.stats.cache_path)
        assert list(kept.glob("umap_.smooth_knn_dist-*.nbi"))

    def test_three_emotions_are_too_few(self):
        with pytest.raises(InvalidInput, match="at least 4 vectors"):
            umap_layout(noise(3, 16), seed=0)


class TestRsa:
    def test_rotated_and_scaled_layer_has_the_same_geometry(self):
        vectors = noise(10, 8).double()
        rotation, _ = torch.linalg.qr(noise(8, 8, seed=1).double())
        similarity = rsa(torch.stack([vectors, 7 * vectors @ rotation]))
        torch.testing.assert_close(similarity, torch.ones(2, 2).double())

    def test_unrelated_layers_have_no_similarity(self):
        similarity = rsa(noise(3, 60, 40))
        assert torch.equal(similarity, similarity.T)
        assert (similarity - torch.eye(3)).abs().max() < 0.1

    def test_equals_spearman_of_the_upper_triangles(self):
        vectors = noise(2, 6, 4)
        row, column = torch.triu_indices(6, 6, offset=1)
        first, second = (cosine_matrix(layer.double())[row, column] for layer in vectors)
        expected, _ = spearmanr(first.numpy(), second.numpy())
        assert rsa(vectors)[0, 1].item() == pytest.approx(expected, abs=1e-6)

    def test_one_layer_resembles_itself(self):
        assert torch.equal(rsa(noise(1, 5, 4)), torch.ones(1, 1))

    def test_two_emotions_are_too_few(self):
        with pytest.raises(InvalidInput, match="at least 3 emotions"):
            rsa(noise(2, 2, 4))

    def test_layer_of_equal_cosines_is_named(self):
        flat = torch.eye(4)
        with pytest.raises(DataError, match=r"layer index \[1\]"):
            rsa(torch.stack([noise(4, 4), flat]))
