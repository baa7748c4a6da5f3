import hashlib

import pytest
import torch

import hooks
from hooks.errors import InvalidInput
from hooks.models.model import Booted, LanguageModel

VECTORS = torch.randn(3, 2, 32, generator=torch.Generator().manual_seed(0))


class TestShape:
    @pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma4-multimodal"])
    def test_sizes_are_those_of_the_text_model(self, tiny_model, architecture):
        model = tiny_model(architecture)
        assert (model.n_layers, model.d_model, model.d_vocab) == (4, 32, 320)
        assert model.n_positions == 512
        assert (model.dtype, model.device) == (torch.float32, torch.device("cpu"))
        assert model.W_U.shape == (32, 320)

    def test_token_strings_line_up_with_the_unembedding(self, tiny_model):
        model = tiny_model("llama")
        strings = model.token_strings()
        assert len(strings) == model.d_vocab
        assert "".join(strings[i] for i in model.encode("the rain")) == "<s>the rain"

    def test_rows_beyond_the_tokenizer_have_no_text(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama", d_vocab=330)
        model = hooks.load(hf, tokenizer=tiny_tokenizer(), backend="huggingface")
        assert model.token_strings()[319:] == [model.tokenizer.decode([319]), *[""] * 10]

    def test_a_tokenizer_is_required(self, tiny_hf_model):
        with pytest.raises(InvalidInput, match="tokenizer="):
            hooks.load(tiny_hf_model("llama"), backend="huggingface")

    def test_some_module_tree_is_required(self, tiny_tokenizer):
        with pytest.raises(InvalidInput, match="expected a Hugging Face"):
            LanguageModel(
                name="empty",
                tokenizer=tiny_tokenizer(),
                hf=None,
                boot=lambda: Booted(None, "huggingface", ""),
            )


class TestUnembedding:
    def test_leading_axes_are_kept(self, tiny_model):
        model = tiny_model("llama")
        logits = model.unembed(VECTORS)
        assert logits.shape == (3, 2, 320)
        assert torch.allclose(logits[1, 1], model.unembed(VECTORS[1, 1]), atol=1e-5)

    def test_directions_get_nothing_from_the_biases(self, tiny_model):
        """GPT-2's LayerNorm has a bias: zero in gives the bias's logits out, not zeros."""
        model = tiny_model("gpt2")
        norm = model.hf.transformer.ln_f
        assert norm.bias.abs().max() > 0.1
        with torch.no_grad():
            weighted = torch.nn.functional.layer_norm(VECTORS, (32,), norm.weight, None, norm.eps)
            expected = weighted @ model.hf.lm_head.weight.T
        assert (model.unembed(VECTORS) - expected).abs().max() > 0.1
        assert torch.allclose(model.direction_logits(VECTORS), expected, atol=1e-4)

    def test_the_zero_direction_says_nothing(self, tiny_model):
        assert tiny_model("gpt2").direction_logits(torch.zeros(2, 32)).abs().max() < 1e-6

    def test_opposite_directions_say_the_opposite(self, tiny_model):
        model = tiny_model("gemma2")
        logits = model.direction_logits(VECTORS)
        assert torch.allclose(model.direction_logits(-VECTORS), -logits, atol=1e-5)
        assert logits.abs().max() <= 5.0  # the soft cap


class TestFingerprint:
    def test_precision_and_backend_make_no_difference(self, tiny_folder):
        folder = tiny_folder("gemma3")
        prints = {
            hooks.load(folder, dtype=dtype, backend=backend, device="cpu").fingerprint
            for dtype in ("float32", "bfloat16")
            for backend in ("transformerlens", "huggingface")
        }
        assert len(prints) == 1
        assert all(set(one) <= set("0123456789abcdef") and len(one) == 16 for one in prints)

    def test_other_weights_have_another(self, tiny_model):
        prints = {tiny_model("llama", "huggingface", seed=seed).fingerprint for seed in range(3)}
        assert len(prints) == 3

    def test_it_stays_the_same_from_run_to_run(self, tiny_hf_model, tiny_tokenizer):
        hf = tiny_hf_model("llama")
        with torch.no_grad():
            for parameter in hf.parameters():
                parameter.fill_(0.5)
        digest = hashlib.sha256()
        for name, parameter in sorted(hf.named_parameters(), key=lambda item: item[0]):
            digest.update(f"{name} {tuple(parameter.shape)}".encode())
            digest.update(torch.full((min(256, parameter.numel()),), 0.5).numpy().tobytes())
        model = hooks.load(hf, tokenizer=tiny_tokenizer(), backend="huggingface")
        assert model.fingerprint == digest.hexdigest()[:16]
