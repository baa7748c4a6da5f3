"""What runs in vLLM's own workers, and needs nothing else of this project.

`StreamLens` is what vLLM calls a worker extension. Importing it hangs hooks on the decoder blocks
of every model that a worker loads. In each pass they average the stream over the tokens that a
request names, in float32, score tokens, and add to the stream what a request asks for: one pass may
hold texts that are read, texts that are steered and texts of which nothing is asked.

A request asks in the ``extra_args`` of its sampling parameters, under ``emotion_lens``, for one or
more of these; a server takes it as a string of JSON in ``vllm_xargs``:

* ``{"steer": [{"vector": name, "strength": 1.0, "positions": "all"}]}`` (or ``"generated"``);
* ``{"score": [name, ...]}``: the cosine of every token that is read with some vectors, a line of
  JSON for each pass in the file of scores, if there is one;
* ``{"read": {"file": ..., "mean": [...], "apart": [...], "keep": [...]}}`` with places of tokens:
  averages, written to one folder only, if there is one.

Vectors are safetensors files of a folder, named as their metadata say (``emotion``) or as the file:
``resid_post.L`` is what strength 1 adds after block L, and ``center.L`` what is subtracted before a
cosine. `emotion-probes export --to=vllm` writes them.

Every rank of a tensor-parallel group holds the whole stream, so that its first one answers; with
pipeline parallelism each stage writes a file about its own layers.
"""

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

KEY = "emotion_lens"
VECTORS, AVERAGES = "EMOTION_LENS_VECTORS", "EMOTION_LENS_AVERAGES"
SCORES = "EMOTION_LENS_SCORES"
"""Environment variables: the folder of vectors, that of averages, and the file of scores."""
_PARTS = ("mean", "apart", "keep")
_POSITIONS = ("all", "generated")


class StreamLens:
    """The worker extension; what it does is done by its import."""

    def emotion_lens_vectors(self, folder: str) -> int:
        """Load a folder of vectors; returns how many there are."""
        lens = _lens_of(self.model_runner)
        lens.load(folder)
        return len(lens.vectors)


@dataclass
class _Reading:
    """What has been read of one text: layer by layer, pass by pass."""

    sums: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)
    norms: dict[int, torch.Tensor] = field(default_factory=dict)
    singles: dict[int, list[torch.Tensor]] = field(default_factory=dict)
    n_seen: int = 0


@dataclass
class _Part:
    """Rows of a pass that are read for one purpose, and whose they are."""

    rows: torch.Tensor
    owner: torch.Tensor
    requests: list[str]


@dataclass
class _Scored:
    """Rows of a pass whose cosines are wanted, and which tokens of which text they are."""

    rows: torch.Tensor
    first: int
    request: str
    names: list[str]


