"""Answers: the three places are those of the text that the model reads and writes."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from probes.experiments.messages.reading import answer_prompt
from probes.experiments.messages.reply_reading import N_TOKENS, _reply_tokens, read_answers

MESSAGES = ["The rain fell on the empty street.", "Nobody came. Did they wait?"]


@pytest.fixture(params=[False, True], ids=["base", "chat"])
def model(request):
    tokenizer = tiny_tokenizer(chat=request.param)
    return hooks.load(tiny_model("llama"), tokenizer=tokenizer, backend="huggingface")


def ids_of(model, text):
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_each_place_is_read_in_the_message_with_the_reply_that_is_greedy(model):
    seen = []
    answered = read_answers(model, MESSAGES, 1, lambda *counts: seen.append(counts))
    assert sum(n for n, _ in seen) == len(MESSAGES)
    assert sum(n for _, n in seen) > 0
    for number, message in enumerate(MESSAGES):
        prompt = answer_prompt(model, message)
        [reply] = model.generate([prompt], max_new_tokens=N_TOKENS, temperature=0.0)
        ids = torch.tensor([[*prompt, *reply.tokens]])
        hidden = model.hf(ids, output_hidden_states=True).hidden_states[2][0]
        before = message if model.is_chat else f"Person: {message}"
        end = model.tokenizer.decode(prompt).index(before) + len(before)
        [last] = [
            place
            for place in range(len(prompt))
            if len(model.tokenizer.decode(prompt[:place])) < end
            and len(model.tokenizer.decode(prompt[: place + 1])) == end
        ]
        read = answered.residual[:, number]
        assert torch.allclose(read[0], hidden[last], atol=1e-4)
        assert torch.allclose(read[1], hidden[len(prompt) - 1], atol=1e-4)
        if model.is_chat:
            assert torch.allclose(read[2], hidden[len(prompt) :].mean(dim=0), atol=1e-4)
        assert answered.replies[number] in model.tokenizer.decode(reply.tokens)
        assert not torch.allclose(read[0], read[1], atol=1e-2)


def test_a_base_models_reply_ends_where_it_begins_another_line(model):
    prompt = answer_prompt(model, MESSAGES[0])
    said, more = ids_of(model, " They wait."), ids_of(model, "\nPerson: He ran.")
    tokens = _reply_tokens(model, [*prompt, *said, *more], len(prompt))
    text = model.tokenizer.decode([[*prompt, *said, *more][token] for token in tokens])
    if model.is_chat:
        assert len(tokens) == len(said) + len(more)
    else:
        assert text.strip() == "They wait."
        assert tokens[0] >= len(prompt)


def test_a_reply_without_a_word_has_no_token(model):
    prompt = answer_prompt(model, MESSAGES[0])
    blanks = ids_of(model, "\n \n")
    assert _reply_tokens(model, prompt, len(prompt)) == []
    assert _reply_tokens(model, [*prompt, *blanks], len(prompt)) == []
    if not model.is_chat:
        line = ids_of(model, "\nPerson: He ran.")
        assert _reply_tokens(model, [*prompt, *line], len(prompt)) == []


def test_a_special_token_is_no_part_of_a_reply(model):
    prompt, special = answer_prompt(model, MESSAGES[0]), model.tokenizer.bos_token_id
    said = ids_of(model, " They wait.")
    ids = [*prompt, *said, special, *said]
    tokens = _reply_tokens(model, ids, len(prompt))
    assert [ids[token] for token in tokens if ids[token] in model.special_ids] == []
    assert len(tokens) >= 2 * len(said) - 1


def test_the_end_of_a_message_is_no_blank(model):
    plain, padded = (
        read_answers(model, [text], 1).residual[0] for text in (MESSAGES[0], f"{MESSAGES[0]} \n")
    )
    assert torch.allclose(plain, padded, atol=1e-4)
