"""Both backends give the residual stream of plain Hugging Face hooks, and leave nothing behind."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import decoder_blocks
from transformers import AutoModelForCausalLM

import hooks
from hooks.errors import InvalidInput, ModelError
from hooks.tokens.encoding import pad

ARCHITECTURES = ("gpt2", "llama", "qwen3", "gemma3", "gemma4", "mistral", "olmo2", "phi3")
FUSED = re.compile(r"\.(q|k|v|in|gate)\._original_component\.(weight|bias)$")
TEXT = "The old man sat by the window and watched the rain fall on the empty street."


def raw_residuals(folder: Path, ids: list[int]) -> tuple[torch.Tensor, tuple, torch.Tensor]:
    """Block outputs [layer position d_model], hidden_states and logits of a model loaded afresh."""
    hf: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    outputs = []
    for block in decoder_blocks(hf):
        block.register_forward_hook(
            lambda _module, _inputs, output: outputs.append(
                output[0] if isinstance(output, tuple) else output
            )
        )
    with torch.no_grad():
        result = hf(torch.tensor([ids]), output_hidden_states=True)
    return torch.stack([output[0] for output in outputs]), result.hidden_states, result.logits[0]


def read(tree, n_layers: int, ids: list[int]) -> torch.Tensor:
    residuals = {}

    def keep(residual, layer):
        residuals[layer] = residual[0].clone()

    batch = pad([ids], frozenset())
    with torch.no_grad(), tree.hooked(dict.fromkeys(range(n_layers), keep)):
        tree.run(batch.ids, batch.attention_mask, n_layers - 1)
    return torch.stack([residuals[layer] for layer in range(n_layers)])


def forward_hooks(model) -> int:
    """How many hooks hang on both module trees."""
    return sum(len(m._forward_hooks) for tree in (model.hf, model.hooked) for m in tree.modules())


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Agreement to 1e-5 of each layer's largest entry."""
    scale = expected.abs().amax(dim=(1, 2))
    assert ((got - expected).abs().amax(dim=(1, 2)) / scale).max() < 1e-5


@pytest.mark.parametrize("through", ["reader", "bulk"])
@pytest.mark.parametrize("architecture", ["gpt2", "gemma4"])
def test_reading_the_last_layer_takes_no_logits(tiny_model, architecture, through):
    model = tiny_model(architecture, "transformerlens")
    heads = {"reader": model.hooked.unembed, "bulk": model.hf.get_output_embeddings()}
    trees = {"reader": model.hooked, "bulk": model.hf}
    asked = []
    handle = heads[through].register_forward_hook(lambda *_: asked.append(1))
    hooks.pooled_resid_post(model, [TEXT], layers=[model.n_layers - 1], through=through)
    assert not asked
    trees[through](torch.tensor([model.encode(TEXT)]))
    assert asked
    handle.remove()


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "gemma2", "gemma4-multimodal"])
class TestAgreement:
    def test_both_backends_give_the_block_outputs_of_hugging_face(
        self, tiny_model, tiny_folder, architecture
    ):
        model = tiny_model(architecture)
        ids = model.encode(TEXT)
        raw, hidden_states, _ = raw_residuals(tiny_folder(architecture), ids)
        assert model.backend == "transformerlens", model.backend_reason
        assert model.reader is not model.bulk
        assert_close(read(model.reader, model.n_layers, ids), raw)
        assert_close(read(model.bulk, model.n_layers, ids), raw)
        # hidden_states[i + 1] is block i's output, but the last is behind the final norm.
        assert_close(raw[:-1], torch.stack([h[0] for h in hidden_states[1:-1]]))
        assert not torch.allclose(raw[-1], hidden_states[-1][0], rtol=0.1)

    def test_unembed_turns_the_last_residual_into_the_models_own_logits(
        self, tiny_model, tiny_folder, architecture
    ):
        model = tiny_model(architecture)
        ids = model.encode(TEXT)
        raw, _, logits = raw_residuals(tiny_folder(architecture), ids)
        tolerance = 1e-5 * logits.abs().max()
        assert (model.bulk.unembed(raw[-1]) - logits).abs().max() < tolerance
        assert (model.reader.unembed(raw[-1]) - logits).abs().max() < tolerance

    def test_written_residuals_reach_the_next_block(self, tiny_model, architecture):
        model = tiny_model(architecture)
        ids = model.encode(TEXT)
        direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))

        def add(residual, _layer):
            return residual + direction

        plain = read(model.bulk, model.n_layers, ids)
        with model.bulk.hooked({1: add}):
            through_bulk = read(model.bulk, model.n_layers, ids)
        with model.reader.hooked({1: add}):
            through_reader = read(model.reader, model.n_layers, ids)
        assert_close(through_bulk[:1], plain[:1])
        assert_close(through_bulk[1:2], plain[1:2] + direction)
        assert (through_bulk[2] - plain[2]).abs().max() > 0.1
        assert_close(through_reader, through_bulk)


