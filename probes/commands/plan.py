"""``emotion-probes plan``: what a run will take, before it begins.

No weights are loaded, unless ``--measure`` asks for one unit to be written and read.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hooks.errors import InvalidInput, ModelError
from hooks.generation.prefill import tokens_to_read
from hooks.models.architecture import Architecture, describe
from hooks.models.embedded import folder, is_embedded
from hooks.models.precision import resolve_device, resolve_dtype
from hooks.reading.batching import DEFAULT_BATCH_TOKENS
from hooks.tokens.encoding import encode_prompt, encode_text, is_chat
from probes.commands.call import Call
from probes.commands.cost import Plan, Rates, Seen, Size, Task, plan
from probes.commands.estimate import duration
from probes.commands.trial import look, measure, own_contents
from probes.config import Config, ModelSettings, WriterSettings
from probes.corpus.cells import read_cell
from probes.corpus.writing import Rules, first_prompts
from probes.runs.folder import Run
from probes.stages.units import TextKind, most_new_tokens, rules
from probes.stages.units import plan as cut

_SAMPLE = 200
"""Cells that are looked at for what was seen."""


def main(call: Call) -> int:
    """Print what the config's run will take."""
    run = call.run()
    asked = Rates(
        _rate(call.flags, "tokens_per_second"), _rate(call.flags, "reading_tokens_per_second")
    )
    found = work_out(run, asked, measured=call.flags.get("measure", False))
    call.terminal.table(f"{run.source} would take ({found.source})", list(_rows(run.config, found)))
    call.terminal.result(found.numbers())
    return 0


def _rate(flags: dict[str, Any], name: str) -> float | None:
    value = flags.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidInput(f"plan: --{name}: expected a number above 0, got {value!r}.")
    return float(value)


@dataclass(frozen=True)
class Found:
    """A plan and what it rests on."""

    plan: Plan
    seen: Seen | None
    rates: Rates
    source: str

    def numbers(self) -> dict[str, Any]:
        """Return everything as numbers: tokens, bytes, FLOPs, hours."""
        return {
            **asdict(self.plan),
            "disk_bytes": self.plan.disk_bytes,
            "tokens_per_second": asdict(self.rates),
            "seen": None if self.seen is None else asdict(self.seen),
            "source": self.source,
        }


def work_out(run: Run, rates: Rates, *, measured: bool) -> Found:
    """Return the plan; with `measured`, from a unit that is written and read for it."""
    config = run.config
    subject_tokens = _tokenizer(config.model)

    def n_tokens(text: str) -> int:
        return len(encode_text(subject_tokens, text))

    ruled = rules(config, "stories", chat=_asks_in_words(run))
    seen = _seen(run, "stories", n_tokens, ruled.at_once)
    neutral = _seen(run, "neutral", n_tokens, 1)
    lengths = "full-length texts" if seen is None else "lengths and rejections of this folder's"
    if measured:
        contents, rates = measure(run)
        if seen is None:
            seen = look(contents, n_tokens, ruled.at_once)
            lengths = "lengths and rejections of one unit"
    subject = _size(config.model, config.activation.layers)
    writer = _size(config.writer_model) if _writes_here(run) else None
    made = plan(_task(run, ruled), writer, subject, seen or Seen(), rates, neutral)
    speeds = "rates measured here" if measured else "stated rate" if rates.writing else "no rate"
    return Found(made, seen, rates, f"{lengths}; {speeds}")


def _asks_in_words(run: Run) -> bool:
    if _writes_here(run):
        return is_chat(_tokenizer(run.config.writer_model))
    return run.config.endpoint.api == "chat"


