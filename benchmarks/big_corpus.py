"""A corpus of the paper's size: how long it takes to open, and to see that nothing is left to do.

171 emotions x 100 topics x 12 stories lie in 17,100 files, made up and written without care for
power cuts. What is measured is the pipeline's own: counting the texts of every cell, as extraction
does first, and the command that finds both writing stages finished.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import Child
from benchmarks.measure import seconds
from benchmarks.tables import table
from benchmarks.texts import texts
from probes import stages
from probes.config import load_config
from probes.corpus.cells import Cell, count_texts
from probes.runs.folder import Run

_CONFIG = "default"
_WRITING = ("generate-stories", "generate-neutral")


@dataclass(frozen=True)
class Opened:
    """Seconds with a corpus of some size."""

    stories: int
    cells: int
    bytes: int
    open_seconds: float
    resume_seconds: float
    """Of the whole command, from its start to its end."""


def make(root: Path, n_topics: int) -> tuple[int, int, int]:
    """Write a finished corpus; return the numbers of stories, cells and bytes."""
    run = _run(root, n_topics)
    config = run.config
    story = [f"{text} {text}" for text in texts(64)]
    n_bytes = n_stories = 0
    counts = (config.generation.stories_per_topic, config.neutral.dialogues_per_topic)
    for cells, count in zip((run.story_cells, run.neutral_cells), counts, strict=True):
        for number, cell in enumerate(cells):
            path = root / cell.path
            path.parent.mkdir(parents=True, exist_ok=True)
            made = [story[(number + place) % 64] for place in range(count)]
            n_bytes += path.write_text(json.dumps(_content(cell, made), indent=1), "utf-8")
        n_stories += len(cells) * count if cells[0].emotion else 0
    for name in _WRITING:
        [stage] = stages.find_stages([name])
        run.begin(name, stage.settings(run), {})
        run.finish(name, stages.outputs(run, stage), {}, 0.0)
    return n_stories, len(run.story_cells), n_bytes


def _content(cell: Cell, made: list[str]) -> dict[str, object]:
    rows = [
        {"attempt": 1, "index": i, "phrasing": "novel", "text": text, "trimmed": False}
        for i, text in enumerate(made)
    ]
    rejected = [{"attempt": 1, "index": 0, "phrasing": "novel", "reason": "leak: word"}]
    about = {"emotion": cell.emotion, "topic": cell.topic, "texts": rows, "rejected": rejected}
    sampling = {"max_new_tokens": 256, "temperature": 0.8, "top_k": 50, "top_p": 1.0}
    writer = {"name": "writer", "fingerprint": "0" * 16, "dtype": "bfloat16", "quantize": None}
    return {
        **about,
        "requested": len(made),
        "attempts": 1,
        "sampling": sampling,
        "writer": writer,
        "seed": 0,
    }


def _run(root: Path, n_topics: int) -> Run:
    settings = {"output_dir": str(root), "generation.topics_subset": n_topics}
    return Run(load_config(_CONFIG, settings), _CONFIG)


def prepare(folder: str, n_topics: int) -> Callable[[], int]:
    """Return a job that opens the corpus, and says how many stories it has."""
    run = _run(Path(folder), n_topics)
    return lambda: sum(count_texts(run.root, run.story_cells))


def measure(n_topics: int = 100, tries: int = 2) -> Opened:
    """Make the corpus, open it, and ask the command to write it again; the best of some tries."""
    with tempfile.TemporaryDirectory() as folder:
        stories, cells, n_bytes = make(Path(folder), n_topics)
        with Child(prepare, folder, n_topics) as child:
            turns = [child.ask() for _ in range(tries)]
        command = [sys.executable, "-m", "probes.run", _CONFIG, *_WRITING, "--quiet"]
        command += [f"--output_dir={folder}", f"--generation.topics_subset={n_topics}"]
        resumed = [_timed(command) for _ in range(tries)]
    if {turn.result for turn in turns} != {stories}:
        raise RuntimeError(f"expected {stories} stories, got {turns[0].result}.")
    opened = min(turn.seconds for turn in turns)
    return Opened(stories, cells, n_bytes, opened, min(resumed))


def _timed(command: list[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def section(opened: Opened) -> str:
    """Return the table."""
    rows = [
        ("open the corpus (count the texts of every cell)", f"{opened.open_seconds:.1f}"),
        ("the whole command that finds its writing finished", f"{opened.resume_seconds:.1f}"),
    ]
    return f"""## A corpus of {opened.stories:,} stories in {opened.cells:,} cells

{opened.bytes / 1e6:.0f} MB, files cached by the system; the better of two.

{table(("what", "seconds"), rows)}"""
