"""Writing by endpoint: connecting, saying beforehand what it will take, several units at once."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from probes.commands.estimate import Estimate, Seen, Terms, Work, duration, estimate
from probes.config import Config
from probes.corpus.cells import Cell, read_cell
from probes.corpus.endpoint import Endpoint, Greeting, read_key
from probes.corpus.exchange import EndpointError
from probes.corpus.writing import first_prompts
from probes.runs.folder import Run
from probes.stages.units import ServerWriter, TextKind, WritingUnit, most_new_tokens, plan, rules

_MOST_UNITS = 200
_SAMPLE = 300
"""Cells that are looked at for an estimate."""


@contextlib.contextmanager
def connected(
    config: Config, kind: TextKind, todo: Sequence[WritingUnit]
) -> Iterator[tuple[ServerWriter, Greeting]]:
    """Connect to the servers and ask each for a first text, which is not kept."""
    key = read_key(config.generation.api_key_env)
    name = config.writer_model.name or config.model.name
    with Endpoint(name, config.generation.base_urls, key, config.endpoint) as endpoint:
        job = ServerWriter(config, kind, endpoint)
        prompt = first_prompts(todo[0].cells[:1], config.topics, job.rules)[0]
        yield job, endpoint.connect(prompt, job.asked, job.system)


def units_at_once(config: Config, todo: Sequence[WritingUnit]) -> int:
    """Return how many units keep the servers busy, though each ends with a few stragglers."""
    places = config.endpoint.concurrency * len(config.generation.base_urls)
    return min(len(todo), 2 + 2 * places // todo[0].n_texts, _MOST_UNITS)


def notes(
    run: Run, kind: TextKind, todo: Sequence[WritingUnit], greeting: Greeting
) -> Iterator[str]:
    """Say what will be done, and what cannot be."""
    generation = run.config.generation
    yield f"{greeting.served_as} answers at {', '.join(generation.base_urls)}"
    if kind == "stories" and generation.suppress_banned != "never":
        yield (
            f"generation.suppress_banned={generation.suppress_banned} has no effect at an "
            "endpoint: only the filter keeps banned words out."
        )
    if generation.top_k and not run.config.endpoint.send_top_k:
        yield (
            f"generation.top_k={generation.top_k} is no part of the API and is not sent; "
            "endpoint.send_top_k=true sends it to servers that know it."
        )
    yield "; ".join(f"{name}: {value}" for name, value in estimated(run, kind, todo, greeting))


def dry_run(run: Run, kind: TextKind) -> tuple[list[tuple[str, str]], bool]:
    """Estimate a stage that writes; nothing is written.

    Returns
    -------
    rows, ok
        What to print, and whether the servers could be asked.
    """
    cells = run.story_cells if kind == "stories" else run.neutral_cells
    todo = [] if run.brings_corpus else missing(run, plan(run.config, kind, cells))
    if not todo:
        return [("to write", f"nothing: the {kind} are there")], True
    if run.config.generation.engine == "local":
        return list(estimated(run, kind, todo, None)), True
    try:
        with connected(run.config, kind, todo) as (_, greeting):
            return [*estimated(run, kind, todo, greeting), *_servers(run, greeting)], True
    except EndpointError as error:
        return [*estimated(run, kind, todo, None), ("servers", str(error))], False


def _servers(run: Run, greeting: Greeting) -> list[tuple[str, str]]:
    where = ", ".join(run.config.generation.base_urls)
    return [("servers", f"{greeting.served_as} answers at {where}")]


def missing(run: Run, units: Sequence[WritingUnit]) -> list[WritingUnit]:
    """Return the units that are still to be written.

    These are units of which a cell is not there, and those with too few texts that were tried less
    often than `generation.max_attempts` says now; the latter carry what is there of them.
    """
    found = (_undone(run, unit) for unit in units)
    return [unit for unit in found if unit is not None]


def _undone(run: Run, unit: WritingUnit) -> WritingUnit | None:
    if not all((run.root / cell.path).exists() for cell in unit.cells):
        return unit
    begun = {cell: read_cell(run.root, cell) for cell in unit.cells}
    attempts = {content["attempts"] for content in begun.values()}
    is_short = any(len(content["texts"]) < content["requested"] for content in begun.values())
    if not is_short or min(attempts) >= run.config.generation.max_attempts:
        return None
    # A process killed between two files leaves cells of different rounds: all are made again.
    return replace(unit, begun=begun) if len(attempts) == 1 else unit


def estimated(
    run: Run, kind: TextKind, todo: Sequence[WritingUnit], greeting: Greeting | None
) -> Iterator[tuple[str, str]]:
    """Yield what the units that are not there will take, as rows of name and value."""
    config = run.config
    work = _work(config, kind, todo)
    seen, basis = _seen(run, kind, todo, greeting)
    asks = config.generation.engine == "openai"
    terms = Terms(
        at_once=config.endpoint.concurrency * max(1, len(config.generation.base_urls)),
        tokens_per_second=config.endpoint.tokens_per_second,
        input_price=config.endpoint.input_price if asks else None,
        output_price=config.endpoint.output_price if asks else None,
    )
    found = estimate(work, seen, terms)
    n_cells = sum(len(unit.cells) for unit in todo)
    yield "to write", f"{work.texts:,} {kind} in {n_cells:,} cells"
    yield "requests", f"about {found.requests:,}, at most {found.most_requests:,}"
    yield "prompt tokens", f"about {found.prompt_tokens:,}"
    most = found.most_completion_tokens
    yield "new tokens", f"about {found.completion_tokens:,}, at most {most:,}"
    yield "time", _time(found, terms, seen)
    if asks:
        yield "cost", _money(found)
    yield "basis", basis


def _time(found: Estimate, terms: Terms, seen: Seen | None) -> str:
    if found.seconds is None:
        return "unknown; endpoint.tokens_per_second states a rate"
    if terms.tokens_per_second is not None:
        return (
            f"about {duration(found.seconds)} at {terms.tokens_per_second:g} new tokens per second"
        )
    each = f"{seen.seconds:.1f} s each" if seen is not None and seen.seconds is not None else ""
    return (
        f"about {duration(found.seconds)}, if {min(terms.at_once, found.requests)} requests at "
        f"once take {each} as one did alone"
    )


def _money(found: Estimate) -> str:
    if found.cost is None or found.most_cost is None:
        return "unknown; endpoint.input_price and output_price state prices per million tokens"
    return f"about {found.cost:,.2f}, at most {found.most_cost:,.2f}, in the prices' currency"


def _work(config: Config, kind: TextKind, todo: Sequence[WritingUnit]) -> Work:
    ruled = rules(config, kind, chat=config.endpoint.api == "chat")
    cells = [cell for unit in todo for cell in unit.cells]
    step = max(1, len(cells) // _SAMPLE)
    prompts = first_prompts(cells[::step], config.topics, ruled)
    per_cell = -(-ruled.texts_per_cell // ruled.at_once)
    return Work(
        texts=sum(unit.n_texts for unit in todo),
        requests=len(cells) * per_cell,
        letters=sum(map(len, prompts)) / len(prompts),
        max_new_tokens=most_new_tokens(config, kind, ruled),
        max_attempts=ruled.max_attempts,
    )


def _seen(
    run: Run, kind: TextKind, todo: Sequence[WritingUnit], greeting: Greeting | None
) -> tuple[Seen | None, str]:
    seconds = greeting.seconds if greeting is not None else None
    cells = run.story_cells if kind == "stories" else run.neutral_cells
    undone = {cell for unit in todo for cell in unit.cells}
    recorded = _recorded(run, [cell for cell in cells if cell not in undone], seconds)
    if recorded is not None:
        return recorded, "cells of this run that are finished"
    if greeting is None:
        return None, "no answer seen: 4 letters per token, answers of full length"
    usage = greeting.answer.usage
    if usage.uncounted or not usage.completion_tokens:
        return None, "the server counts no tokens: 4 letters per token, answers of full length"
    one = Seen(
        usage.requests, usage.requests, usage.prompt_tokens, usage.completion_tokens, seconds
    )
    return one, "one answer, without rejections"


def _recorded(run: Run, done: Sequence[Cell], seconds: float | None) -> Seen | None:
    usage: Counter[str] = Counter()
    texts = 0
    for cell in done[:: max(1, len(done) // _SAMPLE)]:
        content = read_cell(run.root, cell)
        if "usage" in content and not content["usage"]["uncounted"]:
            usage.update(content["usage"])
            texts += content["requested"]
    if not usage["requests"]:
        return None
    return Seen(
        texts, usage["requests"], usage["prompt_tokens"], usage["completion_tokens"], seconds
    )
