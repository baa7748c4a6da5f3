"""Reading and writing units with a model that vLLM has loaded: the same files, another engine."""

import functools
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from hooks.errors import DataError
from hooks.generation.sampling import Generation, stop_ids
from hooks.models.precision import resolve_device, resolve_dtype
from hooks.reading.pooling import Pooled, PoolingRules
from hooks.tokens.encoding import Encoder, pad
from hooks.vllm.engine import Picked, Prompt, ReadText, VllmEngine, VllmOptions
from probes.config import Config, ModelSettings, VllmSettings, WriterSettings
from probes.runs.models import load
from probes.runs.reporting import Advance
from probes.stages.units import (
    ReadingUnit,
    TextKind,
    TokenWriter,
    about_reader,
    pooling_rules,
    weights_of,
)
from probes.storage import seed_of
from probes.vectors.activations import Shard, make_shard

if TYPE_CHECKING:
    from hooks import LanguageModel


class _Served:
    """A model of a config that vLLM loads when it is first needed, and ends with its owner.

    What is known of it besides (which weights, its size, its tokenizer) is read from its files, on
    the CPU, before vLLM takes the memory.
    """

    def __init__(self, settings: ModelSettings | WriterSettings, vllm: VllmSettings) -> None:
        self.engine_name = f"vllm {VllmOptions(vllm.python).version()}"
        device = resolve_device(settings.device)
        self.dtype = str(resolve_dtype(settings.dtype, device)).removeprefix("torch.")
        here = {"device": "cpu", "device_map": None, "dtype": self.dtype}
        self.model: LanguageModel | None = load(settings.model_copy(update=here), "huggingface")
        assert self.model.hf is not None  # asked for
        self._source = self.model.hf.config._name_or_path
        self._options = VllmOptions(
            dtype=self.dtype, revision=settings.revision, **vllm.model_dump()
        )
        self.loaded = {
            "device": device.type,
            "dtype": self.dtype,
            "quantize": self._options.quantization,
        }

    @functools.cached_property
    def engine(self) -> VllmEngine:
        """The engine; the weights on the CPU are let go."""
        self.model = None
        engine = VllmEngine(self._source, self._options)
        weakref.finalize(self, engine.close)
        return engine


class VllmReader:
    """Read units with the subject."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._served = served = _Served(config.model, config.vllm)
        assert served.model is not None  # until the engine is asked for
        self._encoder = Encoder(served.model.tokenizer)
        self._most_tokens = config.vllm.most_tokens(served.model.n_positions, n_new=1)
        self._about = about_reader(served.model)

    def about(self) -> dict[str, Any]:
        """See `workers.Job`; the version is vLLM's own."""
        name = self._served.engine_name
        hook_name = f"{name}, hidden state after block {{layer}}"
        return {**self._about, **self._served.loaded, "backend": name, "hook_name": hook_name}

    def do(self, unit: ReadingUnit, advance: Advance) -> Shard:
        """See `workers.Job`; the texts' shard."""
        rules = pooling_rules(self._encoder, unit.texts, unit.kind, self._config.activation)
        encoded = [self._encoder.encode(text.passage.whole) for text in unit.texts]
        self._check_lengths(unit, encoded)
        picked = [self._picked(ids, rules, row) for row, ids in enumerate(encoded)]
        read = self._served.engine.read(picked, advance)
        shape = list(unit.layers), self._about["d_model"]
        pooled = _pooled(picked, read, *shape, apart=rules.apart is not None)
        return make_shard(unit.texts, pooled, self._served.dtype)

    def _check_lengths(self, unit: ReadingUnit, encoded: Sequence[Sequence[int]]) -> None:
        longest = max(range(len(encoded)), key=lambda row: len(encoded[row]))
        text, n_tokens = unit.texts[longest], len(encoded[longest])
        if self._most_tokens is not None and n_tokens > self._most_tokens:
            raise DataError(
                f"text {text.index} of {text.emotion or 'neutral'}, {text.topic!r}: expected at "
                f"most {self._most_tokens} tokens, which vLLM reads, got {n_tokens}. Raise "
                "vllm.max_model_len, if the model takes more, or shorten the text."
            )

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


class VllmWriter(TokenWriter):
    """Write units with the writer, with vLLM's own draws."""

    def __init__(self, config: Config, kind: TextKind) -> None:
        self._served = served = _Served(config.writer_model, config.vllm)
        assert served.model is not None  # until the engine is asked for
        assert served.model.hf is not None  # asked for
        super().__init__(config, kind, served.model)
        self._about = {**weights_of(served.model), **served.loaded}
        self._ends = stop_ids(served.model.hf, served.model.tokenizer)

    def about(self) -> dict[str, Any]:
        """See `workers.Job`; the version is vLLM's own."""
        return {**self._about, "engine": self._served.engine_name}

    def _generate(
        self,
        prompts: Sequence[list[int]],
        seed: int,
        suppress: Sequence[frozenset[int]],
        advance: Advance,
    ) -> Sequence[Generation]:
        drawn = {key: self.sampling[key] for key in ("temperature", "top_p", "top_k")}
        drawn |= {"max_tokens": self.sampling["max_new_tokens"]}
        drawn |= {"stop_token_ids": sorted(self._ends)}
        asked = [
            Prompt(ids, {**drawn, "seed": seed_of(seed, row)}, sorted(banned))
            for row, (ids, banned) in enumerate(zip(prompts, suppress, strict=True))
        ]
        written = self._served.engine.generate(asked, lambda tokens: advance(0, tokens))
        made = []
        for one in written:
            ends = one.finished and one.ids[-1] in self._ends
            tokens = one.ids[:-1] if ends else one.ids
            text = self._tokenizer.decode(tokens, skip_special_tokens=True)
            made.append(Generation(text, tokens, one.finished))
        return made
