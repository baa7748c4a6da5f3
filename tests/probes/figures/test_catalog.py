import copy
import json

import numpy as np
import pytest

from hooks.errors import DataError, InvalidInput
from probes.figures import catalog


def test_every_figure_with_input_is_described_and_no_other(analysis):
    assert list(catalog.figures_of(analysis)) == [
        "cosine_heatmap",
        "pca_scatter",
        "umap_scatter",
        "scree",
        "layer_sweep",
        "rsa_heatmap",
        "logit_lens_table",
        "stories_written",
    ]
    without_umap = {"geometry": {**analysis["geometry"], "umap": None}, "lens": None}
    assert list(catalog.figures_of(without_umap)) == ["cosine_heatmap", "pca_scatter", "scree"]
    assert catalog.figures_of({}) == {}


def test_a_description_from_json_equals_the_one_from_memory(analysis):
    assert catalog.figures_of(json.loads(json.dumps(analysis))) == catalog.figures_of(analysis)


def test_the_heat_map_is_reordered_with_its_names(geometry):
    figure = catalog.cosine_heatmap(geometry)
    for row, column in ((0, 1), (3, 17), (23, 5)):
        one = geometry["emotions"].index(figure.rows[row])
        other = geometry["emotions"].index(figure.columns[column])
        assert figure.values[row][column] == geometry["cosine"][one][other]
    assert figure.limits == (-1.0, 1.0)


def test_cluster_lines_are_drawn_only_where_clusters_are_contiguous(geometry):
    order = geometry["order"]
    labels = [0] * 24
    for place, emotion in enumerate(order):
        labels[emotion] = place // 8
    blocks = {**geometry, "kmeans": {"k": 3, "labels": labels}}
    assert catalog.cosine_heatmap(blocks).boundaries == (8, 16)
    alternating = {**geometry, "kmeans": {"k": 2, "labels": [at % 2 for at in range(24)]}}
    assert catalog.cosine_heatmap(alternating).boundaries == ()


def test_human_valence_rises_to_the_right_and_arousal_upward(geometry):
    figure = catalog.pca_scatter(geometry)
    valence = [geometry["human"][word]["valence"] for word in figure.labels]
    arousal = [geometry["human"][word]["arousal"] for word in figure.labels]
    assert np.corrcoef(figure.x, valence)[0, 1] > 0.5
    assert np.corrcoef(figure.y, arousal)[0, 1] > 0.3


def test_the_map_says_how_much_of_the_variance_it_shows(geometry):
    held = sum(geometry["pca"]["explained_variance_ratio"][:2])
    assert f"hold {held:.0%} of the variance" in catalog.pca_scatter(geometry).caption


def test_two_emotions_lie_on_a_line(geometry):
    two = copy.deepcopy(geometry) | {"emotions": geometry["emotions"][:2], "kmeans": None}
    two["pca"] |= {"coordinates": [[-1.0], [1.0]], "explained_variance_ratio": [1.0]}
    two["ratings"] = dict.fromkeys(two["ratings"])
    figure = catalog.pca_scatter(two)
    assert (figure.x, figure.y) == ((-1.0, 1.0), (0.0, 0.0))
    assert "on a line" in figure.caption


def test_flipping_a_component_and_its_sign_changes_nothing(geometry):
    flipped = copy.deepcopy(geometry)
    flipped["pca"]["coordinates"] = [[-row[0], *row[1:]] for row in row_lists(geometry)]
    flipped["ratings"]["valence"]["sign"] *= -1
    flipped["ratings"]["valence"]["r"] *= -1
    assert catalog.pca_scatter(flipped) == catalog.pca_scatter(geometry)


def row_lists(geometry):
    return geometry["pca"]["coordinates"]


def test_an_axis_names_the_rating_it_carries_wherever_that_is(geometry):
    ratios = geometry["pca"]["explained_variance_ratio"]
    figure = catalog.pca_scatter(geometry)
    assert figure.x_label == f"PC1 ({ratios[0]:.0%} of variance; valence r = .95)"
    assert figure.y_label == f"PC2 ({ratios[1]:.0%} of variance; arousal r = .62)"
    moved = copy.deepcopy(geometry)
    moved["ratings"]["arousal"]["component"] = 2
    assert catalog.pca_scatter(moved).y_label == f"PC2 ({ratios[1]:.0%} of variance)"
    assert "arousal is read best on PC3" in catalog.pca_scatter(moved).caption
    assert "arousal r = .62" in catalog.pca_scatter(moved, components=(0, 2)).y_label


