"""The doctor passes sound models and names what is wrong with others."""

import dataclasses
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

import hooks
from hooks.doctor import Check, Diagnosis, diagnose, examine, tolerance
from hooks.errors import ModelError

MEASURED = {
    "backends agree",
    "unembedding is the model's own",
    "a batch equals its texts one by one",
    "left padding equals right padding",
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
        quiet = tiny_hf_model("llama")
        loud = LoudLlama(quiet.config)
        loud.load_state_dict(quiet.state_dict())
        diagnosis = examine(plain(loud.eval(), tiny_tokenizer()))
        assert not diagnosis.ok
        assert failed(diagnosis) == {"unembedding is the model's own"}

    def test_a_model_that_reads_its_padding(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama")

        def forget_mask(_module, args, kwargs):
            return args, {**kwargs, "attention_mask": None, "position_ids": None}

        hf.model.register_forward_pre_hook(forget_mask, with_kwargs=True)
        diagnosis = examine(plain(hf, tiny_tokenizer()))
        assert failed(diagnosis) == {"left padding equals right padding"}

    def test_a_template_that_writes_the_beginning_twice(self, tiny_hf_model, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
        diagnosis = examine(plain(tiny_hf_model("llama"), tokenizer))
        assert failed(diagnosis) == {"one beginning-of-sequence token"}
        detail = by_name(diagnosis)["one beginning-of-sequence token"].detail
        assert detail == "a text starts with 1, a prompt starts with 2"

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

        def explode(*_):
            raise RuntimeError("the head is broken")

        hf.lm_head.register_forward_pre_hook(explode)
        diagnosis = examine(model)
        assert failed(diagnosis) == {"unembedding is the model's own"}
        broken = by_name(diagnosis)["unembedding is the model's own"]
        assert broken.detail == "RuntimeError: the head is broken"

    def test_a_model_that_cannot_be_loaded_raises(self, tmp_path):
        with pytest.raises(ModelError, match="could not load"):
            diagnose(tmp_path, device="cpu")
