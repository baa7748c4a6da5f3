"""Pooled activations on disk, in shards.

``activations/stories-00000.safetensors`` holds, for the texts of one unit of work, ``mean`` [row
layer d_model], ``norm`` [row layer], ``n_tokens`` [row] and ``n_texts`` [row]; a row is a story, or
above the size budget the mean of a cell's stories. Where texts have a closing, ``apart`` [row layer
d_model] is the mean over its tokens and ``n_apart`` [row] their number. ``neutral-*.safetensors``
also holds ``tokens`` [token layer d_model]. Beside means of cells ``single-*.safetensors`` holds
the stories themselves, at few layers. The header says which rows they are and what they were made
from.

Contract
--------
* A shard is written whole; the same texts and model give the same bytes; one made from anything
  else is refused.
* Texts with no token left are left out and counted. A value that is not finite is an error that
  names the text.
* Knows files and tensors, not models.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from hooks import DataError, Pooled, StaleArtifact
from probes.corpus.cells import Text
from probes.storage import write_bytes

INDEX = "activations/index.json"
"""Below the run's folder: which shards there are, and from what."""
Kind = Literal["stories", "single", "said", "neutral", "matched"]
Part = Literal["mean", "apart", "tokens"]
_DAMAGED_WEIGHTS = (
    "the model's weights are damaged. Fetch them again, see what `emotion-probes doctor MODEL` says"
)
_OVERFLOW = "the model overflowed, or its weights are damaged. Load it with model.dtype="
_CURES = {"float16": f"{_OVERFLOW}float32 or bfloat16", "bfloat16": f"{_OVERFLOW}float32"}
_DAMAGED = (KeyError, IndexError, TypeError, ValueError, OverflowError, MemoryError)
"""What reading a file whose bytes are not a shard's may raise."""


@dataclass(frozen=True)
class Row:
    """What one row of a shard is the mean of."""

    emotion: str | None
    topic: str
    index: int | None
    """Index of the story in its cell; None for the mean of a cell."""


@dataclass(frozen=True)
class ShardRows:
    """What a shard tells of its rows without their activations."""

    rows: list[Row]
    n_tokens: Int[Tensor, "row"]
    n_texts: Int[Tensor, "row"]
    dropped: int
    """Texts with no token left to average."""
    n_apart: Int[Tensor, "row"] | None
    """Tokens of the closing; None where no text has one."""


@dataclass(frozen=True)
class Shard(ShardRows):
    """Activations of one unit of texts."""

    mean: Float[Tensor, "row layer d_model"]
    norm: Float[Tensor, "row layer"]
    tokens: Float[Tensor, "token layer d_model"]
    apart: Float[Tensor, "row layer d_model"] | None = None
    """Mean over the closing, 0 for a text without one."""

    def at(self, positions: Sequence[int]) -> "Shard":
        """Return the same rows at some of the layers, without neutral tokens."""
        chosen = list(positions)
        apart = None if self.apart is None else self.apart[:, chosen]
        mean, norm, tokens = self.mean[:, chosen], self.norm[:, chosen], self.tokens[:0, chosen]
        return replace(self, mean=mean, norm=norm, tokens=tokens, apart=apart)


def plan_shards(n_texts: Sequence[int], size: int) -> list[list[int]]:
    """Group the numbers of cells into shards of about `size` texts, never through a cell."""
    shards: list[list[int]] = []
    n_held = size
    for cell in (cell for cell, number in enumerate(n_texts) if number):
        if n_held >= size:
            shards.append([])
            n_held = 0
        shards[-1].append(cell)
        n_held += n_texts[cell]
    return shards


def shard_path(root: Path, kind: Kind, number: int) -> Path:
    """Where a shard lies below the run's folder."""
    return root / "activations" / f"{kind}-{number:05d}.safetensors"


def make_shard(texts: Sequence[Text], pooled: Pooled, dtype: str = "float32") -> Shard:
    """Turn what a model in `dtype` read into a shard; DataError names a text that's not finite."""
    usable = pooled.n_tokens > 0
    bad = usable & ~pooled.mean.isfinite().all(dim=2).all(dim=1)
    apart = pooled.apart
    if apart is not None and pooled.n_apart is not None:
        has_closing = pooled.n_apart > 0
        bad |= usable & has_closing & ~apart.isfinite().all(dim=2).all(dim=1)
        apart = apart.where(rearrange(has_closing, "text -> text 1 1"), 0.0)
    bad[pooled.token_text[~pooled.tokens.isfinite().all(dim=2).all(dim=1)]] = True
    if bad.any():
        text = texts[int(bad.nonzero()[0, 0])]
        raise DataError(
            f"activations of {text.emotion or 'neutral'} / {text.topic!r} / text {text.index} are "
            f"not finite in {dtype}: {_CURES.get(dtype, _DAMAGED_WEIGHTS)} and extract again."
        )
    keep = usable.nonzero()[:, 0]
    rows = [Row(texts[i].emotion, texts[i].topic, texts[i].index) for i in keep.tolist()]
    return Shard(
        rows=rows,
        n_tokens=pooled.n_tokens[keep],
        n_texts=torch.ones(len(keep), dtype=torch.long),
        dropped=int((~usable).sum()),
        mean=pooled.mean[keep],
        norm=pooled.norm[keep],
        tokens=pooled.tokens,
        apart=None if apart is None else apart[keep],
        n_apart=None if pooled.n_apart is None else pooled.n_apart[keep],
    )


