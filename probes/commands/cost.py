"""What a run will take, before it begins: texts, tokens, FLOPs, disk, memory, hours.

    drafts         = prompts * drafts per prompt
    tokens written = drafts * new tokens per draft
    tokens read    = texts kept * tokens per text
    FLOPs          = 2 * parameters * tokens (attention over short texts is left out)
    activations    = texts * layers * d_model * 4 bytes (above the budget: cells instead of texts)
    memory per GPU = weights / GPUs per worker + the larger of writing's and reading's working space
    hours          = tokens / rate / workers

Contract: pure arithmetic on what is asked for and what was seen; it knows no files and no models.
Until something was written, every draft is taken to be kept and of full length: `Seen` says better.
Neutral texts are taken to be like stories until some were seen. Time of stages that neither write
nor read is left out.
"""

import math
from dataclasses import dataclass

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.0, "4bit": 0.5}
_LETTERS_PER_TOKEN = 4.0
_RECORD = 120.0
"""Bytes of a text's entry in its cell's file beside the text."""
_CELL = 800.0
"""Bytes of a cell's file beside its texts."""
_ROW = 60.0
"""Bytes of a row in a shard's header."""
_WIDTHS = 12.0
"""Working space of a pass, in residual streams per token: MLP, attention, norms."""


@dataclass(frozen=True)
class Size:
    """One model, as `hooks.models.architecture` counts it."""

    n_parameters: int
    reading_flops: float
    """Per token."""
    writing_flops: float
    cache_numbers: int
    d_model: int
    d_vocab: int
    precision: str
    """float32, bfloat16, float16, 8bit or 4bit."""

    @property
    def weight_bytes(self) -> float:
        """Bytes of the weights in memory."""
        return self.n_parameters * _BYTES[self.precision]


@dataclass(frozen=True)
class Task:
    """What the config asks for."""

    emotions: int
    topics: int
    stories_per_topic: int
    dialogues_per_topic: int
    new_tokens: int
    """Limit of an answer with stories."""
    neutral_new_tokens: int
    prompt_tokens: float
    """Length of a prompt."""
    prompt_tokens_read: float
    """Of a prompt, where beginnings that several share are read once."""
    batch_size: int
    layers: int
    batch_tokens: int
    shard_size: int
    neutral_tokens_per_text: int
    max_gigabytes: float
    keep: str
    stories_per_prompt: int = 1
    workers: int = 1
    gpus_per_worker: float = 1.0

    @property
    def stories(self) -> int:
        """Stories asked for."""
        return self.emotions * self.topics * self.stories_per_topic

    @property
    def dialogues(self) -> int:
        """Neutral texts asked for."""
        return self.topics * self.dialogues_per_topic

    @property
    def prompts_per_cell(self) -> int:
        """Prompts that ask for a cell's stories."""
        return math.ceil(self.stories_per_topic / self.stories_per_prompt)


@dataclass(frozen=True)
class Seen:
    """What earlier work says about texts of one kind; None where nothing is known."""

    drafts_per_prompt: float | None = None
    """Answers to a prompt until its texts were kept or given up."""
    tokens_per_draft: float | None = None
    """New tokens of an answer, as the writer counts them."""
    kept_per_text: float | None = None
    """Share of the texts asked for that were kept in the end."""
    tokens_per_text: float | None = None
    """Tokens of a text that was kept, as the subject counts them."""
    letters_per_text: float | None = None


@dataclass(frozen=True)
class Rates:
    """Tokens per second of one worker; None where nothing is known."""

    writing: float | None = None
    reading: float | None = None


@dataclass(frozen=True)
class Plan:
    """What the run will take."""

    stories: int
    dialogues: int
    tokens_written: float
    tokens_read: float
    writing_flops: float
    reading_flops: float
    text_bytes: float
    activation_bytes: float
    per_cell: bool
    vector_bytes: float
    writing_memory: float
    """Bytes on each GPU (or in the machine) while writing."""
    reading_memory: float
    writing_hours: float | None
    reading_hours: float | None
    unit_texts: int
    unit_hours: float | None
    """What is lost at most when writing is interrupted, per worker."""
    shard_hours: float | None

    @property
    def disk_bytes(self) -> float:
        """Everything on disk but figures and tables."""
        return self.text_bytes + self.activation_bytes + self.vector_bytes


@dataclass(frozen=True)
class _Amount:
    """What is written and read of one kind of text."""

    drafts: float
    written: float
    kept: float
    read: float
    letters: float

    def __add__(self, other: "_Amount") -> "_Amount":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Amount(*[one + another for one, another in pairs])