class _PassLens:
    """Reads and steers the passes of one model runner."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.vectors: _Vectors = {}
        self._readings: dict[str, _Reading] = {}
        self._asked: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, _Part] = {}
        self._added: list[tuple[torch.Tensor, dict[str, Any]]] = []
        self._scored: list[_Scored] = []
        self._lines: list[dict[str, Any]] = []
        self._is_pass = False
        self._d_model = runner.model_config.get_hidden_size()
        if path := os.environ.get(VECTORS):
            self.load(path)
        for layer, block in _blocks(runner):
            block.register_forward_hook(self._hook(layer))

    def load(self, folder: str) -> None:
        """Take the vectors of a folder; ValueError where they are another model's."""
        vectors = _load_vectors(folder)
        for name, vector in vectors.items():
            sizes = {len(it) for it in (*vector.added.values(), *vector.center.values())}
            if sizes != {self._d_model}:
                raise ValueError(
                    f"{folder}: expected vectors of {self._d_model} numbers, which is the width of "
                    f"this model, got {sorted(sizes)} of {name!r}"
                )
        self.vectors = vectors

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Read and steer the pass that is made meanwhile: it is no rehearsal."""
        self._is_pass, self._begun = True, False
        try:
            yield
        finally:
            self._is_pass = False
        self._end()

    def _hook(self, layer: int) -> Callable[..., Any]:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            if not self._is_pass:
                return None
            if not self._begun:
                self._begin()
            return self._at(layer, output)

        return hook

    def _understand(self, request: str) -> dict[str, Any]:
        """Return what a request asks for; what cannot be done is logged, for an error ends vLLM."""
        sampling = self._runner.requests[request].sampling_params
        asked = ((sampling and sampling.extra_args) or {}).get(KEY) or {}
        try:
            asked = json.loads(asked) if isinstance(asked, str) else asked
            wanted = list(map(_checked_steer, asked.get("steer") or ()))
            steer = [it for it in wanted if it["vector"] in self.vectors]
            scored = list(asked.get("score") or ())
            score = [name for name in scored if name in self.vectors]
            if len(steer) < len(wanted) or len(score) < len(scored):
                _log(f"{request}: no such vector; there are {sorted(self.vectors)}")
            if score and not os.environ.get(SCORES):
                _log(
                    f"{request}: scores are written to the file that {SCORES} names, which is none"
                )
                score = []
            read, folder = asked.get("read"), os.environ.get(AVERAGES)
            if read and (folder is None or Path(read["file"]).parent != Path(folder)):
                _log(f"{request}: averages are written to {AVERAGES} alone, which is {folder}")
                read = None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log(f"{request}: expected {KEY} as JSON, got {asked!r}: {error}")
            return {}
        return {"read": read, "steer": steer, "score": score}

    def _begin(self) -> None:
        """Find which rows of this pass are whose tokens."""
        self._begun = True
        runner, batch = self._runner, self._runner.input_batch
        parts: dict[str, list[tuple[int, int, str]]] = {part: [] for part in _PARTS}
        known = self._asked  # of the pass before
        self._asked = {
            it: known[it] if it in known else self._understand(it) for it in batch.req_ids
        }
        self._added, self._finished, self._scored = [], [], []
        for number, request in enumerate(batch.req_ids):
            first, stop = (int(it) for it in runner.query_start_loc.np[number : number + 2])
            begin = int(batch.num_computed_tokens_cpu[number])
            n_prompt = int(batch.num_prompt_tokens[number])
            end = begin + stop - first
            asked = self._asked[request]
            if (read := asked.get("read")) and begin < n_prompt:
                reading = self._readings.setdefault(request, _Reading())
                for part in _PARTS:
                    here = [place for place in read.get(part) or () if begin <= place < end]
                    reading.n_seen += len(here)
                    parts[part] += [(first + place - begin, number, request) for place in here]
                if end >= n_prompt:
                    self._finished.append((request, read))
            if names := asked.get("score"):
                rows = torch.arange(first, stop, device=runner.device)
                self._scored.append(_Scored(rows, begin, request, names))
            for steer in asked.get("steer") or ():
                rows = torch.arange(first, stop)
                if steer["positions"] == "generated":
                    rows = rows[n_prompt - begin :] if begin < n_prompt else rows
                self._added.append((rows.to(runner.device), steer))
        self._parts = {part: _part(rows, runner.device) for part, rows in parts.items() if rows}

    @torch.no_grad()
    def _at(self, layer: int, output: Any) -> Any:
        several = isinstance(output, tuple)
        # A block gives its stream, or what it adds and what came before.
        has_rest = several and len(output) > 1 and isinstance(output[1], torch.Tensor)
        added = [
            (rows, steer["strength"] * self.vectors[steer["vector"]].added[layer])
            for rows, steer in self._added
            if len(rows) and layer in self.vectors[steer["vector"]].added
        ]
        if added:
            own = output[0].clone() if several else output.clone()
            for rows, vector in added:
                own[rows] = (own[rows].float() + vector.to(own.device)).to(own.dtype)
            output = (own, *output[1:]) if several else own

        def stream(rows: torch.Tensor) -> torch.Tensor:
            own = (output[0] if several else output)[rows].float()
            return own + output[1][rows].float() if has_rest else own

        for name, part in self._parts.items():
            self._keep(name, part, layer, stream(part.rows))
        for scored in self._scored:
            self._score(scored, layer, stream(scored.rows))
        return output if added else None

    def _score(self, scored: _Scored, layer: int, stream: torch.Tensor) -> None:
        """Take the cosines of a text's tokens with the vectors that this layer has."""
        cosines = {
            name: torch.nn.functional.cosine_similarity(
                stream - vector.center[layer].to(stream.device),
                vector.added[layer].to(stream.device),
                dim=-1,
            ).tolist()
            for name in scored.names
            if layer in (vector := self.vectors[name]).center
        }
        if cosines:
            about = {"request": scored.request, "layer": layer, "first": scored.first}
            self._lines.append({**about, "cosines": cosines})

    def _keep(self, name: str, part: _Part, layer: int, stream: torch.Tensor) -> None:
        if name == "keep":
            for number, request in enumerate(part.requests):
                rows = stream[part.owner == number]
                self._readings[request].singles.setdefault(layer, []).append(rows)
            return
        n_texts = len(part.requests)
        sums = stream.new_zeros(n_texts, stream.shape[1]).index_add_(0, part.owner, stream)
        norms = stream.new_zeros(n_texts).index_add_(0, part.owner, stream.norm(dim=1))
        for request, total, norm in zip(part.requests, sums, norms, strict=True):
            reading = self._readings[request]
            so_far = reading.sums.get((name, layer))
            reading.sums[name, layer] = total if so_far is None else so_far + total
            if name == "mean":
                reading.norms[layer] = norm + reading.norms.get(layer, 0.0)

    def _end(self) -> None:
        """Write down the texts whose last token was read."""
        if not self._begun:
            return
        for request, read in self._finished:
            reading = self._readings.pop(request)
            if _answers():
                _write_down(reading, read)
        if self._lines and _answers():
            with open(os.environ[SCORES], "a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in self._lines)
        self._finished, self._parts, self._added = [], {}, []
        self._scored, self._lines = [], []


def _checked_steer(asked: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a request leaves out; ValueError for what would end vLLM within a pass."""
    steer = {"strength": 1.0, "positions": "all", **asked}
    strength = float(steer["strength"])
    if not math.isfinite(strength) or steer["positions"] not in _POSITIONS:
        raise ValueError(f"expected a finite strength and positions of {_POSITIONS}")
    return {"vector": str(steer["vector"]), "strength": strength, "positions": steer["positions"]}


def _log(message: str) -> None:
    logging.getLogger(f"vllm.{KEY}").warning(message)


@dataclass
class _Vector:
    """What is added after some blocks at strength 1, and what cosines are taken from there."""

    added: dict[int, torch.Tensor]
    center: dict[int, torch.Tensor]


_Vectors = dict[str, _Vector]


def _load_vectors(folder: str) -> _Vectors:
    if not Path(folder).is_dir():
        raise ValueError(f"{VECTORS}: expected a folder of vectors, got {folder}")
    vectors = {}
    for path in Path(folder).glob("*.safetensors"):
        parts: dict[str, dict[int, torch.Tensor]] = {"resid_post": {}, "center": {}}
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118 - it is no dict
                part, _, layer = key.rpartition(".")
                parts[part][int(layer)] = file.get_tensor(key).float()
            name = (file.metadata() or {}).get("emotion", path.stem)
        vectors[name] = _Vector(parts["resid_post"], parts["center"])
    return vectors


def _part(rows: list[tuple[int, int, str]], device: Any) -> _Part:
    requests = list(dict.fromkeys(request for _, _, request in rows))
    numbers = {request: number for number, request in enumerate(requests)}
    owner = [numbers[request] for _, _, request in rows]
    places = torch.tensor([row for row, _, _ in rows], device=device)
    return _Part(places, torch.tensor(owner, device=device), requests)


def _write_down(reading: _Reading, read: dict[str, Any]) -> None:
    expected = sum(len(read.get(part) or ()) for part in _PARTS)
    answer = {"missing": torch.tensor(expected - reading.n_seen)}
    layers = sorted({*reading.norms, *reading.singles, *(layer for _, layer in reading.sums)})
    answer["layers"] = torch.tensor(layers)
    for part in ("mean", "apart"):
        if read.get(part) and reading.n_seen == expected:
            means = torch.stack([reading.sums[part, layer] for layer in layers]) / len(read[part])
            answer[part] = means.cpu()
    if "mean" in answer:
        norms = torch.stack([reading.norms[layer] for layer in layers]) / len(read["mean"])
        answer["norm"] = norms.cpu()
    if read.get("keep") and reading.n_seen == expected:
        kept = [torch.cat(reading.singles[layer]) for layer in layers]
        answer["keep"] = torch.stack(kept, dim=1).cpu()
    path = Path(f"{read['file']}.{_stage()}")
    begun = path.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in answer.items()}, begun)
    begun.rename(path)  # whoever finds it finds all of it


def _answers() -> bool:
    from vllm.distributed.parallel_state import get_tensor_model_parallel_rank

    return get_tensor_model_parallel_rank() == 0


def _stage() -> int:
    from vllm.distributed.parallel_state import get_pp_group

    return get_pp_group().rank_in_group


def _blocks(runner: Any) -> list[tuple[int, Any]]:
    """Return the decoder blocks that this stage holds, with their numbers in the whole model."""
    from vllm.model_executor.models.utils import PPMissingLayer

    n_layers = runner.model_config.hf_text_config.num_hidden_layers
    lists = [
        module
        for module in runner.get_model().modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
    ]
    if not lists:
        raise ValueError(f"expected a list of {n_layers} decoder blocks, parts none")
    return [
        (number, block)
        for number, block in enumerate(lists[0])
        if not isinstance(block, PPMissingLayer)
    ]


_lenses: dict[int, _PassLens] = {}


def _lens_of(runner: Any) -> _PassLens:
    return _lenses[id(runner)]


def _make_room(runner: Any) -> None:
    """Make room for what an earlier stage sends, which vLLM 0.32 forgets where nothing compiles."""
    from vllm.distributed.parallel_state import get_pp_group

    if not get_pp_group().is_first_rank and runner.intermediate_tensors is None:
        runner.intermediate_tensors = runner.get_model().make_empty_intermediate_tensors(
            batch_size=runner.max_num_tokens,
            dtype=runner.model_config.dtype,
            device=runner.device,
        )


def _hang_on(runner_class: Any) -> None:
    """Let every model that a kind of runner loads have its lens."""
    load, execute = runner_class.load_model, runner_class.execute_model
    if getattr(execute, KEY, False):
        return

    def load_model(self: Any, *given: Any, **named: Any) -> Any:
        loaded = load(self, *given, **named)
        _make_room(self)
        _lenses[id(self)] = _PassLens(self)
        return loaded

    def execute_model(self: Any, *given: Any, **named: Any) -> Any:
        with _lens_of(self).watch():
            return execute(self, *given, **named)

    setattr(execute_model, KEY, True)
    runner_class.load_model, runner_class.execute_model = load_model, execute_model


def _is_worker() -> bool:
    return "vllm.v1.worker.worker_base" in sys.modules


if _is_worker():
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        from vllm.v1.worker.cpu_model_runner import CPUModelRunner as _Runner
    else:
        from vllm.v1.worker.gpu_model_runner import GPUModelRunner as _Runner
    _hang_on(_Runner)
