"""What a run will take: FLOPs = 2 * parameters * tokens, hours = tokens / rate / workers.

Neutral texts count as stories until some were seen; attention and other stages are left out.
"""

import functools
import itertools
import operator
from dataclasses import dataclass

from hooks.memory import DEFAULT_BATCH_TOKENS
from hooks.models.architecture import Architecture
from probes.config import Config
from probes.stages.cost_of_reading import ThereAlready
from probes.stages.cost_of_writing import Amount, Asked, Seen, amount

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.0, "4bit": 0.5}
_RECORD = 120.0  # bytes of a text's entry beside the text
_CELL = 800.0  # bytes of a cell's file beside its texts
_RECORD_THERE, _CELL_THERE = 80.0, 110.0  # of texts that the run does not write
_ROW = 60.0  # bytes of a row in a shard's header
_SINGLE_LAYERS = 3  # at which stories are kept one by one beside means of cells
_WIDTHS = 12.0  # working space of a pass, in residual streams per token: MLP, attention, norms


@dataclass(frozen=True)
class Size:
    """One model as it is loaded, in float32, bfloat16, float16, 8bit or 4bit."""

    architecture: Architecture
    precision: str

    @property
    def weight_bytes(self) -> float:
        """Bytes of the weights in memory."""
        return self.architecture.n_parameters * _BYTES[self.precision]

    @property
    def number_bytes(self) -> float:
        """Bytes of one number that is computed; quantized weights compute in two bytes."""
        return max(2.0, _BYTES[self.precision])


@dataclass(frozen=True)
class RunDesign:
    """What a run asks for."""

    config: Config
    emotions: int
    stories: Asked
    neutral: Asked
    prompt_tokens_read: float  # of a prompt; a shared beginning is read once
    apart: float = 0.0  # share of the stories in whose shards closings are read apart
    said: ThereAlready | None = None
    matched: ThereAlready | None = None


@dataclass(frozen=True)
class Rates:
    """Tokens per second of one worker; None where nothing is known."""

    writing: float | None = None
    reading: float | None = None


@dataclass(frozen=True)
class RunPlan:
    """What the run will take."""

    stories: int
    said: int
    dialogues: int
    matched: int
    tokens_written: float
    tokens_read: float
    writing_flops: float
    reading_flops: float
    text_bytes: float
    activation_bytes: float
    per_cell: bool
    vector_bytes: float
    writing_memory: float  # bytes on each GPU (or in the machine) while writing
    reading_memory: float
    writing_hours: float | None
    reading_hours: float | None
    unit_texts: int
    unit_hours: float | None  # what is lost at most when writing is interrupted, per worker
    shard_hours: float | None

    @property
    def disk_bytes(self) -> float:
        """Everything on disk but figures and tables."""
        return self.text_bytes + self.activation_bytes + self.vector_bytes


