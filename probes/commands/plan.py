"""``emotion-probes plan``: what a run will take, before it begins; no weights are loaded."""

import itertools
import time
from collections.abc import Sequence
from typing import Any

from hooks.architecture import Architecture, describe
from hooks.batching import DEFAULT_BATCH_TOKENS
from hooks.embedded import folder, is_embedded
from hooks.errors import InvalidInput, ModelError
from hooks.precision import resolve_device, resolve_dtype
from probes.commands.call import Call
from probes.config import Config, ModelSettings, WriterSettings
from probes.corpus import read_cell
from probes.estimate import duration
from probes.models import Models
from probes.planning import Plan, Rates, Seen, Size, Task, plan
from probes.runs import Run
from probes.stages.units import plan as writing_units
from probes.stages.units import rules, sampling
from probes.writing import first_prompts

_SAMPLE = 200
"""Cells that are looked at for what was seen."""
_MEASURED_PROMPTS = 48
_MEASURED_TOKENS = 32
_MEASURED_TEXTS = 16


def main(call: Call) -> int:
    """Print what the config's run will take."""
    run = call.run()
    asked = Rates(
        _rate(call.flags, "tokens_per_second"), _rate(call.flags, "reading_tokens_per_second")
    )
    rows, source = estimate(run, asked, measure=bool(call.flags.get("measure")))
    call.terminal.table(f"{run.source} would take ({source})", rows)
    return 0


def _rate(flags: dict[str, Any], name: str) -> float | None:
    value = flags.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidInput(f"plan: --{name}: expected a number above 0, got {value!r}.")
    return float(value)


def estimate(run: Run, rates: Rates, *, measure: bool) -> tuple[list[tuple[str, str]], str]:
    """Return the table's rows, and where rates and lengths come from."""
    made, seen, known = work_out(run, rates, measure=measure)
    lengths = "lengths and rejections as in this folder's texts" if seen else "full-length texts"
    speeds = "rates measured here" if measure else "stated rate" if known.writing else "no rate"
    return list(_rows(run.config, made, known)), f"{lengths}; {speeds}"


def work_out(run: Run, rates: Rates, *, measure: bool) -> tuple[Plan, Seen | None, Rates]:
    """Return the plan, what was seen of finished cells, and the rates."""
    config = run.config
    subject = _size(config.model)
    local = config.generation.engine == "local" and not run.brings_corpus
    writer = _size(config.writer_model) if local else None
    tokenizer = _tokenizer(config.model)
    seen = _seen(run, tokenizer)
    if measure:
        rates = _measured(run, local)
    return plan(_task(run, tokenizer), writer, subject, seen or Seen(), rates), seen, rates


def _size(settings: ModelSettings | WriterSettings) -> Size:
    name = settings.name
    if name is None:
        raise InvalidInput("plan: expected a model's name.")
    found: Architecture = describe(name, revision=settings.revision)
    dtype = resolve_dtype(settings.dtype, resolve_device(settings.device))
    return Size(
        n_parameters=found.n_parameters,
        reading_flops=found.reading_flops(),
        writing_flops=found.writing_flops(),
        cache_numbers=found.cache_numbers,
        d_model=found.d_model,
        d_vocab=found.d_vocab,
        precision=settings.quantize or str(dtype).removeprefix("torch."),
    )


def _tokenizer(settings: ModelSettings) -> Any:
    from transformers import AutoTokenizer

    source = str(folder(settings.name)) if is_embedded(settings.name) else settings.name
    try:
        return AutoTokenizer.from_pretrained(
            source, revision=settings.revision, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"could not load the tokenizer of {settings.name!r}: {error}") from error


def _n_tokens(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=True, verbose=False)["input_ids"])


