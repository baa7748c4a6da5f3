"""Figures of one layer: axes turned by human ratings, whatever component carries them."""

from dataclasses import replace

import numpy as np
import pytest

from hooks.errors import DataError, InvalidInput
from probes.analysis.results import Rated, Ratings
from probes.report.geometry_figures import cosine_heatmap, pca_scatter, scree, umap_scatter
from probes.stimuli import paper_clusters


def rerated(geometry, **changes):
    """The same geometry with changed matches: ``valence={"sign": -1}``."""
    matches = {
        scale: replace(match, **changes.get(scale, {}))
        for scale, match in geometry.ratings.by_scale
    }
    return replace(geometry, ratings=Ratings(**matches))


def reclustered(geometry, labels):
    return replace(geometry, kmeans=replace(geometry.kmeans, labels=labels))


def test_the_heat_map_is_reordered_with_its_names(geometry):
    figure = cosine_heatmap(geometry)
    for row, column in ((0, 1), (3, 17), (23, 5)):
        one = geometry.emotions.index(figure.rows[row])
        other = geometry.emotions.index(figure.columns[column])
        assert figure.values[row][column] == geometry.cosine[one][other]
    assert figure.limits == (-1.0, 1.0)


def test_cluster_lines_are_drawn_only_where_clusters_are_contiguous(geometry):
    labels = [0] * 24
    for index, emotion in enumerate(geometry.order):
        labels[emotion] = index // 8
    assert cosine_heatmap(reclustered(geometry, labels)).boundaries == (8, 16)
    alternating = reclustered(geometry, [index % 2 for index in range(24)])
    assert cosine_heatmap(alternating).boundaries == ()
    assert cosine_heatmap(replace(geometry, kmeans=None)).boundaries == ()


def test_human_valence_rises_to_the_right_and_arousal_upward(geometry):
    figure = pca_scatter(geometry)
    valence = [geometry.human[word].valence for word in figure.labels]
    arousal = [geometry.human[word].arousal for word in figure.labels]
    assert np.corrcoef(figure.x, valence)[0, 1] > 0.5
    assert np.corrcoef(figure.y, arousal)[0, 1] > 0.3


def test_the_map_says_how_much_of_the_variance_it_shows(geometry):
    held = sum(geometry.pca.explained_variance_ratio[:2])
    assert f"hold {held:.0%} of the variance" in pca_scatter(geometry).caption


def test_two_emotions_lie_on_a_line(geometry):
    pca = replace(geometry.pca, coordinates=[[-1.0], [1.0]], explained_variance_ratio=[1.0])
    two = replace(geometry, emotions=geometry.emotions[:2], kmeans=None, pca=pca, ratings=Ratings())
    figure = pca_scatter(two)
    assert (figure.x, figure.y) == ((-1.0, 1.0), (0.0, 0.0))
    assert "on a line" in figure.caption


def test_flipping_a_component_and_its_sign_changes_nothing(geometry):
    coordinates = [[-row[0], *row[1:]] for row in geometry.pca.coordinates]
    valence = geometry.ratings.valence
    flipped = replace(
        rerated(geometry, valence={"sign": -valence.sign, "r": -valence.r}),
        pca=replace(geometry.pca, coordinates=coordinates),
    )
    assert pca_scatter(flipped) == pca_scatter(geometry)


def test_an_axis_names_the_rating_it_carries_wherever_that_is(geometry):
    ratios = geometry.pca.explained_variance_ratio
    figure = pca_scatter(geometry)
    assert figure.x_label == f"PC1 ({ratios[0]:.0%} of variance; valence r = .95)"
    assert figure.y_label == f"PC2 ({ratios[1]:.0%} of variance; arousal r = .62)"
    moved = rerated(geometry, arousal={"component": 2, "p_corrected": 0.5})
    assert pca_scatter(moved).y_label == f"PC2 ({ratios[1]:.0%} of variance)"
    assert "arousal is read best on PC3" in pca_scatter(moved).caption
    assert "arousal r = .62" in pca_scatter(moved, components=(0, 2)).y_label


