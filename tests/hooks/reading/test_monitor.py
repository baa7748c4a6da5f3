"""What is read while a model writes is what it would be read afterwards, and costs no pass."""

import pytest
import torch

import hooks
from hooks.errors import InvalidInput
from hooks.reading.monitor import NewTokens, monitor

PROMPTS = ["She waited at the gate until the rain had stopped.", "Nobody came."]
LAYERS = [3, 1]


def written_with(model, prompts, told: list[NewTokens], n_tokens: int = 6):
    with monitor(model, LAYERS, told.append):
        return model.generate(prompts, max_new_tokens=n_tokens, seed=1)


def of_prompt(told: list[NewTokens], prompt: int) -> tuple[list[int], torch.Tensor]:
    own = [new for new in told if new.prompt == prompt]
    ids = [one for new in own for one in new.ids]
    return ids, torch.cat([new.resid for new in own], dim=1)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3"])
def test_residuals_of_a_batch_are_those_of_its_texts_read_afterwards(tiny_model, architecture):
    model = tiny_model(architecture)
    told: list[NewTokens] = []
    written = written_with(model, PROMPTS, told)
    for prompt, (text, generation) in enumerate(zip(PROMPTS, written, strict=True)):
        ids, resid = of_prompt(told, prompt)
        whole = [*model.encode_prompt(text), *generation.tokens]
        n_unread = len(whole) - len(ids)
        assert ids == whole[: len(ids)]
        assert n_unread == (0 if generation.finished else 1)
        after = hooks.resid_post(model, ids, layers=LAYERS)
        torch.testing.assert_close(resid, after.resid, atol=1e-4, rtol=1e-4)


def test_prompts_are_told_from_what_is_drawn(tiny_model):
    model = tiny_model("llama")
    told: list[NewTokens] = []
    [generation] = written_with(model, PROMPTS[:1], told)
    first, *others = told
    assert not first.drawn
    assert all(new.generating for new in told)
    assert first.ids == model.encode_prompt(PROMPTS[0])
    assert all(new.drawn and len(new.ids) == 1 for new in others)
    assert [new.ids[0] for new in others] == generation.tokens[: len(others)]


def test_it_changes_nothing_and_costs_no_pass(tiny_model):
    model = tiny_model("llama")
    passes: list[int] = []
    handle = model.hf.get_input_embeddings().register_forward_hook(lambda *_: passes.append(1))
    plain = model.generate(PROMPTS[:1], max_new_tokens=6, seed=1)
    n_plain = len(passes)
    assert written_with(model, PROMPTS[:1], []) == plain
    handle.remove()
    assert len(passes) == 2 * n_plain


def test_a_text_that_has_ended_is_told_of_no_more(tiny_model):
    model = tiny_model("llama")
    told: list[NewTokens] = []
    [end] = {model.tokenizer.eos_token_id}
    prompts = [model.encode(text) for text in [*PROMPTS] * 6]  # one ends and its row stays on
    written = written_with(model, prompts, told, n_tokens=40)
    assert len({len(generation.tokens) for generation in written}) > 1
    for prompt, generation in enumerate(written):
        ids, _ = of_prompt(told, prompt)
        assert end not in ids[1:]
        assert len(ids) - len(prompts[prompt]) <= len(generation.tokens)


def test_steering_entered_before_is_in_what_is_read(tiny_model):
    model = tiny_model("llama")
    push = torch.ones(model.d_model)
    plain: list[NewTokens] = []
    steered: list[NewTokens] = []
    written_with(model, PROMPTS[:1], plain)
    with hooks.steer(model, push, layers=[1], strength=2.0):
        written_with(model, PROMPTS[:1], steered)
    moved = steered[0].resid[1] - plain[0].resid[1]
    torch.testing.assert_close(moved, (2 * push / push.norm()).expand_as(moved), atol=1e-4, rtol=0)


class TestEnding:
    """`tell` returns True: that text ends with the token, and nothing else changes."""

    def test_a_text_is_what_was_written_until_then_and_the_others_go_on(self, tiny_model):
        model = tiny_model("llama")
        prompts = [*PROMPTS, "They waited.", PROMPTS[1]]
        options = {"max_new_tokens": 10, "seed": 4}
        plain = model.generate(prompts, **options)
        n_drawn = dict.fromkeys(range(4), 0)

        def tell(new: NewTokens) -> bool:
            n_drawn[new.prompt] += new.drawn
            return new.drawn and (new.prompt, n_drawn[new.prompt]) in ((1, 3), (2, 1))

        with monitor(model, LAYERS, tell):
            written = model.generate(prompts, **options)
        assert [(len(it.tokens), it.finished) for it in written[1:3]] == [(3, False), (1, False)]
        for place, length in ((1, 3), (2, 1)):
            kept = plain[place].tokens[:length]
            assert written[place].tokens == kept
            assert written[place].text == model.tokenizer.decode(kept, skip_special_tokens=True)
        assert [written[0], written[3]] == [plain[0], plain[3]]
        assert (n_drawn[1], n_drawn[2]) == (3, 1)  # no pass read them after their end

    def test_no_pass_follows_the_last_end(self, tiny_model):
        model = tiny_model("llama")
        passes: list[int] = []
        handle = model.hf.get_input_embeddings().register_forward_hook(lambda *_: passes.append(1))
        with monitor(model, LAYERS, lambda new: new.drawn):
            [text] = model.generate(PROMPTS[:1], max_new_tokens=10, seed=1)
        handle.remove()
        assert len(passes) == 2
        assert len(text.tokens) == 1

    @pytest.mark.parametrize("what", ["a prompt", "another library's text", "a text that is read"])
    def test_what_model_generate_does_not_write_cannot_be_ended(self, tiny_model, what):
        model = tiny_model("llama")
        ids = torch.tensor([model.encode(PROMPTS[0])])
        with (
            pytest.raises(InvalidInput, match="a text that model.generate is writing"),
            monitor(model, LAYERS, lambda new: new.drawn or what != "another library's text"),
        ):
            if what == "a prompt":
                model.generate(PROMPTS[:1], max_new_tokens=4)
            elif what == "a text that is read":
                hooks.resid_post(model, PROMPTS[0], through="bulk")
            else:
                model.hf.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=0)


@pytest.mark.parametrize("how", [{"prompt_lookup_num_tokens": 4}, {"use_cache": False}])
def test_tokens_that_are_proposed_or_read_again_are_refused(tiny_model, how):
    model = tiny_model("llama")
    ids = torch.tensor([model.encode("the rain and the rain and the rain and")])
    options = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    with (
        pytest.raises(InvalidInput, match="over one token that was drawn, got one over"),
        monitor(model, LAYERS, lambda _new: None),
    ):
        model.hf.generate(ids, **options, **how)


@pytest.mark.parametrize(("layers", "message"), [([], "at least one layer"), ([99], "layer 99")])
def test_layers_that_cannot_be_read_are_refused(tiny_model, layers, message):
    with pytest.raises(InvalidInput, match=message), monitor(tiny_model("llama"), layers, print):
        pass
