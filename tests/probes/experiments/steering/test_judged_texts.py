"""What judges say of texts, compared: gains, percentiles, hits."""

import pytest
import torch

from probes.experiments.steering.judged_texts import judged_answers, judged_gains


def test_hits_are_counted_for_each_emotion_beside_what_comes_without_it():
    steered = ["sad", "sad", "happy", None]
    heard = ["sad", "none", *steered, "none", "happy"]
    answers = judged_answers(heard, ["sad", "happy"], 2, "a-judge")
    assert answers.model == "a-judge"
    assert answers.right == 0.75
    assert answers.right_unsteered == 0.25
    assert answers.right_random == 0.25
    assert (answers.excess, answers.excess_over_random) == (0.5, 0.5)
    assert (answers.none, answers.unreadable) == (0.0, 0.25)
    unsteered, random = answers.controls()
    for estimate in (answers.hits, unsteered.excess, random.excess):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high


def test_one_odd_unsteered_text_does_not_make_a_gain_certain():
    n_emotions = 40
    # The unsteered text of one prompt scores low for all emotions: each of them seems to gain.
    scores = torch.zeros(1 + n_emotions, 4, n_emotions)
    scores[0, 0] = -4.0
    judged = judged_gains(scores.reshape(-1, n_emotions), list(range(n_emotions)), 4)
    assert judged.gain == pytest.approx(1.0)
    assert judged.per_emotion.gain == [1.0] * len(judged.per_emotion.gain)
    assert judged.gain_interval[0] <= 0.0


def test_gains_are_own_minus_unsteered_and_random_texts_gain_nothing():
    n_prompts, columns = 2, [0, 2]
    noise = torch.randn(5, n_prompts, 4, generator=torch.Generator().manual_seed(0)) * 0.01
    noise[1, :, 0] += 2.0
    noise[2, :, 2] += 4.0
    judged = judged_gains(noise.reshape(-1, 4), columns, n_prompts)
    assert judged.gain == pytest.approx(3.0, abs=0.05)
    assert judged.gain_in_random == pytest.approx(0.0, abs=0.05)
    assert judged.gain_in_others == pytest.approx(0.0, abs=0.05)
    assert judged.percentile == 1.0
    assert judged.per_emotion.gain == pytest.approx([2.0, 4.0], abs=0.05)


def test_without_random_texts_the_control_is_text_steered_elsewhere():
    scores = torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 3.0]])
    judged = judged_gains(scores, [0, 1], 1)
    assert judged.gain_in_random is None
    assert judged.control.name == "text steered elsewhere"
    assert judged.excess == pytest.approx(2.0)
