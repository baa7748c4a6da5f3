"""llama.cpp itself, as the xllamacpp wheel brings it, driven through its C interface.

* `write_model` writes a Llama as a float32 GGUF without a tokenizer: token ids go in directly.
* `next_token_logits` runs this file in a process of its own, where a crash of the library is a
  failed test and not the end of the suite.

Structures are passed as opaque blobs that are larger than the library's own: it fills in its
defaults and reads back what it filled in, so that their layout need not be known here. The loader
of control vectors is C++ and takes its own structures, laid out as libstdc++ does on x86-64.
"""

import ctypes
import importlib.util
import json
import platform
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

LOADER = "_Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE"
"""`common_control_vector_load` of llama.cpp's ``common/common.h``, which reads the file."""
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def library() -> str | None:
    """Path of the library; None without the wheel, or where its layouts are not known."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        return None
    return next((str(path) for path in Path(spec.origin).parent.glob("xllamacpp*.so")), None)


def write_model(hf, path: Path) -> None:
    """Write a `LlamaForCausalLM` in float32."""
    config = hf.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_string("tokenizer.ggml.model", "none")
    tensors = {
        "token_embd.weight": hf.model.embed_tokens.weight,
        "output_norm.weight": hf.model.norm.weight,
        "output.weight": hf.lm_head.weight,
    }
    for index, block in enumerate(hf.model.layers):
        parts = dict(block.named_parameters())
        for ours, theirs in NAMES.items():
            tensors[f"blk.{index}.{theirs}.weight"] = parts[f"{ours}.weight"]
    for name, tensor in tensors.items():
        values = tensor.detach().float().numpy()
        if "attn_q" in name or "attn_k" in name:  # llama.cpp turns neighbors, not halves
            values = values.reshape(-1, 2, config.head_dim // 2, values.shape[1])
            values = values.swapaxes(1, 2).reshape(tuple(tensor.shape))
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def next_token_logits(
    model: Path, ids: list[int], vector: Path | None = None, strength: float = 1.0
) -> np.ndarray:
    """Logits after a prompt, [token], with a control vector's file added at a strength."""
    request = {
        "library": library(),
        "model": str(model),
        "ids": ids,
        "vector": None if vector is None else str(vector),
        "strength": strength,
    }
    ran = subprocess.run(
        [sys.executable, __file__, json.dumps(request)], capture_output=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr.decode(errors="replace")[-2000:]
    return np.frombuffer(ran.stdout, dtype=np.float32)


class Asked(ctypes.Structure):
    """llama.cpp's ``common_control_vector_load_info``.

    A ``std::string`` of the wheel's ABI, the one from before C++11, is a pointer to characters.
    """

    _fields_ = [("strength", ctypes.c_float), ("file", ctypes.c_char_p)]


class Several(ctypes.Structure):
    """A ``std::vector``."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("begin", "end", "room")]


class Loaded(ctypes.Structure):
    """llama.cpp's ``common_control_vector_data``; a width of -1 says that loading failed."""

    _fields_ = [("width", ctypes.c_int32), ("values", Several)]


def buffer(llama: ctypes.CDLL, path: str, strength: float) -> np.ndarray:
    """Load the file as the command line does: by llama.cpp's own loader, [block - 1, d_model].

    A function of C++: an object that it returns is written to where the first argument points.
    """
    load = getattr(llama, LOADER)
    load.restype, load.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p]
    asked = Asked(strength, path.encode())
    start = ctypes.addressof(asked)
    files = Several(start, start + ctypes.sizeof(asked), start + ctypes.sizeof(asked))
    loaded = Loaded()
    load(ctypes.byref(loaded), ctypes.byref(files))
    assert loaded.width > 0, "llama.cpp could not load the control vector"
    n_bytes = loaded.values.end - loaded.values.begin
    raw = ctypes.string_at(loaded.values.begin, n_bytes)
    return np.frombuffer(raw, dtype=np.float32).reshape(-1, loaded.width)


class Opaque(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint64 * 128)]


def main(request: dict) -> np.ndarray:
    """Load, steer, decode the prompt; the logits of its last position."""
    llama = ctypes.CDLL(request["library"])
    pointer, i32 = ctypes.c_void_p, ctypes.c_int32
    signatures = {
        "llama_log_set": (None, [pointer, pointer]),
        "llama_backend_init": (None, []),
        "llama_model_default_params": (Opaque, []),
        "llama_context_default_params": (Opaque, []),
        "llama_model_load_from_file": (pointer, [ctypes.c_char_p, Opaque]),
        "llama_init_from_model": (pointer, [pointer, Opaque]),
        "llama_model_get_vocab": (pointer, [pointer]),
        "llama_vocab_n_tokens": (i32, [pointer]),
        "llama_set_adapter_cvec": (i32, [pointer, pointer, ctypes.c_size_t, i32, i32, i32]),
        "llama_batch_get_one": (Opaque, [pointer, i32]),
        "llama_decode": (i32, [pointer, Opaque]),
        "llama_get_logits": (ctypes.POINTER(ctypes.c_float), [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, pointer)(lambda *_: None)
    llama.llama_log_set(ctypes.cast(quiet, pointer), None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(
        request["model"].encode(), llama.llama_model_default_params()
    )
    assert model, "llama.cpp could not load the model"
    context = llama.llama_init_from_model(model, llama.llama_context_default_params())
    assert context, "llama.cpp could not make a context"
    if request["vector"] is not None:
        data = np.ascontiguousarray(buffer(llama, request["vector"], request["strength"]))
        # As the command line does: all layers from 1 on.
        layers = (1, 1 << 16)
        refused = llama.llama_set_adapter_cvec(
            context, data.ctypes.data, data.size, data.shape[1], *layers
        )
        assert refused == 0, "llama.cpp refused the control vector"
    ids = np.array(request["ids"], dtype=np.int32)
    assert llama.llama_decode(context, llama.llama_batch_get_one(ids.ctypes.data, len(ids))) == 0
    n_tokens = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    return np.ctypeslib.as_array(llama.llama_get_logits(context), (n_tokens,))


if __name__ == "__main__":
    sys.stdout.buffer.write(main(json.loads(sys.argv[1])).tobytes())
    sys.stdout.buffer.flush()
    # The library's threads are still alive: leave without its destructors.
    import os

    os._exit(0)
