"""Messages are read where the reply would begin."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from probes.experiments.messages.reading import cosines, read_messages, where_read

MESSAGES = ["The rain fell on the empty street", "Nobody came"]


@pytest.fixture(params=[False, True], ids=["base", "chat"])
def model(request):
    tokenizer = tiny_tokenizer(chat=request.param)
    return hooks.load(tiny_model("llama"), tokenizer=tokenizer, backend="huggingface")


def test_the_stream_is_read_at_the_last_token_that_the_model_is_given(model):
    residual = read_messages(model, MESSAGES, layer=1)
    for message, row in zip(MESSAGES, residual, strict=True):
        tokens = torch.tensor([model.encode_prompt(message)])
        hidden = model.hf(tokens, output_hidden_states=True).hidden_states[2]
        assert torch.allclose(row, hidden[0, -1], atol=1e-4)
    assert where_read(model).endswith("the reply" if model.is_chat else "(a base model)")


def test_a_base_model_may_begin_an_answer_and_a_chat_model_always_does(model):
    read = read_messages(model, MESSAGES, layer=1, answering=True)
    if model.is_chat:
        assert torch.equal(read, read_messages(model, MESSAGES, layer=1))
        assert where_read(model, answering=True) == where_read(model)
        return
    asked = [f"Person: {message}\nAssistant:" for message in MESSAGES]
    assert torch.allclose(read, read_messages(model, asked, layer=1), atol=1e-5)
    assert where_read(model, answering=True) == 'at the colon after "Assistant" (a base model)'


def test_cosines_know_no_lengths():
    vectors = torch.tensor([[2.0, 0.0], [0.0, 0.5]])
    matrix = cosines(torch.tensor([[3.0, 3.0]]), vectors)
    assert matrix.tolist() == [pytest.approx([0.5**0.5] * 2)]
