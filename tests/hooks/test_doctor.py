"""The doctor passes sound models and names what is wrong with others."""

import dataclasses
import re
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot
from transformers import LlamaForCausalLM

import hooks
from hooks.doctor import TEXTS, Check, Diagnosis, diagnose, examine, tolerance
from hooks.errors import ModelError
from hooks.models.conventions import Conventions
from hooks.models.miniature import tiny_tokenizer as bpe

MEASURED = {
    "backends agree",
    "unembedding is the model's own",
    "a batch equals its texts one by one",
    "left padding equals right padding",
    "steering adds what it says",
    "a greedy text is the model's own",
    "one beginning-of-sequence token",
}


def by_name(diagnosis: Diagnosis) -> dict[str, Check]:
    return {check.name: check for check in diagnosis.checks}


def failed(diagnosis: Diagnosis) -> set[str]:
    return {check.name for check in diagnosis.checks if check.passed is False}


class LoudLlama(LlamaForCausalLM):
    """Scales its logits by a factor that nothing in its config tells."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output: Any = super().forward(*args, **kwargs)
        output.logits = output.logits * 1.5
        return output


class SeeingLlama(LlamaForCausalLM):
    """Its logits also see the tokens, past all blocks."""

    def forward(self, input_ids=None, **kwargs: Any) -> Any:
        output: Any = super().forward(input_ids=input_ids, **kwargs)
        output.logits = output.logits + 5 * one_hot(input_ids, output.logits.shape[-1])
        return output


def plain(hf, tokenizer):
    return hooks.load(hf, tokenizer=tokenizer, backend="huggingface")


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2", "gemma3"])
def test_a_sound_model_passes_every_measurement(tiny_folder, architecture):
    diagnosis = diagnose(tiny_folder(architecture), dtype="float32", device="cpu")
    assert diagnosis.ok
    checks = by_name(diagnosis)
    assert {name for name, check in checks.items() if check.passed} == MEASURED
    assert "tolerance 1e-05" in checks["backends agree"].detail
    assert checks["backend"].detail.startswith("transformerlens: ")
    assert "plain prompts only" in checks
    assert "no TransformerLens" not in checks


def test_size_and_precision_are_told(tiny_model):
    model = tiny_model("llama")
    checks = by_name(examine(model))
    count = sum(parameter.numel() for parameter in model.hf.parameters())
    expected = f"{count:,} parameters, 4 layers, d_model 32, vocabulary of 320"
    assert checks["size"].detail == expected
    assert checks["precision"].detail.startswith("float32; 'auto' is ")


def test_bfloat16_passes_with_its_own_tolerance(tiny_folder):
    diagnosis = diagnose(tiny_folder("gemma3"), dtype="bfloat16", device="cpu")
    assert diagnosis.ok
    assert "tolerance 5e-02" in by_name(diagnosis)["backends agree"].detail
    assert (tolerance(torch.float16), tolerance(torch.float32)) == (5e-2, 1e-5)


def test_a_chat_model_is_recognized(tiny_folder):
    checks = by_name(diagnose(tiny_folder("llama", chat=True), dtype="float32", device="cpu"))
    assert "chat template" in checks["chat template"].detail
    assert "plain prompts only" not in checks
    assert checks["one beginning-of-sequence token"].passed


def test_a_beginning_that_the_tokenizer_would_not_put_is_told_with_its_cost(
    tiny_hf_model, tiny_tokenizer
):
    name = "one beginning-of-sequence token"
    ours = plain(tiny_hf_model("llama"), tiny_tokenizer())
    detail = by_name(examine(ours))[name].detail
    costs = re.search(
        r"no <s> before plain text, we do: texts cost (\S+) nats .* (\S+) without", detail
    )
    assert costs is not None
    n_words = torch.tensor(float(ours.d_vocab))
    assert all(abs(float(cost) - n_words.log()) < 3 for cost in costs.groups())
    own = plain(tiny_hf_model("llama"), bpe(TEXTS))
    assert by_name(examine(own))[name].detail == "a text starts with 1, a prompt starts with 1"


def test_what_does_not_apply_is_a_notice(tiny_model):
    checks = by_name(examine(tiny_model("helium", bos="none")))
    assert checks["one beginning-of-sequence token"].passed is None
    assert "no TransformerLens" in checks
    assert "TransformerLens cannot boot it" in checks["backend"].detail


@pytest.mark.parametrize("architecture", ["gpt2", "gemma4-multimodal", "helium"])
def test_one_backend_is_compared_with_the_models_own_hidden_states(tiny_model, architecture):
    check = by_name(examine(tiny_model(architecture, "huggingface")))["backends agree"]
    assert check.passed
    assert "own hidden states" in check.detail


def test_short_context_is_a_notice(tiny_model):
    assert "at most 512" in by_name(examine(tiny_model("gpt2")))["short texts only"].detail


class TestFailures:
    def test_hooks_that_read_something_else_than_the_block_says(
        self, tiny_hf_model, tiny_tokenizer
    ):
        hf = tiny_hf_model("llama")
        model = plain(hf, tiny_tokenizer())
        blocks = list(model.bulk.structure.blocks)
        # Hooks hang on the block before; the last stays, or the unembedding would tell.
        model.bulk.structure = dataclasses.replace(
            model.bulk.structure, blocks=torch.nn.ModuleList([blocks[0], *blocks[:2], blocks[3]])
        )
        assert failed(examine(model)) == {"backends agree"}

    def test_logits_that_the_unembedding_does_not_give(self, tiny_hf_model, tiny_tokenizer):
        seeing = SeeingLlama(tiny_hf_model("llama").config).eval()
        diagnosis = examine(plain(seeing, tiny_tokenizer()))
        assert not diagnosis.ok
        assert failed(diagnosis) == {"unembedding is the model's own"}
        detail = by_name(diagnosis)["unembedding is the model's own"].detail
        assert "does not decide its logits" in detail

    def test_logits_that_something_else_scales_are_followed(self, tiny_hf_model, tiny_tokenizer):
        quiet = tiny_hf_model("llama")
        loud = LoudLlama(quiet.config)
        loud.load_state_dict(quiet.state_dict())
        assert examine(plain(loud.eval(), tiny_tokenizer())).ok

    def test_a_text_that_is_not_what_the_model_would_write(self, tiny_hf_model, tiny_tokenizer):
        model = plain(tiny_hf_model("llama"), tiny_tokenizer())
        _ = model.conventions
        model.hf.model.register_forward_pre_hook(
            lambda _m, args, named: (args, {**named, "past_key_values": None}), with_kwargs=True
        )
        assert failed(examine(model)) == {"a greedy text is the model's own"}

    def test_steering_that_does_not_arrive(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama")
        model = plain(hf, tiny_tokenizer())
        _ = model.conventions
        given = []
        hf.model.layers[2].register_forward_hook(lambda *_: given[0] if given else None)
        read = hooks.resid_post(model, TEXTS[0], layers=[2]).resid
        given.append(read)
        check = by_name(examine(model))["steering adds what it says"]
        assert (check.passed, check.detail[-32:]) == (False, "it does not reach the last layer")

    def test_a_model_that_reads_its_padding(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama")

        def forget_mask(_module, args, kwargs):
            return args, {**kwargs, "attention_mask": None, "position_ids": None}

        hf.model.register_forward_pre_hook(forget_mask, with_kwargs=True)
        model = plain(hf, tiny_tokenizer())
        check = by_name(examine(model))["left padding equals right padding"]
        assert (check.passed, "is given none" in check.detail) == (None, True)
        model.bulk.conventions = Conventions()  # as if nobody had tried
        assert failed(examine(model)) == {
            "left padding equals right padding",
            "a greedy text is the model's own",
        }

    def test_a_template_that_writes_the_beginning_twice(self, tiny_hf_model, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
        diagnosis = examine(plain(tiny_hf_model("llama"), tokenizer))
        assert failed(diagnosis) == {"one beginning-of-sequence token"}
        detail = by_name(diagnosis)["one beginning-of-sequence token"].detail
        assert detail.startswith("a text starts with 1, a prompt starts with 2")

    def test_a_beginning_that_also_begins_turns_is_no_failure(self, tiny_hf_model, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True, bos="tokenizer")
        tokenizer.bos_token = "<|start|>"
        model = plain(tiny_hf_model("llama"), tokenizer)
        assert model.encode_prompt("Hello").count(tokenizer.bos_token_id) == 2
        assert examine(model).ok

    def test_a_nan_in_the_weights(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama")
        with torch.no_grad():
            hf.model.layers[2].mlp.down_proj.weight[0, 0] = float("nan")
        assert failed(examine(plain(hf, tiny_tokenizer()))) >= {
            "unembedding is the model's own",
            "a batch equals its texts one by one",
        }

    def test_a_check_that_raises_has_failed_and_the_others_still_run(
        self, tiny_hf_model, tiny_tokenizer
    ):
        hf = tiny_hf_model("llama")
        model = plain(hf, tiny_tokenizer())

        _ = model.conventions

        def explode(*_):
            raise RuntimeError("the head is broken")

        hf.lm_head.register_forward_pre_hook(explode)
        diagnosis = examine(model)
        assert failed(diagnosis) == {
            "unembedding is the model's own",
            "a greedy text is the model's own",
        }
        broken = by_name(diagnosis)["unembedding is the model's own"]
        assert broken.detail == "RuntimeError: the head is broken"

    def test_a_model_that_cannot_be_loaded_raises(self, tmp_path):
        with pytest.raises(ModelError, match="could not load"):
            diagnose(tmp_path, device="cpu")
