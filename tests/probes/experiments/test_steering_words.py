"""Steering words: finds what was planted, and nothing in noise."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from probes.experiments import steering_words

# Single letters follow a sentence as words of their own in a byte-level vocabulary.
WORDS = ["angry", "sad", "calm", "joyful", "proud"]


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


@pytest.fixture(scope="module")
def words(model):
    """Words whose first tokens differ in the tiny vocabulary."""
    heads = [ids[0] for ids in steering_words.first_tokens(model, WORDS)]
    found = [word for word, head in zip(WORDS, heads, strict=True) if heads.count(head) == 1]
    if len(found) < 3:
        found = ["hill", "rain", "window", "letter", "train"]
    return found


def _run(model, vectors, words, **changes):
    none = torch.full((len(words),), float("nan"))
    options = {
        "layer": model.n_layers - 1,
        "residual_norm": 10.0,
        "controls": steering_words.Controls(None, None, none),
        "doses": [0.5],
        "n_random": 20,
        "seed": 0,
    }
    return steering_words.run(model, vectors, words, **{**options, **changes})


def _planted(model, words):
    """Directions that the unembedding reads as each word, and as no other one."""
    ids = [tokens[0] for tokens in steering_words.first_tokens(model, words)]
    columns = model.W_U.T[ids].float()
    return columns - columns.mean(dim=0)


def test_planted_directions_raise_their_own_word_and_beat_every_random_one(model, words):
    result = _run(model, _planted(model, words), words)
    [dose] = result.doses
    assert dose.matching > dose.other
    assert dose.matching_interval[0] > dose.other_interval[1]
    assert dose.top_3 == 1.0
    assert sorted(dose.beats_all_random) == sorted(words)


def test_noise_does_not_beat_the_random_directions(model, words):
    beaten = 0
    for seed in range(5):
        noise = torch.randn(
            len(words), model.d_model, generator=torch.Generator().manual_seed(100 + seed)
        )
        beaten += len(_run(model, noise, words).doses[0].beats_all_random)
    # One in 21 by chance for each of 5 times the words.
    assert beaten <= 5


def test_the_matrix_is_vector_by_word(model, words):
    vectors = _planted(model, words)
    matrix = torch.tensor(_run(model, vectors, words).doses[0].matrix)
    swapped = torch.tensor(_run(model, vectors.flip(0), words).doses[0].matrix)
    assert torch.allclose(matrix.flip(0), swapped, atol=1e-5)


def test_the_change_is_that_of_the_models_own_next_token(model, words):
    vectors = _planted(model, words)
    result = _run(model, vectors, words)
    ids = [tokens[0] for tokens in steering_words.first_tokens(model, words)]
    changes = []
    for carrier in steering_words.CARRIERS:
        tokens = torch.tensor([model.encode(carrier)])
        plain = model.hf(tokens).logits[0, -1].log_softmax(dim=-1)
        with hooks.steer(
            model, vectors[0], layers=[model.n_layers - 1], dose=0.5, residual_norm=10.0
        ):
            steered = model.hf(tokens).logits[0, -1].log_softmax(dim=-1)
        changes.append((steered - plain)[ids])
    expected = torch.stack(changes).mean(dim=0)
    assert torch.allclose(torch.tensor(result.doses[0].matrix[0]), expected, atol=1e-4)


def test_controls_are_reported_and_counted(model, words):
    vectors = _planted(model, words)
    valence = torch.tensor([1.0, -1.0] + [float("nan")] * (len(words) - 2))
    controls = steering_words.Controls(vectors.roll(1, dims=0), vectors[0] - vectors[1], valence)
    seen = []
    result = _run(model, vectors, words, controls=controls, progress=seen.append)
    [dose] = result.doses
    assert dose.shuffled_matching < dose.matching
    assert dose.valence_matching > 0
    assert sum(seen) == steering_words.n_conditions(len(words), controls, [0.5], 20)


def test_words_that_share_a_first_token_are_left_out(model, words):
    vectors = _planted(model, [*words, words[0]][:-1])
    twice = torch.cat([vectors, vectors[:1]])
    result = _run(
        model,
        twice,
        [*words, words[0] + words[0]],
        controls=steering_words.Controls(None, None, torch.full((len(twice),), float("nan"))),
    )
    assert words[0] in result.left_out
    assert len(result.emotions) == len(words) - 1


def test_too_few_words_are_refused(model, words):
    with pytest.raises(InvalidInput, match="at least two words"):
        _run(
            model,
            torch.ones(1, model.d_model),
            words[:1],
            controls=steering_words.Controls(None, None, torch.zeros(1)),
        )
