"""Choices between two activities: what is asked, what cancels, and what is steered."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from probes.experiments.preferences.forced_choice import (
    activity_residuals,
    letters,
    preferences,
    prompt,
    span,
    steered_changes,
)

ACTIVITIES = ["watch the rain", "read the letter", "run down the hill", "wait at the station"]
PAIRS = [(0, 1), (2, 1), (3, 0)]


@pytest.fixture(scope="module", params=[False, True], ids=["base", "chat"])
def model(request):
    tokenizer = tiny_tokenizer(chat=request.param)
    return hooks.load(tiny_model("llama"), tokenizer=tokenizer, backend="huggingface")


@torch.no_grad()
def _log_odds(model, first, second):
    a, b = letters(model)
    logits = model.hf(torch.tensor([prompt(model, first, second)])).logits[0, -1]
    return float(logits[a] - logits[b])


def test_preferences_are_the_models_own_next_token_in_both_orders(model):
    measured = preferences(model, ACTIVITIES, PAIRS)
    for place, (i, j) in enumerate(PAIRS):
        as_a = _log_odds(model, ACTIVITIES[i], ACTIVITIES[j])
        as_b = -_log_odds(model, ACTIVITIES[j], ACTIVITIES[i])
        assert measured[:, place].tolist() == pytest.approx([as_a, as_b], abs=1e-3)


def test_the_span_holds_the_activity_and_nothing_else(model):
    tokens = prompt(model, ACTIVITIES[0], ACTIVITIES[1])
    start, stop = span(model, tokens, prompt(model, "#", ACTIVITIES[1]))
    content = [token for token in tokens if token not in model.special_ids]
    assert model.tokenizer.decode(content[start:stop]).strip() == ACTIVITIES[0]


def test_steering_changes_the_first_activity_wherever_it_stands(model):
    vector = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(1))
    how = {"layers": [1], "dose": 0.5, "residual_norm": 4.0}
    measured = steered_changes(model, ACTIVITIES, PAIRS, vector, **how)
    expected = torch.zeros(2, len(PAIRS))
    for number, direction in enumerate(vector):
        for place, (i, j) in enumerate(PAIRS):
            for first, second, sign in ((i, j, 1), (j, i, -1)):
                names = ACTIVITIES[first], ACTIVITIES[second]
                blank = ("#", names[1]) if sign == 1 else (names[0], "#")
                start, stop = span(model, prompt(model, *names), prompt(model, *blank))
                plain = _log_odds(model, *names)
                with hooks.steer(
                    model,
                    direction,
                    layers=[1],
                    strength=2.0,
                    positions=hooks.Span(start, stop),
                ):
                    steered = _log_odds(model, *names)
                expected[number, place] += sign * (steered - plain) / 2
    assert torch.allclose(measured, expected, atol=1e-3)
    assert float(measured.abs().max()) > 0.01


def test_activity_residuals_are_those_of_its_own_tokens(model):
    measured, counts = activity_residuals(model, ACTIVITIES, layer=2)
    tokens = prompt(model, ACTIVITIES[2], "nobody came")
    start, stop = span(model, tokens, prompt(model, "#", "nobody came"))
    hidden = model.hf(torch.tensor([tokens]), output_hidden_states=True).hidden_states[3][0]
    content = [place for place, token in enumerate(tokens) if token not in model.special_ids]
    expected = hidden[content[start:stop]].mean(dim=0)
    assert torch.allclose(measured[2], expected, atol=1e-4)
    assert counts[2] == stop - start


def test_the_question_ends_where_the_answers_part(model):
    tokens = prompt(model, ACTIVITIES[0], ACTIVITIES[1])
    end = "assistant\n" if model.is_chat else "I would rather do "
    assert model.tokenizer.decode(tokens).endswith(end)
    assert model.tokenizer.decode(list(letters(model))) == "AB"


def test_a_lean_to_one_letter_cancels(model):
    measured = preferences(model, ACTIVITIES, [(0, 1), (1, 0)])
    mean = measured.mean(dim=0)
    assert float(mean[0]) == pytest.approx(-float(mean[1]), abs=1e-4)
