"""Writing by endpoint: connecting, saying beforehand what it will take, several units at once."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from probes.config import Config
from probes.corpus.cells import read_cell
from probes.corpus.endpoint import Endpoint, Greeting, read_key
from probes.corpus.exchange import EndpointError
from probes.corpus.writing import first_prompts
from probes.runs.folder import Run
from probes.stages.cost_of_writing import cells_of, estimated
from probes.stages.units import ServerWriter, TextKind, WritingUnit, grid_of, plan

_MOST_UNITS = 200


@contextlib.contextmanager
def connected(
    config: Config,
    kind: TextKind,
    todo: Sequence[WritingUnit],
    say: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[ServerWriter, Greeting]]:
    """Connect to the servers and ask each for a first text, which is not kept.

    `say` hears of servers that are gone later.
    """
    key = read_key(config.generation.api_key_env)
    name = config.writer_model.name or config.model.name
    asked, template = config.generation, config.writer.chat_template
    body = {**asked.extra_body, **({"chat_template_kwargs": template} if template else {})}
    with Endpoint(
        name,
        asked.base_urls,
        key,
        config.endpoint,
        body=body,
        served_as=asked.served_as,
        say=say,
    ) as endpoint:
        job = ServerWriter(config, kind, endpoint)
        prompt = first_prompts(todo[0].cells[:1], grid_of(config), job.rules)[0]
        yield job, endpoint.connect(prompt, job.asked, job.system)


def units_at_once(config: Config, todo: Sequence[WritingUnit]) -> int:
    """Return how many units keep the servers busy, though each ends with a few stragglers."""
    requests = config.endpoint.concurrency * len(config.generation.base_urls)
    return min(len(todo), 2 + 2 * requests // todo[0].n_texts, _MOST_UNITS)


def notes(
    run: Run, kind: TextKind, todo: Sequence[WritingUnit], greeting: Greeting
) -> Iterator[str]:
    """Say what will be done, and what cannot be."""
    generation = run.config.generation
    yield _who_answers(run, greeting)
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
    """Estimate a stage that writes: rows to print, and whether the servers could be asked."""
    units = plan(run, kind, cells_of(run, kind))
    todo = [] if run.brings_corpus else missing(run, units)
    if not todo:
        return [("to write", f"nothing: the {kind} are there")], True
    if run.config.generation.engine != "openai":
        return list(estimated(run, kind, todo, None)), True
    try:
        with connected(run.config, kind, todo) as (_, greeting):
            servers = ("servers", _who_answers(run, greeting))
            return [*estimated(run, kind, todo, greeting), servers], True
    except EndpointError as error:
        return [*estimated(run, kind, todo, None), ("servers", str(error))], False


def _who_answers(run: Run, greeting: Greeting) -> str:
    return f"{greeting.served_as} answers at {', '.join(run.config.generation.base_urls)}"


def missing(run: Run, units: Sequence[WritingUnit]) -> list[WritingUnit]:
    """Return the units that are still to be written.

    Units of which a cell is not there, and those with too few texts that were tried less often than
    `generation.max_attempts` says now; the latter carry what is there of them.
    """
    undone = (_undone(run, unit) for unit in units)
    return [unit for unit in undone if unit is not None]


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
