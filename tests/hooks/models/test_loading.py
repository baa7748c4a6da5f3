"""A name, a folder or an object becomes a model that reads; anything else is refused."""

import json
import shutil
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

import hooks
from hooks import FromToken
from hooks.errors import InvalidInput, ModelError

TEXTS = ["The old man sat by the window and watched the rain.", "Nobody came."]


@pytest.fixture
def loaded(tiny_folder):
    """A Hugging Face model and its tokenizer, as a user would have loaded them."""
    folder = tiny_folder("llama")
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return hf, AutoTokenizer.from_pretrained(folder)


def bridge(hf, tokenizer):
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers("tiny", hf_model=hf, tokenizer=tokenizer)


class TestFolder:
    def test_is_read_by_transformerlens_where_it_can(self, tiny_model):
        model = tiny_model("llama")
        assert model.backend == "transformerlens"
        assert model.backend_reason == "TransformerLens has an adapter for it"
        assert (model.weight_processing, model.quantize) == ("none", None)
        assert "n_layers=4, d_model=32" in repr(model)

    def test_the_plain_tree_stays_plain(self, tiny_model):
        model = tiny_model("llama")
        assert {type(block).__name__ for block in model.hf.model.layers} == {"LlamaDecoderLayer"}
        assert model.hf.config._attn_implementation == "sdpa"
        assert not any(parameter.requires_grad for parameter in model.hf.parameters())
        assert not model.hf.training

    def test_hugging_face_is_taken_when_asked_for(self, tiny_model):
        model = tiny_model("llama", "huggingface")
        assert (model.backend, model.backend_reason, model.hooked) == (
            "huggingface",
            "asked for",
            None,
        )

    @pytest.mark.parametrize("bos", ["template", "none"])
    def test_the_backend_does_not_change_the_tokens(self, tiny_model, bos):
        """TransformerLens gives a tokenizer without a beginning token one of its own."""
        lens = tiny_model("qwen3", bos=bos)
        plain = tiny_model("qwen3", "huggingface", bos=bos)
        assert lens.backend == "transformerlens"
        assert lens.encode(TEXTS[0]) == plain.encode(TEXTS[0])
        assert lens.special_ids == plain.special_ids
        assert (lens.tokenizer.bos_token is None) == (bos == "none")

    def test_a_tokenizer_that_prepends_its_bos_is_not_loaded_twice(
        self, tiny_folder, tmp_path, monkeypatch
    ):
        folder = shutil.copytree(tiny_folder("llama"), tmp_path / "llama")
        own = AutoTokenizer.from_pretrained(folder)
        bos = (own.bos_token, own.bos_token_id)
        own.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{bos[0]} $A", special_tokens=[bos]
        )
        own.save_pretrained(folder)
        loads: list[Any] = []
        stock = AutoTokenizer.from_pretrained

        def counted(*names, **options):
            loads.append(names)
            return stock(*names, **options)

        monkeypatch.setattr(AutoTokenizer, "from_pretrained", counted)
        model = hooks.load(folder, dtype="float32", device="cpu")
        assert len(loads) == 1
        assert model.backend == "transformerlens"
        assert model.hooked.cfg.tokenizer_prepends_bos
        assert model.hooked.to_tokens(TEXTS[1])[0].tolist() == model.encode(TEXTS[1])
        side = model.tokenizer.padding_side
        model.hooked.tokenizer.padding_side = "left" if side == "right" else "right"
        assert model.tokenizer.padding_side == side
        assert "add_bos_token" not in model.tokenizer.init_kwargs

    @pytest.mark.parametrize("hanging", ["replay", "steer", "hook"])
    def test_what_hung_on_the_model_when_it_was_booted_is_gone_with_it(self, tiny_folder, hanging):
        model = hooks.load(tiny_folder("llama"), dtype="float32", device="cpu")
        seen: list[int] = []
        contexts = {
            "replay": lambda: hooks.Replay(model).until(1),
            "steer": lambda: hooks.steer(model, torch.ones(32), layers=[1], strength=9.0),
            "hook": lambda: model.bulk.hooked({1: lambda _residual, layer: seen.append(layer)}),
        }
        with contexts[hanging]():
            model.hf(torch.tensor([model.encode(TEXTS[1])]))
            assert model.backend == "transformerlens"
        seen.clear()
        read = [hooks.resid_post(model, TEXTS[0], through=tree) for tree in ("reader", "bulk")]
        assert torch.allclose(read[0].resid, read[1].resid, atol=1e-5)
        assert seen == []

    def test_a_model_of_images_and_text_installs_nothing(self, tiny_model, uv_calls):
        """TransformerLens wants torchvision for the images, and would install it while it boots."""
        assert tiny_model("gemma4-multimodal").backend == "transformerlens"
        assert uv_calls.read_text(encoding="utf-8") == ""

    def test_loading_leaves_global_random_state_alone(self, tiny_folder):
        folder = tiny_folder("llama")
        before = torch.get_rng_state()
        hooks.load(folder, dtype="float32", device="cpu")
        assert torch.equal(torch.get_rng_state(), before)


