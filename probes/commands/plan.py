"""``emotion-probes plan``: what a run will take, from a trial unit if measured; stores nothing."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hooks.errors import DataError, InvalidInput
from hooks.generation.prefill import tokens_to_read
from hooks.memory import DEFAULT_BATCH_TOKENS
from hooks.models.precision import resolve_device, resolve_dtype
from hooks.tokens.encoding import Encoder, encode_text, is_chat
from probes.commands import Plan as Flags
from probes.commands.call import Call
from probes.commands.cost import Rates, RunDesign, RunPlan, Size, plan
from probes.commands.terminal import file_size
from probes.config import Config, ModelSettings, WriterSettings
from probes.corpus.cells import Passage, Text
from probes.corpus.writing import Rules
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import duration, unheard
from probes.stages.checks import check_layers, describe, first_prompts_of, load_tokenizer
from probes.stages.cost_of_reading import ThereAlready, passing, there_already
from probes.stages.cost_of_writing import Asked, Content, Seen, asked_for, cells_of, look, recorded
from probes.stages.units import LocalWriter, Reader, ReadingUnit, TextKind, rules
from probes.stages.units import plan as cut
from probes.vectors.activations import Kind

_SAMPLE = 64  # of a user's own texts, how many are read to measure a rate


def main(call: Call[Flags]) -> int:
    """Print what the config's run will take."""
    run, flags = call.run(), call.flags
    rates = Rates(flags.tokens_per_second, flags.reading_tokens_per_second)
    forecast = work_out(run, rates, measured=flags.measure)
    title = f"{run.source} would take ({forecast.source})"
    call.terminal.table(title, list(_rows(run.config, forecast)))
    call.terminal.result(forecast.numbers())
    return 0


@dataclass(frozen=True)
class Forecast:
    """A plan and what it rests on."""

    plan: RunPlan
    seen: Seen | None
    rates: Rates
    source: str

    def numbers(self) -> dict[str, Any]:
        """Return everything as numbers: tokens, bytes, FLOPs, hours."""
        basis = {"tokens_per_second": asdict(self.rates), "seen": self.seen and asdict(self.seen)}
        disk = self.plan.disk_bytes
        return {**asdict(self.plan), "disk_bytes": disk, **basis, "source": self.source}


def work_out(run: Run, rates: Rates, *, measured: bool) -> Forecast:
    """Return the plan; with `measured`, from a unit that is written and read for it."""
    config, writer = run.config, run.config.writer_model if _writes_here(run) else None
    chat = is_chat(load_tokenizer(writer)) if writer else config.endpoint.api == "chat"
    ruled = rules(config, "stories", chat=chat)

    def n_tokens(text: str) -> int:
        return len(encode_text(load_tokenizer(config.model), text))

    there = _there_already(run)

    def seen_of(kind: TextKind, texts_per_prompt: int) -> Seen | None:
        if kind in there:
            return there[kind].seen
        return recorded(run, kind, texts_per_prompt, n_tokens)

    seen = seen_of("stories", ruled.at_once)
    lengths = "full-length texts" if seen is None else "lengths and rejections of this folder's"
    if run.brings_corpus:
        lengths = "lengths of a sample"
    if measured:
        contents, rates = measure(run)
        if seen is None:
            seen = look(contents, ruled.at_once, n_tokens)
            lengths = "lengths and rejections of one unit"
    design, writer_size = _design(run, ruled, there), None if writer is None else _size(writer)
    size, neutral = _size(config.model), seen_of("neutral", 1)
    made = plan(design, writer_size, size, seen or Seen(), rates, neutral)
    speeds = "rates measured here" if measured else "stated rate" if rates.writing else "no rate"
    return Forecast(made, seen, rates, f"{lengths}; {speeds}")


def _writes_here(run: Run) -> bool:
    return run.config.generation.engine != "openai" and not run.brings_corpus


def _engines(run: Run) -> list[str]:
    """Return the engines that load a model of this run."""
    written = [] if run.brings_corpus else [run.config.generation.engine]
    return [*written, run.config.activation.engine]