def _task(run: Run, tokenizer: Any) -> Task:
    config = run.config
    prompt_tokens = 0.0
    if not run.brings_corpus:
        prompts = first_prompts(
            run.story_cells[:20], config.topics, rules(config, "stories", chat=True)
        )
        prompt_tokens = sum(_n_tokens(tokenizer, prompt) for prompt in prompts) / len(prompts)
    n_layers = describe(config.model.name, revision=config.model.revision).n_layers
    layers = config.activation.layers
    topics = len({cell.topic for cell in run.story_cells})
    per_topic = config.generation.stories_per_topic
    dialogues = config.neutral.dialogues_per_topic
    if run.brings_corpus:
        n_stories = sum(len(run.own_texts("stories")[cell]) for cell in run.story_cells)
        n_neutral = sum(len(run.own_texts("neutral")[cell]) for cell in run.neutral_cells)
        per_topic = max(1, round(n_stories / len(run.story_cells)))
        dialogues = max(1, round(n_neutral / topics))
    return Task(
        emotions=len(run.emotions),
        topics=topics,
        stories_per_topic=per_topic,
        dialogues_per_topic=dialogues,
        new_tokens=config.generation.max_new_tokens,
        neutral_new_tokens=config.neutral.max_new_tokens,
        prompt_tokens=prompt_tokens,
        batch_size=config.generation.batch_size,
        layers=n_layers if layers is None else len(layers),
        batch_tokens=config.activation.batch_tokens or DEFAULT_BATCH_TOKENS,
        shard_size=config.activation.shard_size,
        neutral_tokens_per_text=config.activation.neutral_tokens_per_text,
        max_gigabytes=config.activation.max_gigabytes,
        keep=config.activation.keep,
        workers=config.compute.workers,
        gpus_per_worker=config.compute.gpus_per_worker or 1.0,
    )


def _seen(run: Run, tokenizer: Any) -> Seen | None:
    """Look at the finished cells of the folder, or at the user's own texts."""
    if run.brings_corpus:
        own = itertools.chain.from_iterable(run.own_texts("stories").values())
        texts = list(itertools.islice(own, _SAMPLE))
        drafts, asked = len(texts), len(texts)
    else:
        cells = [c for c in run.story_cells if (run.root / c.path).exists()]
        cells = cells[:: max(1, len(cells) // _SAMPLE)]
        contents = [read_cell(run.root, cell) for cell in cells]
        texts = [text["text"] for content in contents for text in content["texts"]]
        drafts = len(texts) + sum(len(content["rejected"]) for content in contents)
        asked = sum(content["requested"] for content in contents)
    if not texts:
        return None
    return Seen(
        drafts_per_text=drafts / asked,
        tokens_per_text=sum(_n_tokens(tokenizer, text) for text in texts) / len(texts),
        letters_per_text=sum(len(text.encode()) for text in texts) / len(texts),
    )


def _measured(run: Run, local: bool) -> Rates:
    """Write one small batch and read it back, with the models of the run."""
    from hooks import pooled_resid_post

    config, models = run.config, Models(run.config)
    writing = None
    texts: Sequence[str] = []
    if local:
        writer = models.writer()
        asked = rules(config, "stories", chat=writer.is_chat)
        unit = writing_units(config, "stories", run.story_cells)[0]
        prompts = first_prompts(unit.cells, config.topics, asked)[:_MEASURED_PROMPTS]
        short = {**sampling(config, "stories"), "max_new_tokens": _MEASURED_TOKENS}
        start = time.perf_counter()
        writer.generate(prompts, seed=0, **{**short, "max_new_tokens": 1})
        first = time.perf_counter() - start
        start = time.perf_counter()
        written = writer.generate(prompts, seed=0, **short)
        seconds = time.perf_counter() - start - first
        # A whole text pays for its prompt once.
        n_new = sum(len(one.tokens) for one in written) - len(prompts)
        whole = config.generation.max_new_tokens * len(prompts)
        writing = whole / (first + whole * max(seconds, 1e-9) / max(n_new, 1))
        texts = [(one.text * 4)[:500] for one in written if one.text.strip()]
    else:
        cells = run.own_texts("stories").values() if run.brings_corpus else []
        texts = list(itertools.chain.from_iterable(cells))
    texts = texts[:_MEASURED_TEXTS]
    if not texts:
        raise InvalidInput("plan: --measure needs a local writer or a corpus to read.")
    subject = models.subject()
    pooled_resid_post(subject, texts[:2], layers=config.activation.layers)
    start = time.perf_counter()
    pooled_resid_post(subject, texts, layers=config.activation.layers)
    n_tokens = sum(len(subject.encode(text)) for text in texts)
    return Rates(writing, n_tokens / (time.perf_counter() - start))


def _rows(config: Config, made: Plan, rates: Rates) -> Any:
    workers = config.compute.workers
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
        yield "time", "unknown: give --tokens_per_second=N, or --measure"
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