class TestObjects:
    def test_a_hugging_face_model_is_read_and_stays_the_callers(self, loaded, tiny_model):
        hf, tokenizer = loaded
        ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
        with torch.no_grad():
            before = hf(ids).logits
        model = hooks.load(hf, tokenizer=tokenizer)
        assert model.backend == "transformerlens", model.backend_reason
        assert model.hf is hf
        assert {type(block).__name__ for block in hf.model.layers} == {"LlamaDecoderLayer"}
        with torch.no_grad():
            assert torch.equal(hf(ids).logits, before)
        expected = hooks.pooled_resid_post(tiny_model("llama"), TEXTS).mean
        assert torch.allclose(hooks.pooled_resid_post(model, TEXTS).mean, expected, atol=1e-5)

    def test_a_model_made_in_memory_is_recognized_by_its_class(self, tiny_hf_model, tiny_folder):
        """GPT-OSS, Granite and others are known to TransformerLens by this alone."""
        hf = tiny_hf_model("gemma3")
        assert not hf.config.architectures
        tokenizer = AutoTokenizer.from_pretrained(tiny_folder("gemma3"))
        model = hooks.load(hf, tokenizer=tokenizer, backend="transformerlens")
        assert model.hooked is not None
        assert not hf.config.architectures

    def test_a_bridge_is_read_as_it_is(self, loaded, tiny_model):
        booted = bridge(*loaded)
        model = hooks.load(booted)
        assert model.hooked is booted
        assert model.backend == "transformerlens"
        assert model.backend_reason == "a TransformerBridge was given"
        assert model.weight_processing == "none"
        assert (model.n_layers, model.d_model, model.d_vocab) == (4, 32, 320)
        reference = tiny_model("llama")
        got = hooks.pooled_resid_post(model, TEXTS, FromToken(1)).mean
        expected = hooks.pooled_resid_post(reference, TEXTS, FromToken(1)).mean
        assert torch.allclose(got, expected, atol=1e-5)
        residual = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(model.unembed(residual), reference.unembed(residual), atol=1e-4)

    @pytest.mark.parametrize("architecture", ["gpt2", "gemma4", "phi3"])
    def test_a_bridge_is_the_model_of_its_name(self, tiny_folder, tiny_model, architecture):
        """Same fingerprint, so vectors fit; same words; plain modules over the bridge's tensors."""
        folder, named = tiny_folder(architecture), tiny_model(architecture)
        hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        booted = bridge(hf, AutoTokenizer.from_pretrained(folder))
        model: Any = hooks.load(booted)
        assert model.fingerprint == named.fingerprint
        assert {type(m) for m in model.hf.modules()} == {type(m) for m in named.hf.modules()}
        tensors = {parameter.data_ptr() for parameter in booted.original_model.parameters()}
        assert {parameter.data_ptr() for parameter in model.hf.parameters()} <= tensors
        expected = hooks.pooled_resid_post(named, TEXTS).mean
        for through in ("bulk", "reader"):
            got = hooks.pooled_resid_post(model, TEXTS, through=through).mean
            assert torch.allclose(got, expected, rtol=1e-4, atol=1e-4)
        written = [m.generate(TEXTS, max_new_tokens=6, temperature=0.0) for m in (model, named)]
        assert written[0] == written[1]

    def test_a_bridge_in_compatibility_mode_says_so_and_does_not_write(self, loaded):
        booted = bridge(*loaded)
        booted.enable_compatibility_mode()
        model = hooks.load(booted)
        assert model.weight_processing == "compatibility mode"
        with pytest.raises(ModelError, match="TransformerBridge .* Load the model by name"):
            model.generate(["The"], max_new_tokens=1)

    def test_a_bridge_cannot_be_read_through_hugging_face(self, loaded):
        with pytest.raises(InvalidInput, match="drop backend="):
            hooks.load(bridge(*loaded), backend="huggingface")

    @pytest.mark.parametrize("thing", [object(), 7, None, torch.nn.Linear(2, 2)])
    def test_anything_else_is_refused(self, thing):
        with pytest.raises(InvalidInput, match="expected a name, a folder"):
            hooks.load(thing)


