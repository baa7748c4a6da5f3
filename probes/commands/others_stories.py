"""What `compare` needs of stories: the activations of a run's own, less those of the other run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import DataError
from probes.analysis.cross_reading import cross_reading
from probes.analysis.findings import Estimate
from probes.corpus.cells import Cell, read_corpus
from probes.experiments import NotMeasured, find_entries, find_experiment
from probes.storage import read_object
from probes.vectors.activations import INDEX, Row, load_layer, load_rows, shard_paths
from probes.vectors.emotion_vectors import EmotionVectors


@dataclass(frozen=True)
class Side:
    """One of two runs: its name, where it lies, its vectors, and a layer of the model."""

    name: str
    root: Path
    vectors: EmotionVectors
    layer: int


@dataclass(frozen=True)
class StoriesAt:
    """Stories of a run at one layer, and what each row is."""

    mean: Float[Tensor, "row d_model"]
    rows: Sequence[Row]


def stories_of(side: Side) -> StoriesAt:
    """Read activations of single stories; DataError where there are none of this model and layer.

    Raises StaleArtifact where a file is of another extraction.
    """
    if not (side.root / INDEX).is_file():
        raise DataError("no activations are there")
    index = read_object(side.root / INDEX, "layers", "per_cell", "fingerprint", "stories")
    kept, kind = index["layers"], "stories"
    if index["per_cell"]:
        if side.layer not in index.get("single", {}).get("layers", []):
            raise DataError(
                "activations were kept per cell; activation.keep=story keeps single ones"
            )
        kept, kind = index["single"]["layers"], "single"
    if index["fingerprint"] != side.vectors.provenance.fingerprint:
        raise DataError("the activations are of another model than the vectors")
    if side.layer not in kept:
        raise DataError(f"no activations at layer {side.layer}, only at {kept}")
    paths = list(shard_paths(side.root, kind, index))
    if not paths:
        raise DataError("no activations are there")
    position = kept.index(side.layer)
    mean = torch.cat([load_layer(path, "mean", position) for path in paths])
    return StoriesAt(mean, [row for path in paths for row in load_rows(path).rows])


def in_both(reader: Side, side: Side, rows: Sequence[Row]) -> set[Row]:
    """Return the rows whose text stands in the same cell of the reader's stories.

    A vector knows what it was made from. Of a folder without texts nothing is known.
    """
    cells = dict.fromkeys(Cell(row.emotion, row.topic) for row in rows)
    roots = (reader.root, side.root)
    shared = [cell for cell in cells if all((root / cell.path).is_file() for root in roots)]
    own = {text.passage.whole for text in read_corpus(reader.root, shared)}
    return {
        Row(text.emotion, text.topic, text.index)
        for text in read_corpus(side.root, shared)
        if text.passage.whole in own
    }


def read_by(
    reader: Side, side: Side, emotions: Sequence[str], **options: int
) -> list[dict[str, Any]]:
    """Let the vectors of one run, those of every way, name the stories of the other.

    Raises
    ------
    DataError
        Where there are no stories to read, or none but the reader's own.
    StaleArtifact
        As `stories_of`.
    """
    stories = stories_of(side)
    named = [n for n, row in enumerate(stories.rows) if row.emotion in emotions]
    own = in_both(reader, side, [stories.rows[n] for n in named])
    chosen = [n for n in named if stories.rows[n] not in own]
    same_corpus = reader.vectors.provenance.corpus_hash == side.vectors.provenance.corpus_hash
    if not chosen or same_corpus:
        raise DataError("all of them are also those that the vectors were made from")
    rows = [stories.rows[n] for n in chosen]
    topics = list(dict.fromkeys(row.topic for row in rows))
    emotion = torch.tensor([emotions.index(row.emotion or "") for row in rows])
    topic = torch.tensor([topics.index(row.topic) for row in rows])
    results = []
    for way in reader.vectors.ways:
        of_way = reader.vectors.using(way)
        vectors = of_way.at(side.layer)[[of_way.emotions.index(name) for name in emotions]]
        read = cross_reading(stories.mean[chosen], emotion, topic, vectors, **options)
        about = {"vectors_of": reader.name, "way": way, "stories_of": side.name}
        results.append({**about, **asdict(read), "n_left_out": len(named) - len(rows)})
    return results


def own_accuracy(side: Side) -> dict[str, Any] | None:
    """Return what a run's own vectors name on held-out topics, where `validate` measured it.

    DataError where the file is of an earlier version.
    """
    [entry] = find_entries(["held-out-topics"])
    if not (side.root / entry.file).is_file():
        return None
    result: Any = find_experiment(entry.name).read(read_object(side.root / entry.file))
    if isinstance(result, NotMeasured) or side.layer not in result.layers:
        return None
    # An accuracy that chose its own layer is too high.
    chose = result.layer_rule == "held-out topics" and side.layer == result.layer
    at_layer = result.nearest[result.layers.index(side.layer)]
    top_1 = result.nested.top_1 if chose else at_layer.top_1
    return {"top_1": asdict(top_1), "chance": result.chance, "n_emotions": len(result.emotions)}


def rows_of(
    stories: Sequence[Mapping[str, Any]], own: Mapping[str, Mapping[str, Any] | None]
) -> list[tuple[str, str]]:
    """Say how the stories of each run are named by the other's vectors, and by its own."""
    rows = []
    for name, by_own in own.items():
        for one in (each for each in stories if each["stories_of"] == name):
            size = f"{one['n']} stories on {one['n_topics']} topics"
            size += f" ({one['n_left_out']} that both have left out)" if one["n_left_out"] else ""
            null = f"5% of permuted emotions reach {one['null_bound']:.1%}, p={one['p']:.4f}"
            title = f"stories of {name}, by {one['way']} of {one['vectors_of']}"
            rows.append((title, f"{_right(one)}; {size}; {null}"))
        if by_own is not None:
            rows.append((f"stories of {name}, by its own on held-out topics", _right(by_own)))
    return rows


def _right(one: Mapping[str, Any]) -> str:
    share = Estimate(**one["top_1"])
    return f"{share:.1%} right of {one['n_emotions']} emotions, chance {one['chance']:.1%}"