def _size(settings: ModelSettings | WriterSettings) -> Size:
    dtype = resolve_dtype(settings.dtype, resolve_device(settings.device))
    precision = settings.quantize or str(dtype).removeprefix("torch.")
    return Size(describe(str(settings.name), settings.revision), precision)


def _there_already(run: Run) -> dict[Kind, ThereAlready]:
    """Return what is known of the texts that the run has and does not write, by kind."""
    kinds: tuple[Kind, ...] = ("said", "matched")
    if run.brings_corpus:
        kinds = ("stories", "neutral", *kinds)
    present: list[Kind] = [kind for kind in kinds if cells_of(run, kind)]
    if not present:
        return {}
    encoder, can_share = Encoder(load_tokenizer(run.config.model)), _can_share(run.config)
    return {kind: there_already(run, kind, encoder, can_share=can_share) for kind in present}


def _can_share(config: Config) -> bool:
    if config.activation.engine == "vllm":
        return True
    # Where a model is spread over devices, hooks of others hang on it.
    return config.model.device_map is None and _size(config.model).architecture.can_share


def _design(run: Run, ruled: Rules, there: Mapping[Kind, ThereAlready]) -> RunDesign:
    config, n_emotions = run.config, len(run.emotions)
    said, matched = there.get("said"), there.get("matched")
    if run.brings_corpus:
        stories, nothing = there["stories"], Asked(0, 0, 0, prompt_tokens=0.0, new_tokens=0)
        return RunDesign(  # no prompt asks for these
            config,
            n_emotions,
            stories.asked,
            there["neutral"].asked if "neutral" in there else nothing,
            prompt_tokens_read=0.0,
            apart=stories.apart,
            said=said,
            matched=matched,
        )
    prompts = first_prompts_of(run, "stories", ruled)
    length = sum(map(len, prompts)) / len(prompts)
    ruled_neutral = rules(config, "neutral", chat=True)
    asked = (
        asked_for(config, "stories", len(run.story_cells), ruled, length),
        asked_for(config, "neutral", len(run.neutral_cells), ruled_neutral, length),
    )
    read = tokens_to_read(prompts) / len(prompts)
    return RunDesign(
        config, n_emotions, *asked, prompt_tokens_read=read, said=said, matched=matched
    )


def _sample(run: Run) -> list[Text]:
    """Return stories that stand beside each other, as they are read."""
    corpus = run.texts.corpus("stories").texts
    numbered = [(cell, n) for cell in run.story_cells for n in range(corpus.count(cell))]
    start = max(0, len(numbered) - _SAMPLE) // 2
    return [
        Text(cell.emotion, cell.topic, n, corpus[cell][n])
        for cell, n in numbered[start : start + _SAMPLE]
    ]


def measure(run: Run) -> tuple[list[Content], Rates]:
    """Write one unit (DataError if none is kept) and read it back; return its cells and rates."""
    models = Models(run.config)
    if "vllm" in _engines(run):
        raise InvalidInput(
            "plan: --measure times models loaded here, not those of vLLM: state its rates with "
            "--tokens_per_second=N and --reading_tokens_per_second=N."
        )
    if run.brings_corpus:
        return [], Rates(None, _reading_rate(run, models, _sample(run)))
    if not _writes_here(run):
        raise InvalidInput(
            "plan: --measure times models loaded here, not the servers of generation.engine=openai:"
            " use --dry-run for those, and state --reading_tokens_per_second=N."
        )
    contents, writing = _write(run, models)
    written = [text["text"] for content in contents for text in content["texts"]]
    texts = [Text("trial", "trial", n, Passage(text)) for n, text in enumerate(written)]
    return contents, Rates(writing, _reading_rate(run, models, texts))


