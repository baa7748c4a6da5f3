"""Tiny models and a tiny tokenizer, made offline in a second: random weights, real architectures.

`save_tiny_model(folder, "llama")` writes a model that `hooks.load(folder)` loads like any other.

* Weights are float32 and drawn from the seed; global random state is put back afterwards.
* Weights are large enough for attention, norms and biases to matter, so that a test can fail.
* Texts of 20 tokens reach beyond the sliding windows.
* The tokenizer is a byte-level BPE: every text can be written and read back.
"""

from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

Bos = Literal["template", "tokenizer", "none"]
"""Who writes the beginning-of-sequence token: the chat template too, only `encode`, or nobody."""

N_LAYERS = 4
N_POSITIONS = 512
ARCHITECTURES = ("gpt2", "llama", "qwen3", "gemma3", "gemma4", "mistral", "olmo2", "phi3")

_SPECIAL = ["<pad>", "<s>", "</s>", "<|start|>", "<|end|>"]
_SENTENCES = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "She ran down the hill laughing, her arms spread wide, and the valley lay in front of her.",
    "He opened the letter slowly. His hands were shaking and he could not read the first line.",
    "They waited at the station until the last train had gone, and nobody came.",
]
_TURNS = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def tiny_tokenizer(*, chat: bool = False, bos: Bos = "template") -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of 320 tokens on four sentences; `bos` says who writes the BOS."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=None if bos == "none" else "<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<|start|>", "<|end|>"],
    )
    if chat:
        tokenizer.chat_template = ("{{ bos_token }}" if bos == "template" else "") + _TURNS
    return tokenizer


_COMMON: dict[str, Any] = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "num_hidden_layers": N_LAYERS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": N_POSITIONS,
    "initializer_range": 0.2,
}
_SLIDING = {
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"] * (N_LAYERS // 2),
}
_FOR_VLLM = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32}
_GEMMA4 = {
    **_COMMON,
    **_SLIDING,
    "hidden_size_per_layer_input": 8,
    "per_layer_config": {"01": {"head_dim": 16}, "03": {"head_dim": 16}},
}
_KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {
            "bos_token_id": 1,
            "eos_token_id": 2,
            "n_layer": N_LAYERS,
            "n_embd": 32,
            "n_head": 4,
            "n_positions": N_POSITIONS,
            "initializer_range": 0.2,
        },
    ),
    "llama": ("LlamaConfig", "LlamaForCausalLM", _COMMON),
    # bitsandbytes packs 4-bit weights in blocks of 64 inputs where a CPU has AVX512-BF16.
    "wide llama": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {**_COMMON, "hidden_size": 64, "intermediate_size": 128, "head_dim": 16},
    ),
    # vLLM's attention on a CPU knows heads of 32 and more.
    "llama for vllm": ("LlamaConfig", "LlamaForCausalLM", {**_COMMON, **_FOR_VLLM}),
    "qwen3 for vllm": ("Qwen3Config", "Qwen3ForCausalLM", {**_COMMON, **_FOR_VLLM}),
    "gemma3 for vllm": (
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        {**_COMMON, **_SLIDING, **_FOR_VLLM, "query_pre_attn_scalar": 32},
    ),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**_COMMON, "tie_word_embeddings": True}),
    "gemma2": (
        "Gemma2Config",
        "Gemma2ForCausalLM",
        {**_COMMON, **_SLIDING, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        {**_COMMON, **_SLIDING, "query_pre_attn_scalar": 8},
    ),
    "gemma4": ("Gemma4TextConfig", "Gemma4ForCausalLM", _GEMMA4),
    "mistral": ("MistralConfig", "MistralForCausalLM", {**_COMMON, "sliding_window": 8}),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", _COMMON),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", _COMMON),
    "qwen3_5": (
        "Qwen3_5TextConfig",
        "Qwen3_5ForCausalLM",
        {
            **_COMMON,
            "layer_types": ["linear_attention", "full_attention"] * (N_LAYERS // 2),
            "linear_num_value_heads": 2,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    # TransformerLens 4.3 has no adapter for this one.
    "helium": ("HeliumConfig", "HeliumForCausalLM", _COMMON),
}


def tiny_model(architecture: str, *, seed: int = 0, d_vocab: int | None = None) -> Any:
    """Return a random float32 model; its vocabulary is the tiny tokenizer's.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`, or ``"wide llama"``, ``"gemma2"`` (soft cap on the logits),
        ``"llama for vllm"`` and two more of these,
        ``"qwen3_5"`` (every other layer is recurrent), ``"helium"`` (unknown to TransformerLens),
        ``"gemma4-multimodal"`` (a text model inside an image-and-text model).
    seed
        Decides the weights.
    d_vocab
        Size of the vocabulary; None takes the tiny tokenizer's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(architecture, d_vocab or len(tiny_tokenizer()))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:  # norm weights of one and biases of zero hide mistakes
                    parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def decoder_blocks(hf: Any) -> Any:
    """Return the decoder blocks under the names that these architectures give them."""
    if hasattr(hf, "transformer"):
        return hf.transformer.h
    return getattr(hf.model, "language_model", hf.model).layers


def _build(architecture: str, d_vocab: int) -> Any:
    if architecture == "gemma4-multimodal":
        text = _config("gemma4", d_vocab)
        config = transformers.Gemma4Config(text_config=text, vision_config=None, audio_config=None)
        return transformers.Gemma4ForConditionalGeneration(config)
    return getattr(transformers, _KINDS[architecture][1])(_config(architecture, d_vocab))


def _config(architecture: str, d_vocab: int) -> Any:
    config_class, _, settings = _KINDS[architecture]
    per_layer = {"vocab_size_per_layer_input": d_vocab} if architecture == "gemma4" else {}
    return getattr(transformers, config_class)(vocab_size=d_vocab, **settings, **per_layer)


def save_tiny_model(
    folder: str | Path,
    architecture: str,
    *,
    seed: int = 0,
    chat: bool = False,
    bos: Bos = "template",
) -> Path:
    """Write a tiny model and its tokenizer to `folder`, ready for ``hooks.load(folder)``."""
    folder = Path(folder)
    tokenizer = tiny_tokenizer(chat=chat, bos=bos)
    tiny_model(architecture, seed=seed, d_vocab=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
