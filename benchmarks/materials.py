"""How often experiments read a run's activations, and how often they decompose its neutral text.

1. A run of random activations is made: stories of every (emotion, topic), neutral text, vectors.
2. Each experiment is measured with `Materials` of its own, as if nothing else had been asked for.
3. Bytes are counted where a layer of a shard is read, decompositions where scikit-learn fits one;
   two of the same samples are the same decomposition, made twice.
"""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks import small_model, small_runs
from benchmarks.measure import forget_peak, peak_bytes, resident_bytes
from benchmarks.tables import table
from hooks import Pooled
from probes import stages
from probes.config import parse_config
from probes.corpus.cells import Cell, Text, read_corpus
from probes.experiments import find_experiment
from probes.runs import materials as reading
from probes.runs.folder import Run
from probes.runs.materials import INDEX, Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stages.units import Reader
from probes.storage import write_json
from probes.vectors import neutral
from probes.vectors.activations import Kind, make_shard, plan_shards, save_shard, shard_path

EXPERIMENTS = ("held-out-topics", "null-ladder", "sample-size", "confounds")
N_TOPICS, N_NEUTRAL = small_runs.TOPICS, 4
SHARD_SIZE = 256


@dataclass(frozen=True)
class Size:
    """Size of the run.

    Attributes
    ----------
    n_emotions, n_stories
        Emotions, and stories of each on each of ten topics.
    """

    n_layers: int = 42
    n_emotions: int = 10
    n_stories: int = 20
    d_model: int = 64

    @property
    def n_rows(self) -> int:
        """Stories of the run."""
        return self.n_emotions * N_TOPICS * self.n_stories

    @property
    def n_bytes(self) -> int:
        """Size of the activations of stories and neutral text, in float32."""
        n_neutral = N_TOPICS * N_NEUTRAL
        return 4 * (self.n_rows + n_neutral) * self.n_layers * self.d_model


WHOLE, QUICK = Size(), Size(n_layers=6, n_emotions=3, n_stories=2)


@dataclass
class Cost:
    """What one experiment read, decomposed and held.

    Attributes
    ----------
    n_bytes
        Bytes of activations that were read.
    whole, parts
        How often each set of samples was decomposed: all neutral text of a layer, or what the
        held-out folds leave of it.
    peak_bytes
        Peak memory above what was resident before.
    """

    n_bytes: int = 0
    whole: Counter[bytes] = field(default_factory=Counter)
    parts: Counter[bytes] = field(default_factory=Counter)
    peak_bytes: int = 0


def measure(size: Size = WHOLE, names: Sequence[str] = EXPERIMENTS) -> dict[str, Cost]:
    """Make the run and measure each experiment."""
    with tempfile.TemporaryDirectory() as folder:
        run, models = make(Path(folder), size)
        costs = {}
        for name in names:
            materials = Materials(run, models, Silent())
            forget_peak()
            before = resident_bytes()
            with counting(size) as cost:
                find_experiment(name).measure(materials)
            cost.peak_bytes = peak_bytes() - before
            costs[name] = cost
        return costs


@contextlib.contextmanager
def counting(size: Size) -> Iterator[Cost]:
    """Count what is read and decomposed while the context is open."""
    cost, load_layer = Cost(), reading.load_layer

    def counted(*arguments: Any) -> torch.Tensor:
        layer = load_layer(*arguments)
        cost.n_bytes += layer.numel() * layer.element_size()
        return layer

    class CountedPCA(neutral.PCA):
        def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803 - scikit-learn's names
            if X.shape[1] == size.d_model:  # else it is of input embeddings, which are not read
                kind = cost.whole if len(X) == N_TOPICS * N_NEUTRAL else cost.parts
                kind[X.tobytes()] += 1
            return super().fit(X, y)

    with (
        mock.patch.object(reading, "load_layer", counted),
        mock.patch.object(neutral, "PCA", CountedPCA),
    ):
        yield cost


