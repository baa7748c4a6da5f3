"""Writing: ours in one batch, beside one text at a time."""

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import hooks
from benchmarks.children import Child, Turn
from benchmarks.tables import gigabytes, rate, table, times
from probes.config import load_config
from probes.corpus.cells import story_cells
from probes.corpus.writing import first_prompts
from probes.stages.units import grid_of, rules

WRITER = "embedded:smollm2-135m-instruct"
BATCHED = "ours, {rows} texts in one batch"
ALONE = "ours, one text at a time"
PEER = "transformers generate(), one text at a time"
GOAL = 8.0
SAMPLING = {"temperature": 0.8, "top_k": 50}


@dataclass(frozen=True)
class Written:
    """What the recipes took."""

    rows: int
    new_tokens: int
    rounds: int
    turns: dict[str, list[Turn]]

    def rate(self, recipe: str) -> float:
        """Median tokens per second, the reading of prompts included."""
        return statistics.median(turn.result / turn.seconds for turn in self.turns[recipe])

    @property
    def ours(self) -> float:
        """Tokens per second of ours."""
        return self.rate(BATCHED)


def prompts_for(model: hooks.LanguageModel) -> list[str]:
    """Return what `self_written` asks a model for."""
    config = load_config("self_written")
    cells = story_cells(config.emotions, config.topics)
    return first_prompts(cells, grid_of(config), rules(config, "stories", chat=model.is_chat))


def prepare(recipe: str, new_tokens: int, dtype: str = "auto") -> Callable[..., int]:
    """Load the writer; the job writes stories of `self_written` and counts their tokens."""
    model = hooks.load(WRITER, backend="huggingface", dtype=dtype)
    prompts = prompts_for(model)

    def batched(rows: int) -> int:
        written = model.generate(prompts[:rows], max_new_tokens=new_tokens, **SAMPLING)
        return sum(len(one.tokens) for one in written)

    def alone(rows: int) -> int:
        return sum(
            len(model.generate([p], max_new_tokens=new_tokens, **SAMPLING)[0].tokens)
            for p in prompts[:rows]
        )

    def peer(rows: int) -> int:
        count = 0
        for prompt in prompts[:rows]:
            ids = torch.tensor([model.encode_prompt(prompt)])
            mask = torch.ones_like(ids)
            options: dict[str, Any] = {"max_new_tokens": new_tokens, "do_sample": True, **SAMPLING}
            with torch.inference_mode():
                made = model.hf.generate(ids, attention_mask=mask, **options)
            count += made.shape[1] - ids.shape[1]
        return count

    return {BATCHED: batched, ALONE: alone, PEER: peer}[recipe]


def measure(rows: int, new_tokens: int, rounds: int) -> Written:
    """Warm every recipe up, then let them write in turn."""
    sizes = {BATCHED: rows, ALONE: 2, PEER: 2}
    with contextlib.ExitStack() as stack:
        children = {r: stack.enter_context(Child(prepare, r, new_tokens)) for r in sizes}
        turns: dict[str, list[Turn]] = {recipe: [] for recipe in sizes}
        for recipe, child in children.items():
            child.ask(rows=4 if recipe == BATCHED else 1)
        for _ in range(rounds):
            for recipe, child in children.items():
                turns[recipe].append(child.ask(rows=sizes[recipe]))
    return Written(rows, new_tokens, rounds, turns)


def ratios(written: Written) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how many times, how many were meant."""
    return [
        (
            f"writing, {WRITER.removeprefix('embedded:')}: ours in a batch / {recipe}",
            times(written.ours / written.rate(recipe)),
            times(GOAL),
        )
        for recipe in (ALONE, PEER)
    ]


def section(written: Written) -> str:
    """Return the table."""
    rows = [
        (
            recipe.format(rows=written.rows),
            rate(written.rate(recipe)),
            times(written.ours / written.rate(recipe)),
            gigabytes(max(turn.peak_bytes for turn in turns)),
            gigabytes(max(turn.peak_bytes for turn in turns) - turns[0].ready_bytes),
        )
        for recipe, turns in written.turns.items()
    ]
    head = ("recipe", "tokens/s", "ours is faster by", "peak memory", "above the loaded model")
    return f"""## Writing: {WRITER}

The prompts of `self_written`, {written.new_tokens} new tokens each, the reading of prompts \
included; median of {written.rounds}.

{table(head, rows)}"""