def _amount(prompts: int, texts: int, limit: int, seen: Seen) -> _Amount:
    drafts = prompts * (seen.drafts_per_prompt or 1.0)
    kept = texts * (1.0 if seen.kept_per_text is None else seen.kept_per_text)
    read = kept * (seen.tokens_per_text or limit * prompts / texts)
    return _Amount(
        drafts=drafts,
        written=drafts * (seen.tokens_per_draft or limit),
        kept=kept,
        read=read,
        letters=kept * seen.letters_per_text
        if seen.letters_per_text
        else read * _LETTERS_PER_TOKEN,
    )


def plan(
    task: Task,
    writer: Size | None,
    subject: Size,
    seen: Seen,
    rates: Rates,
    seen_neutral: Seen | None = None,
) -> Plan:
    """Work out what a run will take; `writer` is None where no model writes here.

    A reading rate that is not known is taken to be the writing rate at equal FLOPs per second,
    which is slower than reading really is.
    """
    n_prompts = task.emotions * task.topics * task.prompts_per_cell
    stories = _amount(n_prompts, task.stories, task.new_tokens, seen)
    both = stories + _amount(
        task.dialogues, task.dialogues, task.neutral_new_tokens, seen_neutral or seen
    )
    written, read = 0.0 if writer is None else both.written, both.read
    reading_rate = rates.reading
    if reading_rate is None and rates.writing is not None and writer is not None:
        reading_rate = rates.writing * writer.writing_flops / subject.reading_flops
    prompts = both.drafts * task.prompt_tokens_read

    def hours(tokens: float, rate: float | None) -> float | None:
        return tokens / rate / 3600 / task.workers if rate else None

    row_bytes = task.layers * (subject.d_model + 1) * 4 + 16 + _ROW
    per_cell = task.keep == "cell" or (
        task.keep == "auto"
        and task.stories * task.layers * subject.d_model * 4 > task.max_gigabytes * 1e9
    )
    story_rows = task.emotions * task.topics if per_cell else stories.kept
    kept_tokens = task.dialogues * task.neutral_tokens_per_text * task.layers * subject.d_model * 4
    n_cells = task.emotions * task.topics + task.topics
    unit_cells = max(1, task.batch_size // task.stories_per_topic)
    unit_texts = unit_cells * task.stories_per_topic
    unit_tokens = stories.written * unit_cells / (task.emotions * task.topics)
    shard_tokens = task.shard_size * read / both.kept if both.kept else 0.0
    return Plan(
        stories=task.stories,
        dialogues=task.dialogues,
        tokens_written=written,
        tokens_read=read,
        writing_flops=0.0
        if writer is None
        else written * writer.writing_flops + prompts * writer.reading_flops,
        reading_flops=read * subject.reading_flops,
        text_bytes=both.drafts * _RECORD + both.letters + n_cells * _CELL,
        activation_bytes=(story_rows + task.dialogues) * row_bytes + kept_tokens,
        per_cell=per_cell,
        vector_bytes=2.0 * task.layers * (task.emotions + 1) * subject.d_model * 4,
        writing_memory=0.0 if writer is None else _writing_memory(task, writer),
        reading_memory=_reading_memory(task, subject),
        writing_hours=None if writer is None else hours(written, rates.writing),
        reading_hours=hours(read, reading_rate),
        unit_texts=unit_texts,
        unit_hours=None
        if writer is None or not rates.writing
        else unit_tokens / rates.writing / 3600,
        shard_hours=shard_tokens / reading_rate / 3600 if reading_rate else None,
    )


def _number_bytes(size: Size) -> float:
    """Bytes of one number that is computed; quantized weights compute in two bytes."""
    return max(2.0, _BYTES[size.precision])


def _writing_memory(task: Task, size: Size) -> float:
    length = task.prompt_tokens + max(task.new_tokens, task.neutral_new_tokens)
    cache = task.batch_size * length * size.cache_numbers * _number_bytes(size)
    logits = 2.0 * task.batch_size * size.d_vocab * 4
    prompt = task.batch_size * task.prompt_tokens * size.d_model * _WIDTHS * _number_bytes(size)
    return _per_gpu(size.weight_bytes + cache + max(logits, prompt), task)


def _reading_memory(task: Task, size: Size) -> float:
    working = task.batch_tokens * size.d_model * _WIDTHS * _number_bytes(size)
    return _per_gpu(size.weight_bytes + working, task)


def _per_gpu(total: float, task: Task) -> float:
    return total / max(1.0, task.gpus_per_worker)
