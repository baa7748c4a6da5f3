"""Claims put to a model: where the answer is read, what takes turns, and what steering does."""

import collections

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from probes.experiments.steering.claim_answers import (
    WORDINGS,
    Questions,
    Wording,
    ask,
    log_odds,
    unsteered,
)
from probes.stimuli import claims

CLAIM = "The rain fell on the street."


@pytest.fixture(scope="module", params=[False, True], ids=["base", "chat"])
def model(request):
    tokenizer = tiny_tokenizer(chat=request.param)
    return hooks.load(tiny_model("llama"), tokenizer=tokenizer, backend="huggingface")


@torch.no_grad()
def _logits(model, begun):
    return model.hf(torch.tensor([begun.prompt])).logits[0, -1]


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda wording: wording.name)
def test_the_answer_is_begun_and_read_where_its_words_part(model, wording):
    begun = ask(model, CLAIM, wording, swapped=False)
    text = model.tokenizer.decode(begun.prompt)
    assert f"{CLAIM} {wording.asked(False)}" in text
    before = "assistant\n" if model.is_chat else "Assistant: "
    assert text.rstrip().endswith(f"{before}{wording.begun}")
    for token, word in ((begun.agree, wording.agree), (begun.disagree, wording.disagree)):
        answer = model.tokenizer.decode([*begun.prompt, token]).rpartition(wording.begun)[2]
        assert answer.strip() and word.startswith(answer.strip())


def test_the_question_alone_has_no_claim(model):
    begun = ask(model, "", WORDINGS[0], swapped=True)
    text = model.tokenizer.decode(begun.prompt)
    assert "Do you disagree or agree?" in text
    assert ("Person: Do" in text) != model.is_chat


def test_answers_that_do_not_part_are_refused(model):
    with pytest.raises(InvalidInput, match="does not tell agree/agree apart"):
        ask(model, CLAIM, Wording("{first} {second}?", "I", "agree", "agree"), swapped=False)


def test_pairs_are_asked_alike_in_orders_that_take_turns(model):
    questions, n = Questions.of(model), len(claims())
    assert len(questions.answers) == len(WORDINGS) * (2 * n + 2)
    assert collections.Counter(questions.swapped) == {False: n // 2, True: n // 2}
    assert questions.swapped[::2] == questions.swapped[1::2]
    numbered = torch.arange(len(questions.answers))[None]
    of_claims, alone = questions.arranged(numbered.float())
    for number, wording in enumerate(WORDINGS):
        for place, pair in enumerate(claims()):
            order = questions.swapped[place]
            for side, claim in enumerate((pair.true, pair.false)):
                row = int(of_claims[0, number, side, place])
                assert questions.answers[row] == ask(model, claim, wording, swapped=order)
            row = int(alone[0, number, place])
            assert questions.answers[row] == ask(model, "", wording, swapped=order)


def test_unsteered_log_odds_are_the_models_own(model):
    answers = [ask(model, CLAIM, wording, swapped=True) for wording in WORDINGS]
    odds, mass = unsteered(model, answers, hooks.Replay(model), 1)
    for number, begun in enumerate(answers):
        log_probs = _logits(model, begun).log_softmax(dim=-1)
        agree, disagree = log_probs[begun.agree], log_probs[begun.disagree]
        assert float(odds[number]) == pytest.approx(float(agree - disagree), abs=1e-4)
        assert float(mass[number]) == pytest.approx(float(agree.exp() + disagree.exp()), abs=1e-5)


def test_steered_log_odds_are_those_of_a_model_that_is_steered_at_every_token(model):
    vectors = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(1))
    answers = [ask(model, CLAIM, wording, swapped=False) for wording in WORDINGS]
    how = {"layers": [1], "dose": 0.5, "residual_norm": 4.0}
    seen = []
    measured = log_odds(model, answers, vectors, seen.append, replay=hooks.Replay(model), **how)
    assert sum(seen) == len(answers)
    for row, vector in enumerate(vectors):
        for number, begun in enumerate(answers):
            with hooks.steer(model, vector, **how):
                logits = _logits(model, begun)
            expected = float(logits[begun.agree] - logits[begun.disagree])
            assert float(measured[row, number]) == pytest.approx(expected, abs=1e-3)
    plain, _ = unsteered(model, answers, hooks.Replay(model), 1)
    assert (measured - plain).abs().max() > 0.01