def test_the_axes_are_those_that_ratings_are_shown_to_follow(geometry):
    shown = {"p_corrected": 0.001, "low": 0.2, "high": 0.9}
    far = rerated(geometry, valence={"component": 3, **shown}, arousal={"component": 2, **shown})
    assert [pca_scatter(far).x_label[:3], pca_scatter(far).y_label[:3]] == ["PC4", "PC3"]
    one = rerated(geometry, valence={"component": 1, **shown}, arousal={"p_corrected": 0.5})
    assert [pca_scatter(one).x_label[:3], pca_scatter(one).y_label[:3]] == ["PC2", "PC1"]
    missed = {"p_corrected": 0.5}
    none = rerated(geometry, valence={"component": 3, **missed}, arousal={"component": 2, **missed})
    assert [pca_scatter(none).x_label[:3], pca_scatter(none).y_label[:3]] == ["PC1", "PC2"]


def test_two_ratings_on_one_component_keep_their_relative_sign(geometry):
    against = {"component": 0, "sign": -geometry.ratings.valence.sign}
    figure = pca_scatter(rerated(geometry, arousal=against))
    assert figure.x_label.endswith("valence r = .95; arousal r = -.62)")


def test_missing_ratings_leave_plain_axes_and_cluster_colors(geometry):
    figure = pca_scatter(replace(geometry, ratings=Ratings(), human={}))
    assert "r =" not in figure.x_label + figure.y_label + figure.caption
    assert figure.shades is None
    assert figure.groups == tuple(geometry.kmeans.labels)
    assert len(figure.group_names) == geometry.kmeans.k
    bare = pca_scatter(replace(geometry, ratings=Ratings(), human={}, kmeans=None))
    assert (bare.shades, bare.groups) == (None, None)


def test_unrated_words_have_no_shade(geometry):
    human = {word: rating for word, rating in geometry.human.items() if word != "angry"}
    figure = pca_scatter(replace(geometry, human=human))
    assert figure.shades is not None
    assert figure.shades[figure.labels.index("angry")] is None
    assert figure.shades[figure.labels.index("happy")] == human["happy"].valence


def test_a_crowd_is_colored_by_the_papers_clusters_and_tells_the_ratings(large_geometry):
    for figure in (pca_scatter(large_geometry), umap_scatter(large_geometry)):
        assert figure.shades is None
        assert figure.group_names == tuple(paper_clusters())
        happy = figure.labels.index("happy")
        assert figure.group_names[figure.groups[happy]] == "exuberant joy"
        assert figure.notes[happy].startswith("people: valence +0.8")
        assert sorted(figure.order) == list(range(171))


def test_a_crowd_of_other_words_is_colored_by_its_own_clusters(large_geometry):
    words = [f"{word} once more" for word in large_geometry.emotions]
    figure = pca_scatter(replace(large_geometry, emotions=words, human={}))
    assert figure.groups == tuple(large_geometry.kmeans.labels)
    assert figure.group_label == "k-means cluster, by its most central emotions"
    assert all(1 <= name.count(" once more") <= 2 for name in figure.group_names)
    unclustered = replace(large_geometry, emotions=words, human={words[0]: Rated(0.5, 0.1)})
    assert pca_scatter(replace(unclustered, kmeans=None)).shades[:2] == (0.5, None)


def test_components_and_embeddings_that_do_not_exist_are_refused(geometry):
    with pytest.raises(InvalidInput, match="indices below"):
        pca_scatter(geometry, components=(0, 99))
    with pytest.raises(InvalidInput, match="UMAP"):
        umap_scatter(replace(geometry, umap=None))


def test_scree_sums_percentages(geometry):
    figure = scree(geometry)
    assert figure.line is not None
    assert figure.line[-1] == pytest.approx(100.0)
    assert figure.line[1] == pytest.approx(sum(figure.parts[0].values[:2]))


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_an_error_that_names_its_row(geometry, damage):
    cosine = [list(row) for row in geometry.cosine]
    cosine[2][3] = damage
    with pytest.raises(DataError, match=f"row '{geometry.emotions[2]}': expected finite"):
        cosine_heatmap(replace(geometry, cosine=cosine))


def test_an_order_that_is_no_permutation_is_an_error(geometry):
    with pytest.raises(DataError, match="order"):
        cosine_heatmap(replace(geometry, order=[0] * 24))