def _write(run: Run, models: Models) -> tuple[list[Content], float]:
    unit = cut(run, "stories", run.story_cells)[0]
    writer = LocalWriter(run.config, "stories", models)
    models.writer().generate(["Hello."], max_new_tokens=2)
    start = time.perf_counter()
    contents = list(writer.do(unit, unheard).values())
    seconds = time.perf_counter() - start
    if not any(content["texts"] for content in contents):
        reasons = {one["reason"] for content in contents for one in content["rejected"]}
        raise DataError(
            f"plan: none of {unit.n_texts} texts was kept ({', '.join(sorted(reasons))}). Raise "
            "generation.max_new_tokens or max_attempts, lower min_words, or use a stronger writer."
        )
    new_tokens = sum(content["usage"]["completion_tokens"] for content in contents)
    return contents, new_tokens / seconds


def _reading_rate(run: Run, models: Models, texts: Sequence[Text]) -> float:
    """Return tokens per second of those that go through the model."""
    reader, subject = Reader(run.config, models), models.subject()
    layers = tuple(check_layers(run, subject.n_layers))
    batch_tokens = run.config.activation.batch_tokens or DEFAULT_BATCH_TOKENS

    def read(texts: Sequence[Text]) -> None:
        unit = ReadingUnit(0, tuple(texts), layers, "stories", batch_tokens)
        reader.do(unit, unheard)

    read(texts[:2])
    start = time.perf_counter()
    read(texts)
    seconds = time.perf_counter() - start
    can_share, settings = _can_share(run.config), run.config.activation
    return passing(subject, texts, "stories", settings, can_share=can_share).n_tokens / seconds


def _rows(config: Config, forecast: Forecast) -> Iterator[tuple[str, str]]:
    made, rates = forecast.plan, forecast.rates
    beside = f", {made.said:,} that say an emotion" if made.said else ""
    matched = f", {made.matched:,} neutral in the stories' places" if made.matched else ""
    yield "texts", f"{made.stories:,} stories{beside}, {made.dialogues:,} neutral{matched}"
    written = f"{made.tokens_written:,.0f}; {made.writing_flops:.2e} FLOP"
    none = "none here (for an endpoint's, see --dry-run)"
    yield "tokens written", written if made.tokens_written else none
    yield "tokens read", f"{made.tokens_read:,.0f}; {made.reading_flops:.2e} FLOP"
    kept = "one mean per (emotion, topic)" if made.per_cell else "per story"
    parts = f"texts {file_size(made.text_bytes)}, activations {file_size(made.activation_bytes)}"
    parts += f" ({kept}), vectors {file_size(made.vector_bytes)}"
    yield "disk", f"{file_size(made.disk_bytes)}: {parts}"
    memory = (
        f"reading {file_size(made.reading_memory)} on {config.n_gpus(config.activation.engine):g}"
    )
    if made.tokens_written:
        n_gpus = config.n_gpus(config.generation.engine)
        memory = f"writing {file_size(made.writing_memory)} on {n_gpus:g}, {memory}"
    yield "memory per GPU", f"{memory} per worker (at most; without the runtime's own)"
    writing = ("writing", made.writing_hours, rates.writing)
    reading = ("reading", made.reading_hours, rates.reading)
    parts = [
        f"{name} {duration(3600 * hours)}" + (f" at {rate:,.0f} tokens/s" if rate else "")
        for name, hours, rate in (writing, reading)
        if hours is not None
    ]
    if not parts:
        rate = "tokens_per_second" if made.tokens_written else "reading_tokens_per_second"
        yield "time", f"unknown: give --{rate}=N, or --measure"
        return
    total = duration(3600 * ((made.writing_hours or 0.0) + (made.reading_hours or 0.0)))
    yield "time", f"{total} with {config.compute.units_at_once} worker(s): {', '.join(parts)}"
    if made.unit_hours is not None:
        lost = duration(3600 * made.unit_hours)
        yield "an interrupted unit", f"{made.unit_texts} texts, at most {lost} of writing"
    if made.shard_hours is not None:
        yield "an interrupted shard", f"at most {duration(3600 * made.shard_hours)} of reading"