def plan(
    design: RunDesign,
    writer: Size | None,
    subject: Size,
    seen: Seen,
    rates: Rates,
    seen_neutral: Seen | None = None,
) -> RunPlan:
    """Work out what a run will take; `writer` is None where no model writes here.

    An unknown reading rate is the writing rate at equal FLOPs per second, which is slower.
    """
    config, stories = design.config, amount(design.stories, seen)
    neutral = amount(design.neutral, seen_neutral or seen)
    both = stories + neutral
    beside = [it for it in (design.said, design.matched) if it is not None]
    asked = [design.stories, design.neutral, *(it.asked for it in beside)]
    kinds = [stories, neutral, *(amount(it.asked, it.seen) for it in beside)]
    everything = functools.reduce(operator.add, kinds)
    layers, n_layers = config.activation.layers, subject.architecture.n_layers
    flops_per_token = subject.architecture.reading_flops()
    if layers is not None:
        n_layers = len(layers)
        flops_per_token = subject.architecture.reading_flops(max(layers) + 1)
    reading_rate, writing_flops, written = rates.reading, 0.0, 0.0
    if writer is not None:
        written = both.new_tokens
        per_token = writer.architecture.writing_flops()
        prompts = both.drafts * design.prompt_tokens_read * writer.architecture.reading_flops()
        writing_flops = both.new_tokens * per_token + prompts
        if reading_rate is None and rates.writing is not None:
            reading_rate = rates.writing * per_token / flops_per_token
    per_topic = config.generation.stories_per_topic
    unit_cells = max(1, config.generation.batch_size // per_topic)
    unit_tokens = stories.new_tokens * unit_cells / design.stories.cells
    longest = max(kind.read / kind.kept if kind.kept else 0.0 for kind in kinds)
    shard_tokens = config.activation.shard_size * longest
    workers = config.compute.units_at_once
    width = n_layers * subject.architecture.d_model * 4
    keep, limit = config.activation.keep, config.activation.max_gigabytes * 1e9
    per_cell = keep == "cell" or (keep == "auto" and design.stories.texts * width > limit)
    rows, dialogues = design.stories.cells if per_cell else stories.kept, design.neutral.texts
    row_bytes = width + 4 * n_layers + 16 + _ROW
    single_bytes = _SINGLE_LAYERS / n_layers * (1 + design.apart) * width * stories.kept
    bytes_beside = sum(it.asked.texts * (row_bytes + it.apart * width) for it in beside)
    # Vectors before and after denoising, and of every other way.
    n_sets = 2 + (design.said is not None) + (design.apart > 0)
    return RunPlan(
        stories=design.stories.texts,
        said=0 if design.said is None else design.said.asked.texts,
        dialogues=design.neutral.texts,
        matched=0 if design.matched is None else design.matched.asked.texts,
        tokens_written=written,
        tokens_read=everything.read,
        writing_flops=writing_flops,
        reading_flops=everything.read * flops_per_token,
        text_bytes=sum(itertools.starmap(_text_bytes, zip(asked, kinds, strict=True))),
        activation_bytes=(rows + dialogues) * row_bytes
        + rows * design.apart * width
        + bytes_beside
        + (single_bytes if per_cell else 0.0)
        + dialogues * config.activation.neutral_tokens_per_text * width,
        per_cell=per_cell,
        vector_bytes=float(n_sets * design.emotions + 2) * width,
        writing_memory=0.0 if writer is None else _writing_memory(design, writer),
        reading_memory=_reading_memory(design, subject),
        writing_hours=None if writer is None else _hours(written, rates.writing, workers),
        reading_hours=_hours(everything.read, reading_rate, workers),
        unit_texts=unit_cells * per_topic,
        unit_hours=None if writer is None else _hours(unit_tokens, rates.writing),
        shard_hours=_hours(shard_tokens, reading_rate),
    )


def _text_bytes(asked: Asked, expected: Amount) -> float:
    record, cell = (_RECORD, _CELL) if asked.new_tokens else (_RECORD_THERE, _CELL_THERE)
    return expected.drafts * record + expected.letters + asked.cells * cell


def _hours(tokens: float, rate: float | None, workers: int = 1) -> float | None:
    return tokens / rate / 3600 / workers if rate else None


def _writing_memory(design: RunDesign, size: Size) -> float:
    batch, sizes = design.config.generation.batch_size, size.architecture
    prompt_tokens = design.stories.prompt_tokens
    length = prompt_tokens + max(design.stories.new_tokens, design.neutral.new_tokens)
    cache = batch * length * sizes.cache_numbers * size.number_bytes
    logits = 2.0 * batch * sizes.d_vocab * 4
    prompt = batch * prompt_tokens * sizes.d_model * _WIDTHS * size.number_bytes
    gpus = design.config.n_gpus(design.config.generation.engine)
    return (size.weight_bytes + cache + max(logits, prompt)) / gpus


def _reading_memory(design: RunDesign, size: Size) -> float:
    tokens = design.config.activation.batch_tokens or DEFAULT_BATCH_TOKENS
    working = tokens * size.architecture.d_model * _WIDTHS * size.number_bytes
    gpus = design.config.n_gpus(design.config.activation.engine)
    return (size.weight_bytes + working) / gpus