class TestQuantized:
    @pytest.mark.parametrize("quantize", ["4bit", "8bit"])
    def test_both_widths_read_close_to_the_plain_model(self, tiny_folder, tiny_model, quantize):
        pytest.importorskip("bitsandbytes")
        plain = tiny_model("wide llama")
        model: Any = hooks.load(
            tiny_folder("wide llama"), quantize=quantize, dtype="float32", device="cpu"
        )
        assert model.quantize == quantize
        assert model.fingerprint != plain.fingerprint
        kind = {"4bit": "Linear4bit", "8bit": "Linear8bitLt"}[quantize]
        assert type(model.hf.model.layers[0].mlp.up_proj).__name__ == kind
        expected = hooks.pooled_resid_post(plain, TEXTS).mean[:, 0]
        for through in ("bulk", "reader"):
            got = hooks.pooled_resid_post(model, TEXTS, through=through).mean
            cosine = torch.cosine_similarity(got[:, 0], expected, dim=-1)
            assert 0.97 < cosine.min() < 0.999999
        assert len(model.generate(["The"], max_new_tokens=4)[0].tokens) <= 4

    @pytest.mark.parametrize("quantize", ["4bit", "8bit"])
    @pytest.mark.parametrize("first", ["bulk", "reader"])
    def test_both_trees_agree_whichever_runs_first(self, tiny_folder, quantize, first):
        pytest.importorskip("bitsandbytes")
        folder = tiny_folder("wide llama")
        model = hooks.load(folder, quantize=quantize, dtype="float32", device="cpu")
        order = [first, "reader" if first == "bulk" else "bulk", first]
        one, two, again = (
            hooks.pooled_resid_post(model, TEXTS, through=through).mean for through in order
        )
        assert torch.cosine_similarity(one, two, dim=-1).min() > 0.999
        assert torch.allclose(one, again, atol=1e-5)


class TestRefusals:
    def test_an_unknown_id_says_what_to_do(self):
        with pytest.raises(ModelError) as caught:
            hooks.load("no-such-organization/no-such-model", device="cpu")
        assert "no-such-organization/no-such-model" in str(caught.value)
        assert "embedded:gemma-3-270m" in str(caught.value)
        assert "hf auth login" in str(caught.value)

    def test_a_folder_without_a_model_says_what_was_expected(self, tmp_path):
        with pytest.raises(ModelError, match="config.json"):
            hooks.load(tmp_path, device="cpu")

    def test_damaged_weights_are_refused(self, tiny_folder, tmp_path):
        folder = shutil.copytree(tiny_folder("llama"), tmp_path / "damaged")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ModelError, match="could not load"):
            hooks.load(folder, device="cpu")

    def test_code_that_comes_with_a_model_is_not_run(self, tmp_path):
        folder = tmp_path / "remote"
        folder.mkdir()
        marker = tmp_path / "was_run"
        config = {"model_type": "mystery", "auto_map": {"AutoConfig": "code.MysteryConfig"}}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        source = f"open({str(marker)!r}, 'w').close()\n"
        (folder / "code.py").write_text(source, encoding="utf-8")
        with pytest.raises(ModelError):
            hooks.load(folder, device="cpu")
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"dtype": "int8"}, "dtype"),
            ({"device": "toaster"}, "device"),
            ({"quantize": "2bit"}, "quantize"),
        ],
        ids=str,
    )
    def test_settings_without_meaning_are_refused_before_any_work(self, settings, message):
        with pytest.raises(InvalidInput, match=message):
            hooks.load("no-such-organization/no-such-model", **settings)