class TestUnknownArchitecture:
    """Helium has no adapter in TransformerLens."""

    def test_auto_reads_through_hugging_face_and_says_why(self, tiny_model, tiny_folder):
        model = tiny_model("helium")
        assert (model.backend, model.hooked) == ("huggingface", None)
        assert "TransformerLens cannot boot it" in model.backend_reason
        ids = model.encode(TEXT)
        raw, _, logits = raw_residuals(tiny_folder("helium"), ids)
        assert_close(read(model.reader, model.n_layers, ids), raw)
        assert (model.unembed(raw[-1]) - logits).abs().max() < 1e-5 * logits.abs().max()

    def test_asking_for_transformerlens_is_refused_with_the_cure(self, tiny_folder):
        with pytest.raises(ModelError, match="backend='huggingface'"):
            hooks.load(tiny_folder("helium"), backend="transformerlens", device="cpu")


class TestContracts:
    @pytest.mark.parametrize("tree", ["bulk", "reader"])
    def test_nothing_stays_on_the_model_after_an_exception(self, tiny_model, tree):
        model = tiny_model("llama")
        tree = getattr(model, tree)
        ids = model.encode(TEXT)
        before = read(tree, model.n_layers, ids)
        hooks_before = forward_hooks(model)

        def spoil(residual, _layer):
            return residual * float("nan")

        def fail(_residual, _layer):
            raise RuntimeError("from inside the pass")

        with pytest.raises(RuntimeError, match="inside the pass"), tree.hooked({0: spoil, 2: fail}):
            read(tree, model.n_layers, ids)
        assert forward_hooks(model) == hooks_before
        assert torch.equal(read(tree, model.n_layers, ids), before)

    @pytest.mark.parametrize("tree", ["bulk", "reader"])
    def test_nothing_runs_after_the_last_layer_needed(self, tiny_model, tree):
        model = tiny_model("llama")
        tree = getattr(model, tree)
        seen = []

        def note(_residual, layer):
            seen.append(layer)

        batch = pad([model.encode(TEXT)], frozenset())
        with torch.no_grad(), tree.hooked(dict.fromkeys(range(model.n_layers), note)):
            tree.run(batch.ids, batch.attention_mask, 1)
        assert seen == [0, 1]

    @pytest.mark.parametrize("tree", ["bulk", "reader"])
    @pytest.mark.parametrize("layer", [-1, 4])
    def test_a_layer_the_model_does_not_have_is_refused(self, tiny_model, tree, layer):
        model = tiny_model("llama")
        with (
            pytest.raises(InvalidInput, match="0 to 3"),
            getattr(model, tree).hooked({layer: lambda *_: None}),
        ):
            pass

    @pytest.mark.parametrize("architecture", [*ARCHITECTURES, "gemma4-multimodal"])
    def test_the_second_tree_holds_no_second_copy_of_the_weights(self, tiny_model, architecture):
        model = tiny_model(architecture)

        def storages(module):
            return {
                parameter.untyped_storage().data_ptr(): name
                for name, parameter in module.named_parameters(remove_duplicate=False)
            }

        plain, bridged = storages(model.hf), storages(model.hooked)
        assert plain.keys() <= bridged.keys()
        copied = {bridged[key] for key in bridged.keys() - plain.keys()}
        # TransformerLens itself cuts a fused projection into copies of its parts, and 3.9 adds an
        # unembedding bias of zeros.
        copied = {name for name in copied if not name.endswith("lm_head._original_component.bias")}
        assert all(architecture in ("gpt2", "phi3") and FUSED.search(name) for name in copied)
