"""Reading: ours beside the recipes of peers, the roofline, and growth with texts and layers."""

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hooks
from benchmarks import roofline, time_shares
from benchmarks.children import Child, Turn
from benchmarks.measure import say
from benchmarks.recipes import ALONE, COMPILED, HIDDEN_STATES, OURS, RECIPES
from benchmarks.tables import gigabytes, rate, table, times
from benchmarks.texts import texts

SUBJECTS = ("embedded:gemma-3-270m", "embedded:smollm2-135m-instruct")
GOALS = {
    (SUBJECTS[0], HIDDEN_STATES): 4.0,
    (SUBJECTS[1], HIDDEN_STATES): 2.0,
    (SUBJECTS[0], ALONE): 2.0,
    (SUBJECTS[1], ALONE): 2.0,
}
"""How many times faster ours is meant to be; a share of `ROOFLINE_GOAL` of the roofline."""
ROOFLINE_GOAL = 0.45
_WARM = 8
"""Texts read ahead of each turn: a process that waited has lost its caches."""

OWN = (OURS, COMPILED)


@dataclass(frozen=True)
class Read:
    """What one model's recipes took."""

    model: str
    dtype: str
    n_texts: int
    n_tokens: int
    rounds: int
    turns: dict[str, list[Turn]]
    flops_per_token: float
    roofline: float
    """Tokens per second."""
    fewer_texts: dict[int, float]
    """Seconds of ours by number of texts."""
    fewer_layers: dict[int, float]
    """Seconds of ours by number of layers read."""
    time_shares: list[tuple[str, float]]
    """Of kinds of operators, then of the slowest."""

    def rate(self, recipe: str) -> float:
        """Median tokens per second."""
        return self.n_tokens / statistics.median(turn.seconds for turn in self.turns[recipe])

    def ratio(self, recipe: str, own: str = OURS) -> float:
        """Return how many times faster ours is: the median over pairs of one round."""
        pairs = zip(self.turns[recipe], self.turns[own], strict=True)
        return statistics.median(theirs.seconds / ours.seconds for theirs, ours in pairs)

    def share(self, own: str = OURS) -> float:
        """Share of the roofline that ours reaches."""
        return self.rate(own) / self.roofline


def prepare(name: str, recipe: str, dtype: str) -> Callable[..., Any]:
    """Load the model as a user of the recipe would; return what reads with it."""
    through_lens = recipe in (OURS, COMPILED, "TransformerLens run_with_cache")
    model = hooks.load(name, backend="auto" if through_lens else "huggingface", dtype=dtype)
    read = RECIPES[recipe]

    def job(n_texts: int, n_layers: int | None = None) -> dict[str, Any]:
        given = texts(n_texts)
        layers = {} if n_layers is None else {"layers": list(range(n_layers))}
        read(model, given, **layers)
        return {
            "n_tokens": sum(len(model.encode(text)) for text in given),
            "n_layers": model.n_layers,
            "dtype": str(model.dtype).removeprefix("torch."),
        }

    return job


