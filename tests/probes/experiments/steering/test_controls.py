"""Controls: directions that carry no emotion's name, and an axis without the emotion itself."""

import torch

from probes.experiments.steering.controls import (
    independent_shuffled,
    shuffled_vectors,
    valence_axes,
)
from probes.vectors.normalize import normalize


def test_a_valence_axis_is_made_without_the_emotion_and_points_to_its_side():
    vectors = torch.eye(4)
    names = ["happy", "kind", "sad", "tense"]
    axes = valence_axes(vectors, names, {"happy": 0.8, "kind": 0.3, "sad": -0.7})
    assert axes["happy"].tolist() == [0.0, 1.0, -1.0, 0.0]
    assert axes["kind"].tolist() == [1.0, 0.0, -1.0, 0.0]
    assert set(axes) == {"happy", "kind"}  # nothing unpleasant is left without "sad"


def test_a_valence_axis_weighs_by_ratings_and_leaves_near_neutral_words_out():
    """*Anxious*, rated +.01, was set against a pleasant axis that it does not lie on."""
    names = ["happy", "kind", "sad", "angry", "anxious"]
    rated = {"happy": 0.8, "kind": 0.2, "sad": -0.6, "angry": -0.3, "anxious": 0.01}
    axes = valence_axes(torch.eye(5), names, rated)
    assert set(axes) == {"happy", "kind", "sad", "angry"}
    torch.testing.assert_close(axes["sad"], torch.tensor([-0.8, -0.2, 0.0, 1.0, 0.0]))
    torch.testing.assert_close(axes["kind"], torch.tensor([1.0, 0.0, -2 / 3, -1 / 3, 0.0]))


def test_dealings_of_the_labels_are_independent_and_keep_nothing_of_the_emotions(planted):
    materials = planted(strength=[3.0] * 4)
    own = normalize(materials.vectors.at(materials.layer))
    n = 60
    drawn = normalize(independent_shuffled(materials, n))
    assert len(drawn) == n
    names = torch.arange(n) % len(own)
    with_own_name = (drawn * own[names]).sum(dim=1)
    assert with_own_name.mean().abs() < 0.15
    between = drawn @ drawn.T
    assert between[~torch.eye(n, dtype=torch.bool)].mean().abs() < 0.1
    # The first dealing is the one that `shuffled_vectors` gives whole.
    assert torch.allclose(drawn[0], normalize(shuffled_vectors(materials))[0], atol=1e-5)
