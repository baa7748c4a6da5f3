"""Endings are scored whole, after their openings; directions are what they should be."""

import pytest
import torch

import hooks
from probes.experiments.expression.own_endings import own_effects
from probes.experiments.expression.steered_endings import (
    Steerer,
    choose_endings,
    in_turns,
    valence_directions,
    way_vectors,
)
from probes.runs.ways import PlacedText, WayRows
from probes.vectors.normalize import normalize

OPENING = "The kettle whistled while she waited at the window."


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model("gpt2")


def placed(emotion, topic, text, opening=OPENING):
    return PlacedText(emotion, topic, opening, text, "")


TEXTS = [
    placed(emotion, topic, f"He {verb} {emotion} times in the {topic} and left.")
    for topic, verbs in (("rain", "ran sat"), ("hall", "sat"), ("snow", "fell ran"), ("sun", "a b"))
    for emotion, verb in enumerate(verbs.split())
]


def test_the_first_topics_with_an_ending_of_every_emotion_are_taken(model):
    assert choose_endings(model, TEXTS, [0, 1], 2).topics == ["rain", "snow"]
    assert choose_endings(model, TEXTS, [0, 2], 2) is None


def test_of_twice_as_many_topics_the_second_half_is_taken(model):
    assert choose_endings(model, TEXTS, [0], 2).topics == ["snow", "sun"]
    assert choose_endings(model, TEXTS, [0], 3).topics == ["rain", "hall", "snow"]


def test_slopes_say_what_a_small_dose_does_to_each_emotions_endings(model):
    endings, layer = choose_endings(model, TEXTS, [1, 0], 2), 1
    directions = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(0))
    norm, dose = 10.0, 1e-3
    changed = Steerer(model, layer, norm).changes(endings, directions, dose)
    slopes = endings.slopes(model, layer)
    said = dose * norm * normalize(directions) @ slopes.mean(dim=0).T
    assert torch.allclose(said.double(), changed, rtol=0.05, atol=1e-5)
    assert endings.n_endings == 4
    on_second = endings.on(endings.topics[1])
    assert on_second.n_endings == 2
    assert torch.allclose(on_second.slopes(model, layer)[0], slopes[1], atol=1e-5)


@pytest.mark.parametrize("opening", [OPENING, ""])
def test_every_token_of_an_ending_is_scored_after_its_opening(model, opening):
    texts = [placed(it.emotion, it.topic, it.text, opening) for it in TEXTS]
    endings = choose_endings(model, texts, [1, 0], 2)
    expected = torch.zeros(2, dtype=torch.float64)
    lengths = []
    for column, emotion in enumerate([1, 0]):
        for topic in ("rain", "snow"):
            [text] = [it.text for it in texts if (it.emotion, it.topic) == (emotion, topic)]
            ids = model.encode(f"{opening} {text}".strip())
            # Without an opening there is a first token all the same, which nothing predicts.
            edge = max(len(model.encode(opening)) if opening else 0, 1)
            lengths.append(len(ids) - edge)
            with torch.no_grad():
                log_probs = model.hf(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
            scored = [log_probs[at - 1, ids[at]] for at in range(edge, len(ids))]
            expected[column] += sum(scored) / len(scored) / 2
    assert torch.allclose(endings.log_probs(model), expected, atol=1e-5)
    assert endings.tokens_per_ending == pytest.approx(sum(lengths) / len(lengths))


def test_a_direction_that_points_to_an_endings_tokens_makes_that_ending_likelier(model):
    letters = "aeiost"
    texts = [placed(n, "rain", " ".join([letter] * 24)) for n, letter in enumerate(letters)]
    ids = [model.encode(f"x {letter}")[-1] for letter in letters]
    columns = model.W_U.T[ids].float()
    endings = choose_endings(model, texts, range(6), 1)
    steerer = Steerer(model, model.n_layers - 1, 10.0)
    counted = []
    changes = steerer.changes(endings, columns - columns.mean(dim=0), 0.3, counted.append)
    assert own_effects(changes).min() > 0.1
    assert sum(counted) == 6
    assert torch.allclose(steerer.changes(endings, columns, 0.0), torch.zeros(6, 6).double())
    with hooks.steer(model, columns[2], layers=[model.n_layers - 1], dose=0.3, residual_norm=10.0):
        steered = endings.log_probs(model)
    alone = steerer.changes(endings, columns[2:3], 0.3)[0]
    assert torch.allclose(alone, steered - endings.log_probs(model))


@pytest.fixture
def rows():
    """Four emotions in five frames: an emotion's direction, a frame's, and nothing else."""
    generator = torch.Generator().manual_seed(0)
    own, frames = torch.randn(4, 16, generator=generator), torch.randn(5, 16, generator=generator)
    emotion, unit = torch.arange(4).repeat(5), torch.arange(5).repeat_interleave(4)
    return own, WayRows(emotion=emotion, unit=unit, mean=own[emotion] + 3 * frames[unit])


def test_vectors_are_mean_differences_without_neutral_components(rows):
    own, said = rows
    basis = torch.eye(16, dtype=torch.float64)[:2]
    expected = own - own.mean(dim=0)
    expected[:, :2] = 0
    assert torch.allclose(way_vectors(said, basis, (5, 4)), expected, atol=1e-5)
    absent = way_vectors(said, basis, (5, 5))[4]
    assert not absent.any()


def test_shuffled_vectors_keep_the_frames_out_and_lose_the_emotions(rows):
    own, said = rows
    basis, own = torch.zeros(0, 16, dtype=torch.float64), own - own.mean(dim=0)
    cosines = []
    for seed in range(40):
        shuffled = way_vectors(said, basis, (5, 4), shuffled_by=seed)
        # Dealt out within frames: each emotion still has one row of every frame.
        assert torch.linalg.matrix_rank(torch.cat([own, shuffled]), rtol=1e-4) == 3
        cosines.append(torch.cosine_similarity(shuffled, own, dim=1).mean())
    assert abs(float(torch.stack(cosines).mean())) < 0.1
    again = way_vectors(said, basis, (5, 4), shuffled_by=39)
    assert torch.equal(again, shuffled)


def test_the_axis_of_valence_points_to_each_emotions_own_side():
    names = ["happy", "sad", "calm", "no emotion", "angry"]
    vectors = torch.eye(5)
    control = valence_directions(vectors, names, [4, 3, 0])
    axis = (vectors[0] + vectors[2]) / 2 - (vectors[1] + vectors[4]) / 2
    assert torch.equal(control.directions, torch.stack([axis, -axis]))
    spread = control.spread(torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]))
    assert list(spread.rows) == [0, 2]  # nobody knows the side of what is no emotion
    assert spread.changes.tolist() == [[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]
    assert valence_directions(vectors[:1], ["happy"], [0]) is None


def test_directions_stand_in_for_emotions_in_turns():
    spread = in_turns(torch.eye(2), 5).spread(torch.tensor([[0.0] * 5, [1.0] * 5]))
    assert spread.changes[:, 0].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert (list(spread.rows), spread.n_directions) == ([0, 1, 2, 3, 4], 2)
    assert in_turns(torch.eye(1), 5) is None
