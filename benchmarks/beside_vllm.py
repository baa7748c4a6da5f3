"""Reading and writing: ours beside vLLM, which lives in an environment of its own (`make vllm`).

Ours goes before and after vLLM and never beside it: an idle engine takes a core.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hooks
from benchmarks import reading, writing
from benchmarks.children import Child
from benchmarks.measure import say, seconds
from benchmarks.recipes import OURS
from benchmarks.tables import rate, table
from benchmarks.texts import texts
from hooks.tokens.encoding import content_places
from hooks.vllm.engine import Picked, Prompt, VllmEngine, VllmOptions

MODEL = writing.WRITER
PYTHON = Path(".venv-vllm/bin/python")
MISSING = "## Ours beside vLLM\n\nNot measured: there is no .venv-vllm; `make vllm` builds one."
_WARM_TURNS = 3
"""Of vLLM, which is slow at first."""


@dataclass
class Beside:
    """Tokens per second of each kind of work, of ours and of vLLM, round by round."""

    version: str
    dtype: str
    n_texts: int
    new_tokens: int
    ours: dict[str, list[float]] = field(default_factory=lambda: {"reading": [], "writing": []})
    theirs: dict[str, list[float]] = field(default_factory=lambda: {"reading": [], "writing": []})

    def ratio(self, work: str) -> float:
        """Return how many times faster ours is."""
        return statistics.median(self.ours[work]) / statistics.median(self.theirs[work])


def measure(n_texts: int, new_tokens: int, rounds: int, dtype: str) -> Beside:
    """Read and write with ours, with vLLM, and with ours again."""
    model = hooks.load(MODEL, backend="huggingface", dtype=dtype)
    assert model.hf is not None
    precision = str(model.dtype).removeprefix("torch.")
    options = VllmOptions(str(PYTHON), dtype=precision)
    made = Beside(options.version(), precision, n_texts, new_tokens)
    _ours(made, rounds)
    say("beside vLLM: it starts")
    with VllmEngine(model.hf.config._name_or_path, options) as engine:
        _theirs(made, model, engine, rounds)
    _ours(made, rounds)
    return made


def _ours(made: Beside, rounds: int) -> None:
    say("beside vLLM: ours")
    with Child(reading.prepare, MODEL, OURS, made.dtype) as child:
        child.ask(n_texts=made.n_texts)
        for _ in range(rounds):
            turn = child.ask(n_texts=made.n_texts)
            made.ours["reading"].append(turn.result["n_tokens"] / turn.seconds)
    with Child(writing.prepare, writing.BATCHED, made.new_tokens, made.dtype) as child:
        child.ask(rows=made.n_texts)
        for _ in range(rounds):
            turn = child.ask(rows=made.n_texts)
            made.ours["writing"].append(turn.result / turn.seconds)


def _theirs(made: Beside, model: hooks.LanguageModel, engine: VllmEngine, rounds: int) -> None:
    encoded = list(map(model.encode, texts(made.n_texts)))
    picked = [Picked(ids, content_places(ids, model.special_ids)) for ids in encoded]
    prompts = list(map(model.encode_prompt, writing.prompts_for(model)[: made.n_texts]))

    def write(seed: int, prompts: Sequence[list[int]]) -> int:
        drawn = {**writing.SAMPLING, "max_tokens": made.new_tokens}
        asked = [Prompt(ids, {**drawn, "seed": seed + row}) for row, ids in enumerate(prompts)]
        return sum(len(one.ids) for one in engine.generate(asked))

    for _ in range(_WARM_TURNS):
        engine.read(picked)
        write(0, prompts)
    for number in range(1, rounds + 1):
        taken = seconds(lambda: engine.read(picked))
        made.theirs["reading"].append(sum(map(len, encoded)) / taken)
        start = time.perf_counter()
        n_written = write(1000 * number, prompts)
        made.theirs["writing"].append(n_written / (time.perf_counter() - start))


def ratios(made: Beside) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how many times, how many were meant."""
    return [
        (f"{work}, {MODEL.removeprefix('embedded:')}: ours / vLLM", f"{made.ratio(work):.2f}x", "")
        for work in made.ours
    ]


def section(made: Beside) -> str:
    """Return the table."""
    rows = [
        (
            work,
            rate(statistics.median(made.ours[work])),
            rate(statistics.median(made.theirs[work])),
            f"{made.ratio(work):.2f}x",
        )
        for work in made.ours
    ]
    return f"""## Ours beside vLLM {made.version}: {MODEL}

{made.n_texts} texts, {made.dtype}; written are {made.new_tokens} tokens each, to the prompts of \
`self_written`. Our hooks hang on vLLM's blocks, which run one by one. Medians; tokens per second.

{table(("", "ours", "vLLM", "ours / vLLM"), rows)}"""
