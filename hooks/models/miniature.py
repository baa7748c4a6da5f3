"""Tiny random models of the causal architectures that transformers knows: what can be tried out.

1. An architecture's own config class, with every size that it names made small (`_SIZES`), parts
   for pictures and sound too; what only makes sense together is in `_FIXES`.
2. Counted on the meta device first: one that stays large is refused.
3. Weights are drawn from the seed, in float32, large enough for every part to matter; global random
   state is put back.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hooks.errors import ModelError

_N_VOCAB = 320
_MOST_PARAMETERS = 20_000_000
_SCALE = 0.1
"""Standard deviation of what is added to every weight."""

_SIZES: tuple[tuple[int, str], ...] = (
    (_N_VOCAB, "vocab_size vocab_size_per_layer_input unpadded_vocab_size"),
    (
        64,
        "hidden_size d_model n_embd emb_dim embedding_size word_embed_proj_dim "
        "input_embedding_size output_embedding_size",
    ),
    (
        4,
        "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers "
        "num_decoder_layers num_encoder_layers",
    ),
    (
        4,
        "num_attention_heads n_head n_heads num_heads attention_heads decoder_attention_heads "
        "encoder_attention_heads num_decoder_attention_heads num_encoder_attention_heads "
        "swa_num_attention_heads index_n_heads linear_num_value_heads linear_num_heads",
    ),
    (2, "num_key_value_heads swa_num_key_value_heads linear_num_key_heads"),
    (4, "num_experts n_routed_experts num_local_experts moe_num_experts zero_expert_num"),
    (2, "num_experts_per_tok moe_k moe_topk"),
    (1, "n_group topk_group n_groups mamba_n_groups"),
    (8, "mamba_n_heads"),
    (128, "mamba_d_ssm"),
    (
        16,
        "head_dim swa_head_dim v_head_dim index_head_dim linear_key_head_dim linear_value_head_dim "
        "linear_head_dim kv_lora_rank q_lora_rank o_lora_rank kv_channels dim_head "
        "attention_head_size",
    ),
    (
        8,
        "qk_rope_head_dim qk_nope_head_dim rotary_dim hidden_size_per_layer_input mamba_d_state "
        "state_size ssm_state_size",
    ),
    (
        96,
        "intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim ffn_hidden_size dim_ff dff "
        "d_inner moe_intermediate_size shared_expert_intermediate_size feed_forward_size "
        "shared_intermediate_size expert_ffn_hidden_size intermediate_size_mlp "
        "dense_intermediate_size shared_experts_intermediate_size",
    ),
    (512, "max_position_embeddings n_positions n_ctx max_seq_len context_length"),
    (
        16,
        "sliding_window sliding_window_size window_size attention_window_size local_attention "
        "local_attention_window_len attention_chunk_size chunk_size mamba_chunk_size rel_extent",
    ),
)
_SIZE_OF = {name: size for size, names in _SIZES for name in names.split()}
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
_KINDS = ["sliding_attention", "full_attention"]
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_ALTERNATING = {"layer_types": _KINDS * 2}
_FIXES: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"layer_group_size": 2},
    "bamba": {"attn_layer_indices": [1, 3]},
    "cohere_compass_text": {**_ALTERNATING, "rope_parameters": dict.fromkeys(_KINDS, _ROPE)},
    "dbrx": {"attn_config": {"rope_theta": 10_000.0, "clip_qkv": 8.0}},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "dots3_note_text": {
        **{"head_dim": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8},
        **{"layer_types": ["indexed_attention"] * 4},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {"head_dim": 8},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 16},
    "nemotron": {"head_dim": 16, "num_key_value_heads": 2},
    "qwen4_exp_text": {
        **{"indexer_n_heads": 2, "indexer_kv_heads": 1},
        **{"indexer_head_dim": 16, "indexer_budget": 16, "indexer_compress_ratio": 4},
    },
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "lsh"] * 2},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}


def architectures() -> list[str]:
    """Return the names (`model_type`) of all causal architectures, in transformers' order."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def tiny_model(kind: str, *, seed: int = 0) -> nn.Module:
    """Return a tiny random model of an architecture; ModelError where its config allows none."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        config = _tiny_config(CONFIG_MAPPING[kind], _FIXES.get(kind, {}))
        with torch.device("meta"):
            empty: Any = AutoModelForCausalLM.from_config(config)
        count = sum(parameter.numel() for parameter in empty.parameters())
        if count > _MOST_PARAMETERS:
            raise ValueError(f"its config does not shrink: {count:,} parameters")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += _SCALE * torch.randn_like(parameter)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"no tiny {kind} can be built: {reason}") from error
    return model.eval().requires_grad_(False)


def _tiny_config(kind: Any, fixes: dict[str, Any]) -> Any:
    """Return a config with every size it names made small; parts have configs of their own."""
    known = {field.name: field.default for field in dataclasses.fields(kind)}
    sizes = {name: size for name, size in _SIZE_OF.items() if known.get(name) is not None}
    ids = {name: number for name, number in _IDS.items() if name in known}
    if known.keys() >= {"kv_lora_rank", "num_key_value_heads"}:
        # Keys and values are made for every head.
        sizes["num_key_value_heads"] = _SIZE_OF["num_attention_heads"]
    switches = {"is_decoder": True} if "is_decoder" in known else {}
    whole = kind() if getattr(kind, "sub_configs", {}) else None
    parts = {
        name: _tiny_config(type(part), fixes.get(name, {}))
        for name in getattr(kind, "sub_configs", {})
        if (part := getattr(whole, name, None)) is not None
    }
    return kind(**{**sizes, **ids, **switches, **fixes, **parts})


def tiny_tokenizer(sentences: Sequence[str]) -> Any:
    """Train a byte-level tokenizer on some sentences; it puts a BOS before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_N_VOCAB,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(sentences, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
