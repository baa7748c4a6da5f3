"""Reading and writing: ours beside vLLM, which lives in an environment of its own (`make vllm`).

Ours goes before and after vLLM and never beside it: an idle engine takes a core.
"""

import statistics
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
from probes.config import load_config
from probes.corpus.cells import story_cells
from probes.corpus.writing import first_prompts
from probes.stages.units import grid_of, rules

MODEL = "embedded:smollm2-135m-instruct"
PYTHON = Path(".venv-vllm/bin/python")
_WARM = 4


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
        child.ask(n_texts=_WARM)
        for _ in range(rounds):
            turn = child.ask(n_texts=made.n_texts)
            made.ours["reading"].append(turn.result["n_tokens"] / turn.seconds)
    with Child(writing.prepare, writing.BATCHED, made.new_tokens, made.dtype) as child:
        child.ask(rows=_WARM)
        for _ in range(rounds):
            turn = child.ask(rows=made.n_texts)
            made.ours["writing"].append(turn.result / turn.seconds)


def _theirs(made: Beside, model: hooks.LanguageModel, engine: VllmEngine, rounds: int) -> None:
    encoded = list(map(model.encode, texts(made.n_texts)))
    picked = [Picked(ids, content_places(ids, model.special_ids)) for ids in encoded]
    config = load_config("self_written")
    cells = story_cells(config.emotions, config.topics)
    asked = first_prompts(cells, grid_of(config), rules(config, "stories", chat=model.is_chat))
    encoded_prompts = [model.encode_prompt(prompt) for prompt in asked[: made.n_texts]]

    def prompts(seed: int) -> list[Prompt]:
        drawn = {"temperature": 0.8, "top_k": 50, "max_tokens": made.new_tokens}
        return [
            Prompt(ids, {**drawn, "seed": seed + row}) for row, ids in enumerate(encoded_prompts)
        ]

    engine.read(picked[:_WARM])
    engine.generate(prompts(0)[:_WARM])
    for number in range(1, rounds + 1):
        # What was read before is not read again, unless tokens of it are wanted: all are.
        taken = seconds(lambda: engine.read(picked))
        made.theirs["reading"].append(sum(map(len, encoded)) / taken)
        written: list[int] = []
        seed = 1000 * number
        taken = seconds(
            lambda seed=seed, written=written: written.extend(
                len(one.ids) for one in engine.generate(prompts(seed))
            )
        )
        made.theirs["writing"].append(sum(written) / taken)


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


MISSING = "vllm: there is no .venv-vllm; `make vllm` builds one"
