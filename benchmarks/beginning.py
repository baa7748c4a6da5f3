"""What a beginning-of-sequence token is worth before plain text, to a model and to its vectors."""

import contextlib
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hooks
from benchmarks.measure import say
from benchmarks.tables import table
from hooks.reading.scoring import next_tokens
from hooks.tokens import encoding
from hooks.tokens.positions import FromToken
from probes.config import load_config
from probes.corpus.reference import endings, situations
from probes.experiments import find_entries
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stages import find_stages, run_stage
from probes.storage import read_object

MODELS = ("embedded:smollm2-135m-instruct", "embedded:gemma-3-270m")
SUBJECT = MODELS[0]
"""Its tokenizer puts no BOS before plain text."""
_N_TEXTS = 40
_STAGES = (
    "generate-stories",
    "generate-neutral",
    "extract-activations",
    "compute-vectors",
    "analyze",
    "validate",
)


@dataclass(frozen=True)
class Worth:
    """Each behind a beginning, and without one."""

    dtype: str
    n_texts: int
    perplexities: dict[str, tuple[float, float]]
    """Of stories, by model; of the same tokens."""
    accuracy: tuple[str, str]
    """How `held-out-topics` spells what SUBJECT's vectors name, with its interval."""


def measure(dtype: str, *, quick: bool) -> Worth:
    """Read stories of the corpus with both models, and make the demo's vectors of one, twice."""
    texts = _stories()[: 4 if quick else _N_TEXTS]
    perplexities = {}
    for name in MODELS:
        say(f"beginning: {name} reads {len(texts)} stories")
        model = hooks.load(name, backend="huggingface", dtype=dtype)
        perplexities[name] = _perplexities(model, texts)
    behind = _accuracy(dtype, quick=quick)
    with _no_beginning():
        without = _accuracy(dtype, quick=quick)
    return Worth(dtype, len(texts), perplexities, (behind, without))


def _stories() -> list[str]:
    """Return stories of the corpus, spread over emotions and topics."""
    around = {it.name: it for it in situations()}
    everything = [around[it.topic].around(it.text).whole for it in endings()]
    return everything[:: len(everything) // _N_TEXTS]


def _perplexities(model: hooks.LanguageModel, texts: list[str]) -> tuple[float, float]:
    """Perplexity of what follows the first two tokens of texts, behind a BOS and without one."""
    totals, count = [0.0, 0.0], 0
    for text in texts:
        ids = model.encode(text)
        behind, without = next_tokens(model, [ids], FromToken(1)), next_tokens(model, [ids[1:]])
        totals[0] += behind.loss * len(behind.next_ids)
        totals[1] += without.loss * len(behind.next_ids)
        count += len(behind.next_ids)
    return math.exp(totals[0] / count), math.exp(totals[1] / count)


@contextlib.contextmanager
def _no_beginning() -> Iterator[None]:
    """Encode plain text without a BOS."""
    usual = encoding.encode_text

    def plain(tokenizer: Any, text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    encoding.encode_text = plain
    try:
        yield
    finally:
        encoding.encode_text = usual


def _accuracy(dtype: str, *, quick: bool) -> str:
    few = {"generation.topics_subset": 3 if quick else 8}
    few |= {"generation.emotions_subset": 6} if quick else {}
    with tempfile.TemporaryDirectory() as folder:
        changed = {
            "model.name": SUBJECT,
            "model.dtype": dtype,
            "validation.experiments": ["held-out-topics"],
            "output_dir": f"{folder}/run",
            **few,
        }
        run = Run(load_config("demo", changed), "demo")
        run.prepare()
        models = Models(run.config)
        for stage in find_stages(_STAGES):
            say(f"beginning: {stage.name}")
            run_stage(run, stage, models, Silent())
        [experiment] = find_entries(run.config.validation.experiments)
        result = read_object(run.root / experiment.file)
    _, verdict = result["rows"][0]
    return verdict.split(" (")[0]


def section(worth: Worth) -> str:
    """Return the table."""
    rows = [
        (f"perplexity of {worth.n_texts} stories, {name}", *(f"{value:.1f}" for value in both))
        for name, both in worth.perplexities.items()
    ]
    rows.append((f"emotions named on held-out topics, {SUBJECT}", *worth.accuracy))
    return f"""## A beginning before plain text, {worth.dtype}

{table(("", "behind a BOS", "without"), rows)}"""
