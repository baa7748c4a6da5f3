"""One unit of a run, done for its measurements alone: how fast, how long, how many drafts.

1. The first unit of stories is written as the run would write it, with every round of drafts.
2. What was kept of it, or a sample of the user's own texts, is read in passes of the run's size.

Both are timed after a small pass that is not. `look` counts what such a unit, or the finished cells
of a folder, say of the texts to come.

Contract: the run's own models, units and jobs; nothing is stored. A unit is one sample, of the
first topics.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.commands.cost import Rates, Seen
from probes.corpus.cells import Text
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.stages.checks import check_layers
from probes.stages.units import LocalWriter, Reader, ReadingUnit, TuningUnit, plan

SAMPLE = 64
"""Of a user's own texts, how many are read."""
Content = dict[str, Any]
"""What a cell's file holds."""


def look(
    contents: Iterable[Content], n_tokens: Callable[[str], int], texts_per_prompt: int
) -> Seen | None:
    """Count drafts, kept texts and lengths of cells; None when they have no text.

    Parameters
    ----------
    n_tokens
        Number of tokens of a text, as the subject counts them.
    texts_per_prompt
        How many texts a prompt asked for.
    """
    texts: list[str] = []
    asked = prompts = 0
    usage: Counter[str] = Counter()
    for content in contents:
        texts += [text["text"] for text in content["texts"]]
        asked += content["requested"]
        prompts += math.ceil(content["requested"] / texts_per_prompt)
        usage.update(content.get("usage", {}))
    if not texts:
        return None
    counted = usage["requests"] > 0 and not usage["uncounted"]
    return Seen(
        drafts_per_prompt=usage["requests"] / prompts if usage["requests"] else None,
        tokens_per_draft=usage["completion_tokens"] / usage["requests"] if counted else None,
        kept_per_text=len(texts) / asked,
        tokens_per_text=sum(map(n_tokens, texts)) / len(texts),
        letters_per_text=sum(len(text.encode()) for text in texts) / len(texts),
    )


def own_contents(run: Run, kind: str = "stories") -> list[Content]:
    """Return a sample of the user's own texts as the contents of cells."""
    own = run.own_texts(kind)
    places = [(cell, number) for cell in own for number in range(own.count(cell))]
    picked = places[:: max(1, len(places) // SAMPLE)]
    return [{"texts": [{"text": own[cell][n]}], "requested": 1} for cell, n in picked]


def measure(run: Run) -> tuple[list[Content], Rates]:
    """Write one unit and read it back, with the models of the run; return its cells and rates.

    Raises
    ------
    InvalidInput
        When servers write: what they take is told by ``--dry-run``.
    DataError
        When no draft of the unit was kept.
    """
    models = Models(run.config)
    if run.brings_corpus:
        contents, writing = own_contents(run), None
    elif run.config.generation.engine == "local":
        contents, writing = _write(run, models)
    else:
        raise InvalidInput(
            "plan: --measure times models that are loaded here, and generation.engine=openai "
            "writes elsewhere. Ask the servers with --dry-run, and state a rate for reading: "
            "--reading_tokens_per_second=N."
        )
    texts = [text["text"] for content in contents for text in content["texts"]]
    return contents, Rates(writing, _reading_rate(run, models, texts))


def _write(run: Run, models: Models) -> tuple[list[Content], float]:
    """Return the contents of the first unit's cells, and new tokens per second."""
    unit = plan(run.config, "stories", run.story_cells)[0]
    author = LocalWriter(run.config, "stories", models)
    models.writer().generate(["Hello."], max_new_tokens=2)
    start = time.perf_counter()
    contents = list(author.do(unit, lambda _count: None).values())
    seconds = time.perf_counter() - start
    if not any(content["texts"] for content in contents):
        reasons = {one["reason"] for content in contents for one in content["rejected"]}
        raise DataError(
            f"plan: none of {unit.n_texts} texts was kept ({', '.join(sorted(reasons))}). Raise "
            "generation.max_new_tokens or max_attempts, lower min_words, or use a stronger writer."
        )
    new_tokens = sum(content["usage"]["completion_tokens"] for content in contents)
    return contents, new_tokens / seconds


def _reading_rate(run: Run, models: Models, texts: list[str]) -> float:
    """Return tokens per second, those before the offset too."""
    job, subject = Reader(run.config, models), models.subject()
    layers = check_layers(run, subject.n_layers)
    batch_tokens = run.config.activation.batch_tokens or job.do(
        TuningUnit(max(layers)), lambda _count: None
    )

    def read(texts: list[str]) -> None:
        rows = tuple(Text("trial", "trial", n, text) for n, text in enumerate(texts))
        unit = ReadingUnit(0, rows, tuple(layers), "stories", True, batch_tokens)
        job.do(unit, lambda _count: None)

    read(texts[:2])
    start = time.perf_counter()
    read(texts)
    seconds = time.perf_counter() - start
    return sum(len(subject.encode(text)) for text in texts) / seconds