def _seen(
    run: Run, kind: TextKind, n_tokens: Callable[[str], int], texts_per_prompt: int
) -> Seen | None:
    """Look at the finished cells of the folder, or at the user's own texts."""
    if run.brings_corpus:
        return look(own_contents(run, kind), n_tokens, 1)
    cells = run.story_cells if kind == "stories" else run.neutral_cells
    done = [cell for cell in cells if (run.root / cell.path).exists()]
    contents = [read_cell(run.root, cell) for cell in done[:: max(1, len(done) // _SAMPLE)]]
    return look(contents, n_tokens, texts_per_prompt)


def _size(settings: ModelSettings | WriterSettings, layers: list[int] | None = None) -> Size:
    found: Architecture = describe(_name(settings), revision=settings.revision)
    dtype = resolve_dtype(settings.dtype, resolve_device(settings.device))
    return Size(
        n_parameters=found.n_parameters,
        reading_flops=found.reading_flops(max(layers) + 1 if layers else None),
        writing_flops=found.writing_flops(),
        cache_numbers=found.cache_numbers,
        d_model=found.d_model,
        d_vocab=found.d_vocab,
        precision=settings.quantize or str(dtype).removeprefix("torch."),
    )


def _name(settings: ModelSettings | WriterSettings) -> str:
    if settings.name is None:
        raise InvalidInput("plan: expected a model's name.")
    return settings.name


def _tokenizer(settings: ModelSettings | WriterSettings) -> Any:
    return _load_tokenizer(_name(settings), settings.revision)


@functools.cache
def _load_tokenizer(name: str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    source = str(folder(name)) if is_embedded(name) else name
    try:
        return AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"could not load the tokenizer of {name!r}: {error}") from error


def _prompts(run: Run, ruled: Rules) -> list[list[int]]:
    """Return the prompts of the first unit of stories as the writer reads them."""
    config = run.config
    tokenizer = _tokenizer(config.writer_model if _writes_here(run) else config.model)
    cells = cut(config, "stories", run.story_cells)[0].cells
    system = config.writer.system if is_chat(tokenizer) else None
    return [
        encode_prompt(tokenizer, prompt, system=system)
        for prompt in first_prompts(cells, config.topics, ruled)
    ]


def _writes_here(run: Run) -> bool:
    return run.config.generation.engine == "local" and not run.brings_corpus


def _task(run: Run, ruled: Rules) -> Task:
    config = run.config
    prompts = [[]] if run.brings_corpus else _prompts(run, ruled)
    n_layers = describe(config.model.name, revision=config.model.revision).n_layers
    layers = config.activation.layers
    topics = len({cell.topic for cell in run.story_cells})
    per_topic = config.generation.stories_per_topic
    dialogues = config.neutral.dialogues_per_topic
    if run.brings_corpus:
        n_stories = sum(run.own_texts("stories").count(cell) for cell in run.story_cells)
        n_neutral = sum(run.own_texts("neutral").count(cell) for cell in run.neutral_cells)
        per_topic = max(1, round(n_stories / len(run.story_cells)))
        dialogues = max(1, round(n_neutral / topics))
    return Task(
        emotions=len(run.emotions),
        topics=topics,
        stories_per_topic=per_topic,
        dialogues_per_topic=dialogues,
        new_tokens=most_new_tokens(config, "stories", ruled),
        neutral_new_tokens=config.neutral.max_new_tokens,
        prompt_tokens=sum(map(len, prompts)) / len(prompts),
        prompt_tokens_read=tokens_to_read(prompts) / len(prompts),
        batch_size=config.generation.batch_size,
        layers=n_layers if layers is None else len(layers),
        batch_tokens=config.activation.batch_tokens or DEFAULT_BATCH_TOKENS,
        shard_size=config.activation.shard_size,
        neutral_tokens_per_text=config.activation.neutral_tokens_per_text,
        max_gigabytes=config.activation.max_gigabytes,
        keep=config.activation.keep,
        stories_per_prompt=1 if run.brings_corpus else ruled.at_once,
        workers=config.compute.units_at_once,
        gpus_per_worker=config.compute.gpus_per_worker or 1.0,
    )


def _rows(config: Config, found: Found) -> Iterator[tuple[str, str]]:
    made, rates = found.plan, found.rates
    workers = config.compute.units_at_once
    yield "texts", f"{made.stories:,} stories, {made.dialogues:,} neutral"
    if made.tokens_written:
        yield "tokens written", f"{made.tokens_written:,.0f}; {_flops(made.writing_flops)}"
    else:
        yield "tokens written", "none here (for an endpoint's, see --dry-run)"
    yield "tokens read", f"{made.tokens_read:,.0f}; {_flops(made.reading_flops)}"
    kept = "one mean per (emotion, topic)" if made.per_cell else "per story"
    yield (
        "disk",
        f"{_bytes(made.disk_bytes)}: texts {_bytes(made.text_bytes)}, activations "
        f"{_bytes(made.activation_bytes)} ({kept}), vectors {_bytes(made.vector_bytes)}",
    )
    place = f"per GPU ({config.compute.gpus_per_worker or 1:g} per worker)"
    memory = f"reading {_bytes(made.reading_memory)}"
    if made.tokens_written:
        memory = f"writing {_bytes(made.writing_memory)}, {memory}"
    yield f"memory {place}", f"{memory} (an upper estimate without the runtime's own)"
    if made.writing_hours is None and made.reading_hours is None:
        rate = "tokens_per_second" if made.tokens_written else "reading_tokens_per_second"
        yield "time", f"unknown: give --{rate}=N, or --measure"
        return
    total = (made.writing_hours or 0.0) + (made.reading_hours or 0.0)
    parts = [
        f"{name} {duration(3600 * hours)}" + (f" at {rate:,.0f} tokens/s" if rate else "")
        for name, hours, rate in (
            ("writing", made.writing_hours, rates.writing),
            ("reading", made.reading_hours, rates.reading),
        )
        if hours is not None
    ]
    yield "time", f"{duration(3600 * total)} with {workers} worker(s): {', '.join(parts)}"
    if made.unit_hours is not None:
        yield (
            "an interrupted unit",
            f"{made.unit_texts} texts, at most {duration(3600 * made.unit_hours)} of writing",
        )
    if made.shard_hours is not None:
        yield "an interrupted shard", f"at most {duration(3600 * made.shard_hours)} of reading"


def _flops(number: float) -> str:
    return f"{number:.2e} FLOP"


def _bytes(number: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