def by_cell(shard: Shard) -> Shard:
    """Average the stories of each cell."""
    of_rows = [(row.emotion, row.topic) for row in shard.rows]
    cells = list(dict.fromkeys(of_rows))
    owner = torch.tensor([cells.index(cell) for cell in of_rows], dtype=torch.long)
    counts = torch.bincount(owner, minlength=len(cells))
    tokens = torch.zeros(len(cells), dtype=torch.long).index_add_(0, owner, shard.n_tokens)
    mean = _means(shard.mean, owner, counts)
    n_apart, apart = shard.n_apart, shard.apart
    if n_apart is not None and apart is not None:
        n_closings = torch.bincount(owner[n_apart > 0], minlength=len(cells))
        apart = _means(apart, owner, n_closings.clamp(min=1))
        n_apart = torch.zeros_like(tokens).index_add_(0, owner, n_apart)
    norm = shard.norm.new_zeros(len(cells), shard.norm.shape[1], dtype=torch.float64)
    weight = rearrange(shard.n_tokens, "row -> row 1")
    norm.index_add_(0, owner, shard.norm.double() * weight)
    return Shard(
        rows=[Row(emotion, topic, None) for emotion, topic in cells],
        n_tokens=tokens,
        n_texts=counts,
        dropped=shard.dropped,
        mean=mean,
        norm=(norm / rearrange(tokens, "cell -> cell 1")).float(),
        tokens=shard.tokens,
        apart=apart,
        n_apart=n_apart,
    )


def _means(
    rows: Float[Tensor, "row layer d_model"], owner: Int[Tensor, "row"], counts: Int[Tensor, "cell"]
) -> Float[Tensor, "cell layer d_model"]:
    """Sum the rows of each cell in float64 and divide."""
    sums = rows.new_zeros(len(counts), *rows.shape[1:], dtype=torch.float64)
    sums.index_add_(0, owner, rows.double())
    return (sums / rearrange(counts, "cell -> cell 1 1")).float()


def save_shard(path: Path, shard: Shard, made_from: Mapping[str, str] | None = None) -> None:
    """Write a shard atomically, with what it was made from in its header."""
    tensors = {
        "mean": shard.mean,
        "norm": shard.norm,
        "n_tokens": shard.n_tokens,
        "n_texts": shard.n_texts,
        "tokens": shard.tokens,
        **({} if shard.apart is None else {"apart": shard.apart, "n_apart": shard.n_apart}),
    }
    about = {
        "rows": [list(asdict(row).values()) for row in shard.rows],
        "dropped": shard.dropped,
        "made_from": dict(made_from or {}),
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save_tensors(contiguous, metadata={"shard": json.dumps(about)}))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a file that is no whole shard raises into one error with the cure."""
    try:
        yield
    except (*_DAMAGED, OSError, SafetensorError) as error:
        raise DataError(
            f"{path} is missing, damaged or truncated ({error}). Delete it and run "
            "extract-activations again."
        ) from error


def load_shard(path: Path) -> Shard:
    """Read a shard, all layers of it; DataError when it is missing, damaged or truncated."""
    with _reading(path):
        content = path.read_bytes()
        tensors = load_tensors(content)
        about = json.loads(read_metadata(content)["shard"])
        rows = [Row(*row) for row in about["rows"]]
        return Shard(rows=rows, dropped=about["dropped"], **{"n_apart": None, **tensors})


def load_rows(path: Path) -> ShardRows:
    """Read what a shard's rows are and none of their activations; raises as `load_shard` does."""
    with _reading(path), safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["shard"])
        names = {"n_tokens", "n_texts", "n_apart"} & {*file.keys()}
        counts = {"n_apart": None, **{name: file.get_tensor(name).clone() for name in names}}
        return ShardRows([Row(*row) for row in about["rows"]], **counts, dropped=about["dropped"])


def load_layer(path: Path, name: Part, position: int) -> Float[Tensor, "row d_model"]:
    """Read one layer (by its position among those kept) of a shard, and nothing of the others.

    ``"mean"`` and ``"apart"`` have a row per text or cell, ``"tokens"`` one per kept neutral token.
    Raises as `load_shard` does.
    """
    with _reading(path), safe_open(path, "pt") as file:
        # A slice is a view of the mapped file: only a copy lets go of it.
        return file.get_slice(name)[:, position].clone(memory_format=torch.contiguous_format)


def read_metadata(content: bytes) -> dict[str, Any]:
    """Return the metadata in the header of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def check_origin(path: Path, made_from: Mapping[str, str]) -> None:
    """Refuse (StaleArtifact) a shard made from anything else; only its header is read."""
    with _reading(path), path.open("rb") as file:
        start = file.read(8)
        header = start + file.read(int.from_bytes(start, "little"))
        before = json.loads(read_metadata(header)["shard"])["made_from"]
    keys = [key for key in {**made_from, **before} if before.get(key) != made_from.get(key)]
    if keys:
        listed = ", ".join(f"{k} was {before.get(k)}, expected {made_from.get(k)}" for k in keys)
        raise StaleArtifact(
            f"{path} was not made by this run: {listed}. Delete it and run extract-activations "
            "again."
        )


def shard_paths(root: Path, kind: Kind, index: Mapping[str, Any]) -> Iterator[Path]:
    """Return where a run's shards of one kind lie, each checked to be of this run.

    `index` says how many there are (``index[kind]["n_shards"]``) and from what (``made_from``).
    Raises DataError or StaleArtifact when one is missing, damaged, or of another run.
    """
    for number in range(index[kind]["n_shards"]):
        path = shard_path(root, kind, number)
        check_origin(path, index["made_from"])
        yield path


def load_shards(root: Path, kind: Kind, index: Mapping[str, Any]) -> Iterator[Shard]:
    """Read the shards that `shard_paths` names, one after another."""
    for path in shard_paths(root, kind, index):
        yield load_shard(path)