def measure(name: str, dtype: str, n_texts: int, rounds: int) -> Read:
    """Warm every recipe up, then let them read in turn; ours also less and shallower."""
    said = name.removeprefix("embedded:")
    with contextlib.ExitStack() as stack:
        roof = stack.enter_context(Child(roofline.prepare, name, dtype))
        roofs = [roof.ask().result]
        children = {r: stack.enter_context(Child(prepare, name, r, dtype)) for r in RECIPES}
        about: dict[str, Any] = {}
        for recipe, child in children.items():
            say(f"reading, {said}: warming up {recipe}")
            # Compiling takes one pass of each kind.
            warm = child.ask(n_texts=n_texts if recipe == COMPILED else min(_WARM, n_texts)).result
            about = warm if recipe == OURS else about
        turns: dict[str, list[Turn]] = {recipe: [] for recipe in RECIPES}
        few: dict[int, list[float]] = {n: [] for n in (n_texts // 2,)}
        depth = about["n_layers"]
        shallow: dict[int, list[float]] = {n: [] for n in (depth // 3, 2 * depth // 3)}
        for number in range(1, rounds + 1):
            roofs.append(roof.ask().result)
            for recipe, child in children.items():
                child.ask(n_texts=min(_WARM, n_texts))
                turn = child.ask(n_texts=n_texts)
                turns[recipe].append(turn)
                say(f"reading, {said}: round {number} of {rounds}, {recipe}: {turn.seconds:.1f} s")
            own = children[OURS]
            own.ask(n_texts=min(_WARM, n_texts))
            say(f"reading, {said}: round {number} of {rounds}, fewer texts and layers")
            for n, seconds in few.items():
                seconds.append(own.ask(n_texts=n).seconds)
            for n, seconds in shallow.items():
                seconds.append(own.ask(n_texts=n_texts, n_layers=n).seconds)
    say(f"reading, {said}: where the time goes")
    with Child(time_shares.prepare, name, dtype) as watched:
        spent = watched.ask(n_texts=n_texts).result
    whole = statistics.median(turn.seconds for turn in turns[OURS])
    return Read(
        model=name,
        dtype=about["dtype"],
        n_texts=n_texts,
        n_tokens=turns[OURS][0].result["n_tokens"],
        rounds=rounds,
        turns=turns,
        flops_per_token=roofs[0]["flops_per_token"],
        roofline=statistics.median(one["tokens_per_second"] for one in roofs),
        fewer_texts={**{n: statistics.median(s) for n, s in few.items()}, n_texts: whole},
        fewer_layers={**{n: statistics.median(s) for n, s in shallow.items()}, depth: whole},
        time_shares=spent,
    )


def ratios(read: Read) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how many times, how many were meant."""
    label = f"reading, {read.model.removeprefix('embedded:')}"
    lines = []
    for own in OWN:
        for recipe in read.turns:
            if recipe not in OWN:
                goal = GOALS.get((read.model, recipe))
                ratio = times(read.ratio(recipe, own))
                lines.append((f"{label}: {own} / {recipe}", ratio, times(goal) if goal else ""))
        share = f"{read.share(own):.0%}"
        lines.append((f"{label}: {own} / roofline", share, f"{ROOFLINE_GOAL:.0%}"))
    return lines


def section(read: Read) -> str:
    """Return the tables of one model."""
    peak = {r: max(turn.peak_bytes for turn in turns) for r, turns in read.turns.items()}
    ready = {r: turns[0].ready_bytes for r, turns in read.turns.items()}
    recipes = table(
        ("recipe", "tokens/s", "ours / this", "peak memory", "above the loaded model"),
        [
            (
                recipe,
                rate(read.rate(recipe)),
                times(read.ratio(recipe)),
                gigabytes(peak[recipe]),
                gigabytes(peak[recipe] - ready[recipe]),
            )
            for recipe in read.turns
        ],
    )
    allowed = read.roofline * read.flops_per_token / 1e9
    return f"""## Reading: {read.model}

{read.n_texts} texts, {read.n_tokens} tokens, {read.dtype}; median of {read.rounds}.

{recipes}

Roofline: {allowed:.0f} GFLOP/s, {rate(read.roofline)} tokens/s of \
{read.flops_per_token / 1e6:.0f} MFLOP each; ours reaches {read.share():.0%}, compiled \
{read.share(COMPILED):.0%}.

Where the time goes, in passes one after another (torch's profiler):

{table(("what", "share of the time"), [(what, f"{it:.0%}") for what, it in read.time_shares])}

{_growth("texts", read.fewer_texts)}

{_growth("layers", read.fewer_layers)}"""


def _growth(what: str, seconds: dict[int, float]) -> str:
    """Return time against the number of something, per one of it."""
    last = max(seconds)
    each = seconds[last] / last
    rows = [
        (str(n), f"{taken:.2f}", f"{taken / n / each:.2f}") for n, taken in sorted(seconds.items())
    ]
    return table((what, "seconds", "per one, beside the last line"), rows)
