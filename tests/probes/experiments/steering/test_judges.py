"""Judges: a classifier on held-out stories, vectors of half the topics, a model that is asked."""

import socket

import pytest
import torch

from hooks import DataError, InvalidInput
from probes.corpus.exchange import EndpointError
from probes.experiments.steering.judges import (
    JudgeServer,
    ask_judge,
    classifier,
    named,
    other_vectors,
    vectors_of,
)

EMOTIONS = ["angry", "happy", "sad"]


def test_another_model_is_asked_with_its_key_and_answers_in_order(judge_server, monkeypatch):
    base_url, asked = judge_server
    monkeypatch.setenv("JUDGE_KEY", "secret")
    judge = JudgeServer(base_url, "a-judge", "JUDGE_KEY")
    texts = ["he was sad", "nothing", "an angry man"]
    assert ask_judge(judge, texts, EMOTIONS) == ["sad", "none", "angry"]
    assert {key for key, _ in asked} == {"Bearer secret"}
    assert {body["model"] for _, body in asked} == {"a-judge"}


def test_a_judge_without_its_key_is_an_error_that_says_so():
    with pytest.raises(InvalidInput, match=r"validation\.api_key_env .* not set") as caught:
        JudgeServer("http://127.0.0.1:9/v1", "m", "NO_SUCH_KEY").key()
    assert "NO_SUCH_KEY" not in str(caught.value)  # what was typed may be the key


def test_a_server_that_is_not_there_names_the_settings():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="judge_base_url"):
        ask_judge(JudgeServer(f"http://127.0.0.1:{port}/v1", "m"), ["x"], EMOTIONS)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("SAD.", "sad"),
        ("**happy**\n", "happy"),
        ("Answer: angry", "angry"),
        ("<think>sad? no, angry</think>\nhappy", "happy"),
        ("sad? no, angry\n</think>\nhappy", "happy"),
        ("<think>sad? no,", None),
        ("None.", "none"),
        ("sad, not happy", None),
        ("not happy", None),
        ("unhappy", None),
        ("", None),
    ],
)
def test_an_answer_is_one_word_or_cannot_be_read(answer, read):
    assert named(answer, EMOTIONS) == read


def test_the_classifier_is_tested_on_rows_it_was_not_fitted_on():
    generator = torch.Generator().manual_seed(1)
    emotion = torch.arange(3).repeat(40)
    train = torch.arange(120) < 60
    centers = torch.randn(3, 8, generator=generator) * 5
    signal = centers[emotion] + torch.randn(120, 8, generator=generator)
    assert classifier(signal, emotion, train).accuracy > 0.95
    noise = torch.randn(120, 8, generator=generator)
    assert classifier(noise, emotion, train).accuracy < 0.6
    assert classifier(signal, emotion, train).scores(signal[:5]).shape == (5, 3)


def test_vectors_of_all_stories_are_those_of_the_pipeline(planted):
    materials = planted(strength=[3.0] * 4)
    stories, n = materials.stories(), len(materials.emotions)
    basis = materials.neutral_components()
    made = vectors_of(stories, torch.ones(len(stories.topic), dtype=torch.bool), n, basis)
    assert torch.allclose(made, materials.vectors.at(materials.layer), atol=1e-4)
    with pytest.raises(DataError, match="every emotion on at least two topics"):
        vectors_of(stories, stories.emotion > 0, n, basis)


def test_the_cosine_is_around_the_mean_of_the_stories():
    center = torch.tensor([100.0, 100.0])
    scores = other_vectors(center + torch.tensor([[2.0, 0.0]]), torch.eye(2), center)
    assert torch.allclose(scores, torch.tensor([[1.0, 0.0]]))