def test_two_ratings_on_one_component_keep_their_relative_sign(geometry):
    both = copy.deepcopy(geometry)
    both["ratings"]["arousal"].update(component=0, sign=-both["ratings"]["valence"]["sign"])
    assert catalog.pca_scatter(both).x_label.endswith("valence r = .95; arousal r = -.62)")


def test_missing_ratings_leave_plain_axes_and_cluster_colors(geometry):
    unrated = {**geometry, "ratings": {"valence": None}, "human": {}}
    figure = catalog.pca_scatter(unrated)
    assert "r =" not in figure.x_label + figure.y_label + figure.caption
    assert figure.shades is None
    assert figure.groups == tuple(geometry["kmeans"]["labels"])


def test_unrated_words_have_no_shade(geometry):
    human = dict(geometry["human"])
    del human["angry"]
    figure = catalog.pca_scatter({**geometry, "human": human})
    assert figure.shades is not None
    assert figure.shades[figure.labels.index("angry")] is None
    assert figure.shades[figure.labels.index("happy")] == human["happy"]["valence"]


def test_components_and_embeddings_that_do_not_exist_are_refused(geometry):
    with pytest.raises(InvalidInput, match="indices below"):
        catalog.pca_scatter(geometry, components=(0, 99))
    with pytest.raises(InvalidInput, match="UMAP"):
        catalog.umap_scatter({**geometry, "umap": None})


def test_scree_sums_percentages(geometry):
    figure = catalog.scree(geometry)
    assert figure.line is not None
    assert figure.line[-1] == pytest.approx(100.0)
    assert figure.line[1] == pytest.approx(sum(figure.parts[0].values[:2]))


def test_the_sweep_has_gaps_and_mirrors_negative_correlations(analysis):
    layers = analysis["layers"]
    valence, arousal = catalog.layer_sweep(layers).panels[0].lines
    assert (valence.name, arousal.name) == ("valence", "arousal")
    assert valence.low is not None and valence.high is not None
    assert valence.y[0] is None and valence.y[5] is None
    for layer, (low, middle, high) in enumerate(
        zip(valence.low, valence.y, valence.high, strict=True)
    ):
        if middle is not None and low is not None and high is not None:
            assert low < middle < high
            assert middle == abs(layers["valence"][layer]["r"])
    assert catalog.layer_sweep(layers).mark == 12


def test_a_sweep_without_ratings_is_still_drawn(analysis):
    layers = {**analysis["layers"], "valence": [None] * 18, "arousal": None}
    figure = catalog.layer_sweep(layers)
    assert "too few rated words" in figure.subtitle
    assert figure.panels[1].lines[0].y[-1] == 9


def test_tokens_show_spaces_at_their_ends_and_ranks_start_at_one(analysis):
    figure = catalog.logit_lens_table(analysis["lens"])
    assert figure.rows[0].up[0] == ("␣sobbing", 3.1)
    assert figure.rows[0].remark == "1"
    assert figure.rows[4].remark == "no such token"
    assert "62% of emotions (4% with shuffled names)" in figure.subtitle


def test_stories_are_stacked_by_outcome_with_unused_reasons_left_out(analysis):
    figure = catalog.stories_written(analysis["counts"])
    names = [part.name for part in figure.parts]
    assert names == ["accepted", "rejected: leak", "rejected: truncated", "missing"]
    accepted = figure.parts[0].values
    assert list(accepted) == sorted(accepted, reverse=True)
    worst = analysis["counts"]["emotions"][figure.categories[-1]]
    assert accepted[-1] == worst["accepted"]
    assert figure.parts[1].values[-1] == worst["rejected"]["leak"]


@pytest.mark.parametrize("damage", [float("nan"), float("inf"), None, "x"])
def test_a_damaged_number_is_an_error_that_names_its_place(geometry, damage):
    damaged = copy.deepcopy(geometry)
    damaged["cosine"][2][3] = damage
    with pytest.raises(DataError, match=r"geometry\.cosine\[2\]\[3\].*finite"):
        catalog.cosine_heatmap(damaged)


def test_a_missing_part_and_a_wrong_order_are_errors(geometry):
    with pytest.raises(DataError, match="'pca'"):
        catalog.scree({"model": "m"})
    with pytest.raises(DataError, match="order"):
        catalog.cosine_heatmap({**geometry, "order": [0] * 24})