def make(root: Path, size: Size) -> tuple[Run, Models]:
    """Write a run up to its vectors."""
    values = {
        "model": {
            "name": str(small_model.save(root / "model", 1)),
            "dtype": "float32",
            "device": "cpu",
            "backend": "huggingface",
        },
        "generation": {"min_words": 3},
        "neutral": {"form": "answer", "min_words": 3},
        "corpus": small_runs.write_corpus(
            root, small_model.WORDS[: size.n_emotions], size.n_stories, N_NEUTRAL
        ),
        "activation": {"token_offset": 3, "shard_size": SHARD_SIZE},
        "validation": {
            "experiments": list(EXPERIMENTS),
            "n_folds": 4,
            "n_permutations": 20,
            "n_refits": 5,
        },
        "output_dir": str(root / "run"),
    }
    run = Run(parse_config(values, "benchmark"), "benchmark")
    models = Models(run.config)
    small_runs.do(run, models, ["generate-stories", "generate-neutral"])
    _write_activations(run, models, size)
    small_runs.do(run, models, ["compute-vectors"])
    return run, models


def _write_activations(run: Run, models: Models, size: Size) -> None:
    """Do as the stage does, with random numbers in place of a model's."""
    [stage] = stages.find_stages(["extract-activations"])
    run.begin(stage.name, stage.settings(run), run.input_digests(stage.upstream))
    generator = torch.Generator().manual_seed(0)
    about = Reader(run.config, models).about()
    index: dict[str, Any] = about | {
        "model": about["name"],
        "n_layers": size.n_layers,
        "layers": list(range(size.n_layers)),
        "per_cell": False,
        "made_from": {},
    }
    kinds: list[tuple[Kind, list[Cell]]]
    kinds = [("stories", run.story_cells), ("neutral", run.neutral_cells)]
    for kind, cells in kinds:
        by_cell = [list(read_corpus(run.root, [cell])) for cell in cells]
        shards = plan_shards([len(texts) for texts in by_cell], SHARD_SIZE)
        for number, chosen in enumerate(shards):
            texts = [text for cell in chosen for text in by_cell[cell]]
            shard = make_shard(texts, _random(texts, size, generator))
            save_shard(shard_path(run.root, kind, number), shard)
        n_texts = sum(len(texts) for texts in by_cell)
        index[kind] = {"n_shards": len(shards), "n_texts": n_texts, "n_tokens": 1, "dropped": 0}
    write_json(run.root / INDEX, index)
    run.finish(stage.name, stages.outputs(run, stage), {}, 0.0)


def _random(texts: Sequence[Text], size: Size, generator: torch.Generator) -> Pooled:
    mean = torch.randn(len(texts), size.n_layers, size.d_model, generator=generator)
    return Pooled(
        mean,
        torch.full((len(texts),), 20),
        mean.norm(dim=2),
        torch.zeros(0, *mean.shape[1:]),
        torch.zeros(0, dtype=torch.long),
    )


def ratios(costs: dict[str, Cost], size: Size) -> list[tuple[str, str, str]]:
    """Return the lines that come first: what, how many times, how many were meant."""
    lines = []
    for name, cost in costs.items():
        read = f"{cost.n_bytes / size.n_bytes:.2f}x"
        lines.append((f"{name}: bytes read / activations", read, "at most 1.2x"))
        most = str(max(cost.whole.values(), default=0))
        lines.append((f"{name}: PCAs of a layer's neutral text", most, "at most 1"))
    return lines


def section(costs: dict[str, Cost], size: Size) -> str:
    """Return the table of experiments."""
    rows = [
        (
            name,
            f"{cost.n_bytes / size.n_bytes:.2f}x",
            f"{cost.whole.total()} of {len(cost.whole)}",
            f"{cost.parts.total()} of {len(cost.parts)}",
            f"{cost.peak_bytes / 1e6:.0f} MB",
        )
        for name, cost in costs.items()
    ]
    head = ("experiment", "bytes read / activations", "PCAs", "PCAs of folds", "peak above before")
    return f"""## What experiments read

A run of {size.n_layers} layers and {size.n_rows:,} stories, random activations
({size.n_bytes / 1e6:.0f} MB); each experiment from nothing. PCAs: how many, of how many different
sets of samples. A set is all neutral text of a layer, as it is or with dimensions dropped or
scaled; those of folds leave out the topics that are held out.

{table(head, rows)}"""
