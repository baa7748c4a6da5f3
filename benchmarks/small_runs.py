"""Runs of the real pipeline with a random model: memory against texts, seconds against emotions.

Each run has a process of its own, so that its peak memory is its own.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import small_model
from benchmarks.children import Child
from benchmarks.tables import gigabytes, table
from probes import stages
from probes.config import parse_config
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Silent

Kind = Literal["reading", "writing"]
FEW, MANY = 200, 5000
TOPICS = 10
_STAGES = {
    "reading": ("generate-stories", "generate-neutral", "extract-activations"),
    "writing": ("generate-stories", "generate-neutral"),
}
EMOTIONS = (24, 72, 171)
LOOKING = ("compute-vectors", "analyze", "logit-lens")
_WRITTEN_CELLS = 200
_N_LAYERS = 16


@dataclass(frozen=True)
class Held:
    """Peak memory of one kind of work with few and with many texts."""

    kind: Kind
    peak_bytes: dict[int, int]
    ready_bytes: int
    seconds: dict[int, float]

    @property
    def ratio(self) -> float:
        """Peak with the most texts over the peak with the fewest."""
        return self.peak_bytes[max(self.peak_bytes)] / self.peak_bytes[min(self.peak_bytes)]


def memory(few: int = FEW, many: int = MANY) -> list[Held]:
    """Measure the peak of reading and of writing."""
    return [_held(kind, few, many) for kind in ("reading", "writing")]


def _held(kind: Kind, few: int, many: int) -> Held:
    peak, seconds, ready = {}, {}, 0
    for n_texts in (few, many):
        with (
            tempfile.TemporaryDirectory() as folder,
            Child(prepare, folder, kind, n_texts) as child,
        ):
            turn = child.ask(names=_STAGES[kind])
        peak[n_texts], seconds[n_texts], ready = turn.peak_bytes, turn.seconds, turn.ready_bytes
    return Held(kind, peak, ready, seconds)


def prepare(folder: str, kind: Kind, n_texts: int) -> Callable[..., dict[str, float]]:
    """Write model, corpus and config; the job runs stages and returns their seconds."""
    root = Path(folder)
    reads = kind == "reading"
    model = small_model.save(root / "model", _N_LAYERS if reads else 1)
    corpus = write_corpus(root, n_texts // TOPICS) if reads else {}
    run = _run(root, model, n_texts // _WRITTEN_CELLS, corpus)
    models = Models(run.config)
    models.subject()
    return lambda names: do(run, models, names)


def emotions(numbers: Sequence[int] = EMOTIONS) -> dict[int, dict[str, float]]:
    """Measure the stages' seconds by number of emotions, with as many texts of each."""
    with tempfile.TemporaryDirectory() as folder, Child(prepare_emotions, folder) as child:
        child.ask(number=5)  # imports and compiles
        return {number: child.ask(number=number).result for number in numbers}


def prepare_emotions(folder: str) -> Callable[..., dict[str, float]]:
    """Write and load the model; the job runs a corpus of some emotions."""
    model = small_model.save(Path(folder) / "model", _N_LAYERS)
    models: list[Models] = []

    def job(number: int) -> dict[str, float]:
        root = Path(folder) / str(number)
        root.mkdir()
        run = _run(root, model, 1, write_corpus(root, number))
        models[:] = models or [Models(run.config)]
        return do(run, models[0], [*_STAGES["reading"], *LOOKING])

    return job


def _run(root: Path, model: Path, per_topic: int, corpus: dict[str, str]) -> Run:
    generation = {
        "stories_per_topic": max(1, per_topic),
        "max_new_tokens": 24,
        "min_words": 3,
        "truncation": "trim",
        "batch_size": 96,
    }
    if not corpus:
        generation |= {"emotions_subset": _WRITTEN_CELLS // TOPICS, "topics_subset": TOPICS}
    values = {
        "model": {
            "name": str(model),
            "dtype": "float32",
            "device": "cpu",
            "backend": "huggingface",
        },
        "generation": generation,
        "neutral": {"form": "answer", "max_new_tokens": 16, "min_words": 3},
        "corpus": corpus,
        "activation": {"token_offset": 3},
        "analysis": {"n_bootstrap": 10, "n_permutations": 100},
        "logit_lens": {"top_k": 5, "n_shuffles": 10},
        "output_dir": str(root / "run"),
    }
    return Run(parse_config(values, "benchmark"), "benchmark")


def do(run: Run, models: Models, names: Sequence[str]) -> dict[str, float]:
    """Run stages and return the seconds of each."""
    run.prepare()
    seconds = {}
    for name in names:
        [stage] = stages.find_stages([name])
        stages.run_stage(run, stage, models, Silent())
        record = run.record(name) or {}
        seconds[name] = record["seconds"]
        if name == "generate-stories":
            seconds["texts"] = record["counts"]["accepted"]
    return seconds


def write_corpus(
    root: Path, emotions: int | Sequence[str], n_stories: int = 1, n_neutral: int = 2
) -> dict[str, str]:
    """Write stories per cell and neutral texts per topic, and return the config's section.

    Emotions are named, or numbered where only their number is given.
    """
    names = [f"emotion {i}" for i in range(emotions)] if isinstance(emotions, int) else emotions

    def text(number: int) -> str:
        words = small_model.WORDS
        return " ".join(words[(number + n * n) % len(words)] for n in range(10 + number % 20))

    topics = [f"topic {number}" for number in range(TOPICS)]
    stories = [
        {"emotion": name, "topic": topic, "text": text(7 * i + 3 * j + 11 * k)}
        for j, topic in enumerate(topics)
        for i, name in enumerate(names)
        for k in range(n_stories)
    ]
    neutral = [
        {"topic": topic, "text": text(n + k)}
        for n, topic in enumerate(topics)
        for k in range(n_neutral)
    ]
    section = {}
    for name, rows in (("stories", stories), ("neutral", neutral)):
        path = root / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        section[name] = str(path)
    return section


def ratios(held: Sequence[Held]) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how many times, how many were meant."""
    return [
        (
            f"memory of {each.kind}: {max(each.peak_bytes):,} / {min(each.peak_bytes)} texts",
            f"{each.ratio:.2f}x",
            "0.9x to 1.1x",
        )
        for each in held
    ]


def memory_section(held: Sequence[Held]) -> str:
    """Return the table of peaks."""
    rows = [
        (
            each.kind,
            f"{n:,}",
            gigabytes(each.peak_bytes[n]),
            gigabytes(each.peak_bytes[n] - each.ready_bytes),
            f"{each.seconds[n]:.0f}",
        )
        for each in held
        for n in sorted(each.peak_bytes)
    ]
    head = ("work", "texts", "peak memory", "above the loaded model", "seconds")
    return f"""## Memory against texts

The real stages with a random model. What is read of a text is {_N_LAYERS} x 512 numbers (33 kB).

{table(head, rows)}"""


def emotions_section(measured: dict[int, dict[str, float]]) -> str:
    """Return the table of seconds by number of emotions."""
    names = ("extract-activations", *LOOKING)
    rows = [
        (str(n), f"{seconds['texts']:,.0f}", *(f"{seconds[name]:.1f}" for name in names))
        for n, seconds in measured.items()
    ]
    return f"""## Seconds of the stages against emotions

The same random model; {TOPICS} texts of each emotion.

{table(("emotions", "texts", *names), rows)}"""
