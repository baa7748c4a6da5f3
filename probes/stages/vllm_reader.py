"""Reading units with a subject that vLLM has loaded: the same shards, by another engine."""

import weakref
from collections.abc import Sequence
from typing import Any

import torch

from hooks.models.precision import resolve_device, resolve_dtype
from hooks.reading.pooling import Pooled, PoolingRules
from hooks.tokens.encoding import Encoder, pad
from hooks.vllm.engine import Picked, ReadText, VllmEngine, VllmOptions
from probes.config import Config
from probes.runs.models import load_subject
from probes.runs.reporting import Advance
from probes.stages.units import ReadingUnit, about_reader, pooling_rules
from probes.vectors.activations import Shard, make_shard


class VllmReader:
    """Read units with vLLM.

    What is known of the subject besides (which weights, its size, its tokenizer) is read from its
    files, on the CPU, before vLLM takes the memory.
    """

    def __init__(self, config: Config) -> None:
        settings, self._config = config.model, config
        self._name = f"vllm {VllmOptions(config.vllm.python).version()}"
        on_cpu = settings.model_copy(update={"device": "cpu", "device_map": None, "quantize": None})
        device = resolve_device(settings.device)
        dtype = str(resolve_dtype(settings.dtype, device)).removeprefix("torch.")
        model = load_subject(on_cpu.model_copy(update={"dtype": dtype, "backend": "huggingface"}))
        self._encoder = Encoder(model.tokenizer)
        self._about = {**about_reader(model), "device": device.type, "dtype": dtype}
        assert model.hf is not None  # asked for
        self._source = model.hf.config._name_or_path
        del model
        self._settings = VllmOptions(
            dtype=dtype, revision=settings.revision, **config.vllm.model_dump()
        )
        self._engine: VllmEngine | None = None

    def about(self) -> dict[str, Any]:
        """See `cluster.Job`; the version is vLLM's own."""
        return {
            **self._about,
            "backend": self._name,
            "quantize": self._settings.quantization,
            "hook_name": f"{self._name}, hidden state after block {{layer}}",
        }

    def do(self, unit: ReadingUnit, advance: Advance) -> Shard:
        """See `workers.Job`; the texts' shard."""
        rules = pooling_rules(self._encoder, unit.texts, unit.kind, self._config.activation)
        encoded = [self._encoder.encode(text.passage.whole) for text in unit.texts]
        picked = [self._picked(ids, rules, row) for row, ids in enumerate(encoded)]
        if self._engine is None:
            self._engine = VllmEngine(self._source, self._settings)
            weakref.finalize(self, self._engine.close)
        read = self._engine.read(picked, advance)
        shape = list(unit.layers), self._about["d_model"]
        pooled = _pooled(picked, read, *shape, apart=rules.apart is not None)
        return make_shard(unit.texts, pooled, self._settings.dtype)

    def _picked(self, ids: list[int], rules: PoolingRules, row: int) -> Picked:
        content = pad([ids], self._encoder.special_ids).content
        masks = rules.masks(content, [row], 0)
        places = {name: mask[0].nonzero()[:, 0].tolist() for name, mask in masks.items()}
        return Picked(ids, **places)


def _pooled(
    picked: Sequence[Picked],
    read: Sequence[ReadText],
    layers: list[int],
    d_model: int,
    *,
    apart: bool,
) -> Pooled:
    """Put what was read of single texts together; NaN where a text had no token."""
    nothing = torch.full((len(layers), d_model), torch.nan)

    def stacked(parts: Sequence[torch.Tensor | None]) -> torch.Tensor:
        return torch.stack([nothing if part is None else part[layers] for part in parts])

    def counted(parts: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([len(part) for part in parts])

    norms = [nothing[:, 0] if text.norm is None else text.norm[layers] for text in read]
    kept = [text.keep[:, layers] for text in read if text.keep is not None]
    n_kept = counted([text.keep for text in picked])
    return Pooled(
        stacked([text.mean for text in read]),
        counted([text.mean for text in picked]),
        torch.stack(norms),
        torch.cat([torch.zeros(0, len(layers), d_model), *kept]),
        torch.arange(len(picked)).repeat_interleave(n_kept),
        stacked([text.apart for text in read]) if apart else None,
        counted([text.apart for text in picked]) if apart else None,
    )
