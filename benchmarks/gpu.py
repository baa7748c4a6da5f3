"""Reading, writing and steering at the shapes of large models, on whatever device is there.

Weights are random and made on the device, so that nothing is fetched; times do not depend on them.
Needs torch, transformers, safetensors, einops and jaxtyping, and no other package besides them.
What no time is left for is not measured, and says so.
"""

import contextlib
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import hooks
from benchmarks import roofline
from benchmarks.measure import say, seconds
from benchmarks.recipes import all_hidden_states
from benchmarks.tables import table
from hooks.memory import limit as memory_limit
from hooks.models.miniature import tiny_tokenizer
from hooks.reading.compilation import compiled
from hooks.tokens.encoding import pad

_GEMMA3 = {"vocab_size": 262_208, "sliding_window": 1024, "max_position_embeddings": 8192}
SHAPES: dict[str, dict[str, Any]] = {
    "4B": {
        **_GEMMA3,
        **{"hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34},
        **{"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256},
    },
    "27B": {
        **_GEMMA3,
        **{"hidden_size": 5376, "intermediate_size": 21_504, "num_hidden_layers": 62},
        **{"num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128},
        "query_pre_attn_scalar": 168,
    },
    "tiny": {
        **{"vocab_size": 512, "sliding_window": 16, "max_position_embeddings": 512},
        **{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16},
    },
}
"""Gemma-3's at 4B and 27B, as its configs say, and one for a CPU."""
GOAL = 0.5
"""Share of the roofline that reading is meant to reach at 4B."""
_TRIES = 3
_SEED = 0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    shapes: tuple[str, ...]
    n_texts: int
    n_alone: int
    batches: tuple[int, ...]
    """Padded tokens of a pass."""
    rows: tuple[int, ...]
    """Texts written at once."""
    new_tokens: int
    lengths: tuple[int, int]
    seconds: float
    """Of the whole."""
    roof_rows: tuple[int, ...]


WHOLE = Size(
    ("4B", "27B"),
    256,
    16,
    (4096, 16_384, 65_536),
    (1, 32, 256),
    32,
    (120, 260),
    330.0,
    (4096, 16_384),
)
QUICK = Size(("tiny",), 16, 4, (256, 1024), (1, 4), 4, (10, 60), 300.0, (256,))


@dataclass
class Measured:
    """What one shape gave."""

    shape: str
    device: str
    dtype: str
    n_parameters: int
    n_layers: int
    d_model: int
    flops_per_token: float
    tokens_per_second: float
    """That the blocks' matrix products alone would allow."""
    reading: dict[str, float] = field(default_factory=dict)
    """Tokens per second, by recipe."""
    peaks: dict[str, float] = field(default_factory=dict)
    """Gigabytes of the device, at most, by recipe."""
    writing: dict[str, float] = field(default_factory=dict)
    """New tokens per second, by recipe."""
    steering: dict[str, float] = field(default_factory=dict)
    """Time beside the same without."""
    agreement: dict[str, float] = field(default_factory=dict)
    """Largest difference from float32 on the CPU, relative to the largest entry."""
    not_measured: list[str] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Share of the roofline that reading reaches at its best batch."""
        own = [rate for name, rate in self.reading.items() if name.startswith("ours")]
        return max(own) / self.tokens_per_second if own else None


class _Clock:
    """Time that is left; whoever asks for more is told so."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _peak() -> float:
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


@contextlib.contextmanager
def _fresh_peak() -> Iterator[None]:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield


def build(
    shape: str, device: torch.device, dtype: torch.dtype, *, n_layers: int | None = None
) -> hooks.LanguageModel:
    """Make a random model of a shape on a device; with fewer layers where asked."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    settings = {**SHAPES[shape], **({"num_hidden_layers": n_layers} if n_layers else {})}
    config = Gemma3TextConfig(**settings, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(_SEED)
        with device:
            hf = Gemma3ForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    hf.generation_config.eos_token_id = None  # everything is written to its length
    return hooks.load(
        hf.eval().requires_grad_(False), tokenizer=tiny_tokenizer(["a b"]), backend="huggingface"
    )


def _texts(n_texts: int, lengths: tuple[int, int], d_vocab: int) -> list[list[int]]:
    draw = torch.Generator().manual_seed(_SEED)
    sizes = torch.randint(*lengths, (n_texts,), generator=draw).tolist()
    return [[1, *torch.randint(10, d_vocab, (size,), generator=draw).tolist()] for size in sizes]


def _read(model: hooks.LanguageModel, numbers: Measured, size: Size, clock: _Clock) -> None:
    texts = _texts(size.n_texts, size.lengths, model.d_vocab)
    few = texts[: size.n_alone]
    recipes: dict[str, tuple[list[list[int]], Callable[[list[list[int]]], Any]]] = {
        f"ours, {batch:,} tokens a pass": (
            texts,
            lambda some, batch=batch: hooks.pooled_resid_post(model, some, batch_tokens=batch),
        )
        for batch in size.batches
    }
    recipes["ours, one at a time"] = (
        few,
        lambda some: hooks.pooled_resid_post(model, some, batch_tokens=1),
    )
    recipes["output_hidden_states, batches of 8"] = (
        few,
        lambda some: all_hidden_states(model, some),
    )
    for name, (some, read) in recipes.items():
        if clock.left() < 0:
            numbers.not_measured.append(name)
            continue
        say(f"{numbers.shape}: reading, {name}")
        with _fresh_peak(), torch.inference_mode():
            read(some[: max(2, len(some) // 8)])
            taken = seconds(lambda read=read, some=some: read(some))
        numbers.reading[name] = sum(map(len, some)) / taken
        numbers.peaks[name] = _peak()


def _read_compiled(
    model: hooks.LanguageModel, numbers: Measured, size: Size, clock: _Clock
) -> None:
    if clock.left() < 60:
        numbers.not_measured.append("ours, compiled")
        return
    texts = _texts(size.n_texts, size.lengths, model.d_vocab)
    batch = size.batches[-2]
    say(f"{numbers.shape}: reading, compiled")
    with compiled(model):
        hooks.pooled_resid_post(model, texts, batch_tokens=batch)
        taken = seconds(lambda: hooks.pooled_resid_post(model, texts, batch_tokens=batch))
    numbers.reading[f"ours, {batch:,} tokens a pass, compiled"] = sum(map(len, texts)) / taken


def _read_in_4bit(model: hooks.LanguageModel, numbers: Measured, size: Size, clock: _Clock) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        numbers.not_measured.append("ours, 4 bits (there is no bitsandbytes)")
        return
    if clock.left() < 0:
        numbers.not_measured.append("ours, 4 bits")
        return
    say(f"{numbers.shape}: reading, 4 bits")
    texts = _texts(size.n_texts, size.lengths, model.d_vocab)
    batch = size.batches[-2]
    small = in_4bit(model)
    with _fresh_peak():
        hooks.pooled_resid_post(small, texts[: max(2, len(texts) // 8)], batch_tokens=batch)
        taken = seconds(lambda: hooks.pooled_resid_post(small, texts, batch_tokens=batch))
    name = f"ours, {batch:,} tokens a pass, 4 bits"
    numbers.reading[name] = sum(map(len, texts)) / taken
    numbers.peaks[name] = _peak()


def in_4bit(model: hooks.LanguageModel) -> hooks.LanguageModel:
    """Turn a model's blocks into NF4 where they are; the model given is not to be used again."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    assert model.hf is not None
    for module in list(model.hf.get_decoder().layers.modules()):
        for name, linear in list(module.named_children()):
            if not isinstance(linear, torch.nn.Linear):
                continue
            device, dtype = linear.weight.device, linear.weight.dtype
            made = Linear4bit(
                linear.in_features,
                linear.out_features,
                bias=False,
                compute_dtype=dtype,
                quant_type="nf4",
                device="meta",
            )
            made.weight = Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
            setattr(module, name, made.to(device))
    return hooks.load(model.hf, tokenizer=model.tokenizer, backend="huggingface")


def _write(model: hooks.LanguageModel, numbers: Measured, size: Size, clock: _Clock) -> None:
    for rows in size.rows:
        if clock.left() < 0:
            numbers.not_measured.append(f"writing {rows} texts")
            continue
        say(f"{numbers.shape}: writing {rows}")
        prompts = _texts(rows, size.lengths, model.d_vocab)
        batch = pad(prompts, model.special_ids, side="left")
        peer = {
            "input_ids": batch.ids.to(model.device),
            "attention_mask": batch.attention_mask.to(model.device),
            "max_new_tokens": size.new_tokens,
            "do_sample": False,
        }
        ours = {"max_new_tokens": size.new_tokens, "temperature": 0.0}
        with torch.inference_mode():
            model.generate(prompts, max_new_tokens=2, temperature=0.0)
            mine = seconds(lambda p=prompts, o=ours: model.generate(p, **o))
            theirs = seconds(lambda p=peer: model.hf.generate(**p))
        numbers.writing[f"ours, {rows}"] = rows * size.new_tokens / mine
        numbers.writing[f"transformers generate, {rows}"] = rows * size.new_tokens / theirs


def _steer(model: hooks.LanguageModel, numbers: Measured, size: Size) -> None:
    say(f"{numbers.shape}: steering")
    prompts = _texts(size.rows[-2], size.lengths, model.d_vocab)
    vector = torch.randn(model.d_model)
    how = {"max_new_tokens": size.new_tokens, "temperature": 0.0}
    read = lambda: hooks.pooled_resid_post(model, prompts)  # noqa: E731
    write = lambda: model.generate(prompts, **how)  # noqa: E731
    for name, job in (("reading", read), ("writing", write)):
        plain, steered = [], []
        for _ in range(_TRIES):
            plain.append(seconds(job))
            with hooks.steer(model, vector, layers=[model.n_layers // 2], strength=1.0):
                steered.append(seconds(job))
        numbers.steering[name] = statistics.median(steered) / statistics.median(plain)


def _agree(shape: str, numbers: Measured, size: Size) -> None:
    """Compare this device with float32 on the CPU, at this width and two layers."""
    say(f"{shape}: against float32 on the CPU")
    reference = build(shape, torch.device("cpu"), torch.float32, n_layers=2)
    texts = _texts(4, size.lengths, reference.d_vocab)
    expected = hooks.pooled_resid_post(reference, texts).mean
    for dtype in (torch.float32, torch.bfloat16):
        hf = build(shape, _device(), dtype, n_layers=2).hf
        hf.load_state_dict(reference.hf.state_dict())
        model = hooks.load(hf, tokenizer=reference.tokenizer, backend="huggingface")
        got = hooks.pooled_resid_post(model, texts).mean
        difference = float((got - expected).abs().max() / expected.abs().max())
        numbers.agreement[str(dtype).removeprefix("torch.")] = difference
        if torch.cuda.is_available() and dtype == torch.float32:
            numbers.agreement["halved after running out of memory"] = _halved(
                model, texts, expected
            )
        del model, hf


def _halved(model: hooks.LanguageModel, texts: list[list[int]], expected: torch.Tensor) -> float:
    """Read with too little memory for one pass; what comes has to be the same."""
    many = texts * 64
    used = torch.cuda.memory_allocated() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, used + 0.005))
    try:
        got = hooks.pooled_resid_post(model, many, batch_tokens=10**7).mean
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    if memory_limit(model, "reading") is None:
        raise RuntimeError("memory did not run out: nothing was halved")
    whole = expected.repeat(64, 1, 1)
    return float((got - whole).abs().max() / whole.abs().max())


def measure(size: Size, precision: torch.dtype | None = None) -> list[Measured]:
    """Measure every shape; the last ones may be cut short by the time."""
    device, clock = _device(), _Clock(size.seconds)
    dtype = precision or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    everything = []
    for shape in size.shapes:
        if clock.left() < 0:
            say(f"{shape}: no time left")
            continue
        say(f"{shape}: making weights")
        model = build(shape, device, dtype)
        count = sum(parameter.numel() for parameter in model.hf.parameters())
        roof = roofline.of_blocks(model, size.roof_rows)
        name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        where = (shape, name, str(dtype).removeprefix("torch."), count, model.n_layers)
        numbers = Measured(*where, model.d_model, **roof)
        everything.append(numbers)
        _read(model, numbers, size, clock)
        _write(model, numbers, size, clock)
        if shape == size.shapes[0]:
            _steer(model, numbers, size)
            _read_compiled(model, numbers, size, clock)
        _read_in_4bit(model, numbers, size, clock)
        del model
        with _fresh_peak():
            if shape == size.shapes[0]:
                _agree(shape, numbers, size)
    return everything


def write_json(everything: Sequence[Measured], path: Path) -> None:
    """Write down everything that was measured."""
    listed = [{**asdict(numbers), "share_of_roofline": numbers.share} for numbers in everything]
    path.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def ratios(everything: Sequence[Measured]) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how much, how much was meant."""
    lines = []
    for numbers in everything:
        goal = f"{GOAL:.0%}" if numbers.shape == "4B" else ""
        share = "not measured" if numbers.share is None else f"{numbers.share:.0%}"
        lines.append((f"reading, {numbers.shape}: ours / roofline", share, goal))
        for name, rate in numbers.writing.items():
            peer = numbers.writing.get(name.replace("ours", "transformers generate"))
            if name.startswith("ours") and peer:
                rows = name.removeprefix("ours, ")
                what = f"writing {rows}, {numbers.shape}: ours / transformers generate"
                lines.append((what, f"{rate / peer:.2f}x", "1x"))
        for name, ratio in numbers.steering.items():
            lines.append((f"steered {name}, {numbers.shape}: time / plain", f"{ratio:.2f}x", ""))
    return lines


def section(everything: Sequence[Measured]) -> str:
    """Return the tables."""
    parts = []
    for numbers in everything:
        rows = [
            (
                name,
                f"{rate:,.0f}",
                f"{rate / numbers.tokens_per_second:.0%}",
                f"{numbers.peaks.get(name, 0):.1f}",
            )
            for name, rate in numbers.reading.items()
        ]
        read = table(("reading", "tokens/s", "of the roofline", "GB of the device"), rows)
        wrote = table(
            ("writing", "new tokens/s"),
            [(name, f"{rate:,.0f}") for name, rate in numbers.writing.items()],
        )
        agreed = table(
            ("beside float32 on the CPU, two layers", "largest relative difference"),
            [(name, f"{value:.1e}") for name, value in numbers.agreement.items()],
        )
        missing = (
            f"\n\nNot measured: {', '.join(numbers.not_measured)}." if numbers.not_measured else ""
        )
        parts.append(
            f"""## {numbers.shape} on {numbers.device}

{numbers.n_parameters / 1e9:.2f}B random parameters, {numbers.n_layers} layers, d_model \
{numbers.d_model}, {numbers.dtype}; roofline {numbers.tokens_per_second:,.0f} tokens/s of \
{numbers.flops_per_token / 1e9:.2f} GFLOP.

{read}

{wrote}

{agreed if numbers.agreement else ""}{missing}"""
        )
    return "\n\n".join(parts)
