"""``plan --measure`` beside the run that it foretold: hours, tokens, disk.

The plan is made first, from one unit that is written and read and then forgotten; the run comes
after it and starts from nothing.
"""

import tempfile
from collections.abc import Callable

from benchmarks import small_runs
from benchmarks.children import Child
from benchmarks.tables import table
from probes.commands.cost import Rates
from probes.commands.plan import work_out
from probes.config import parse_config
from probes.corpus.cells import read_corpus
from probes.runs.folder import Run
from probes.runs.models import Models

Pairs = dict[str, tuple[float, float]]
"""What was planned and what it took, by name."""
_WRITER, _SUBJECT = "embedded:smollm2-135m-instruct", "embedded:gemma-3-270m"
_STAGES = ("generate-stories", "generate-neutral", "extract-activations")


def measure(n_topics: int, new_tokens: int) -> Pairs:
    """Plan a run of both embedded models, and run it."""
    with tempfile.TemporaryDirectory() as folder, Child(prepare, folder) as child:
        return child.ask(n_topics=n_topics, new_tokens=new_tokens).result


def prepare(folder: str) -> Callable[..., Pairs]:
    """Return the job; every run has its own folder."""

    def job(n_topics: int, new_tokens: int) -> Pairs:
        values = {
            "model": {"name": _SUBJECT},
            "writer": {"name": _WRITER},
            "generation": {
                "emotions_subset": ["happy", "sad", "angry", "afraid"],
                "topics_subset": n_topics,
                "stories_per_topic": 2,
                "max_new_tokens": new_tokens,
                "min_words": 20,
                "truncation": "trim",
                "batch_size": 16,
            },
            "neutral": {"form": "answer", "max_new_tokens": new_tokens, "min_words": 10},
            "activation": {"token_offset": 10},
            "output_dir": f"{folder}/{n_topics}",
        }
        run = Run(parse_config(values, "benchmark"), "benchmark")
        planned = work_out(run, Rates(), measured=True).plan
        models = Models(run.config)
        models.writer()  # loading is no part of a plan
        seconds = small_runs.do(run, models, _STAGES[:2])
        subject = models.subject()
        seconds |= small_runs.do(run, models, _STAGES[2:])
        records = [run.record(name) for name in _STAGES[:2]]
        usage = [record.counts["usage"] for record in records if record is not None]
        texts = read_corpus(run.root, [*run.story_cells, *run.neutral_cells])
        activations = [path.stat().st_size for path in (run.root / "activations").iterdir()]
        return {
            "seconds of writing": (
                3600 * (planned.writing_hours or 0.0),
                seconds["generate-stories"] + seconds["generate-neutral"],
            ),
            "seconds of reading": (
                3600 * (planned.reading_hours or 0.0),
                seconds["extract-activations"],
            ),
            "tokens written": (
                planned.tokens_written,
                sum(one["completion_tokens"] for one in usage),
            ),
            "tokens read": (
                planned.tokens_read,
                sum(len(subject.encode(text.text)) for text in texts),
            ),
            "bytes of activations": (planned.activation_bytes, sum(activations)),
        }

    return job


def ratios(planned_pairs: Pairs) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, planned beside taken, how near they were meant."""
    return [
        (f"plan / run: {name}", f"{planned / took:.2f}x", "0.8x to 1.2x")
        for name, (planned, took) in planned_pairs.items()
    ]


def section(planned_pairs: Pairs) -> str:
    """Return the table."""
    rows = [
        (name, f"{planned:,.0f}", f"{took:,.0f}", f"{planned / took - 1:+.0%}")
        for name, (planned, took) in planned_pairs.items()
    ]
    return f"""## The plan beside the run

`plan --measure` writes and reads one unit of 16 stories; then the run begins from nothing. Loading
models is left out of both.

{table(("what", "planned", "taken", "off by"), rows)}"""
