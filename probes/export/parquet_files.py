"""Vectors (a row per emotion and layer) and texts as parquet."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from einops import rearrange

from hooks.models.local_files import public_name
from probes.export.control import as_text
from probes.vectors.emotion_vectors import EmotionVectors

_WORDS = ("emotion", "topic", "text", "writer", "phrasing")
_TEXT_FIELDS = {
    name: pa.string() if name in _WORDS else pa.bool_() if name == "trimmed" else pa.int32()
    for name in ("emotion", "topic", "index", "text", "writer", "phrasing", "attempt", "trimmed")
}


def vectors_parquet(
    vectors: EmotionVectors, emotions: Sequence[str], layers: Sequence[int]
) -> bytes:
    """Return the content of ``vectors.parquet``: emotions by layers, in the order given."""
    n_layers, d_model = len(layers), vectors.vectors.shape[2]
    rows = [vectors.emotions.index(emotion) for emotion in emotions]
    places = [vectors.layer_index(layer) for layer in layers]

    def lists(tensor: Any) -> pa.Array:
        chosen = tensor[places][:, rows].float()
        flat = rearrange(chosen, "layer emotion d_model -> (emotion layer d_model)")
        return pa.FixedSizeListArray.from_arrays(pa.array(flat.contiguous().numpy()), d_model)

    table = pa.table(
        {
            "emotion": pa.array([e for e in emotions for _ in range(n_layers)], pa.string()),
            "layer": pa.array(list(layers) * len(emotions), pa.int32()),
            "vector": lists(vectors.vectors),
            **({} if vectors.raw is None else {"raw_vector": lists(vectors.raw)}),
            "residual_norm": pa.array(
                vectors.residual_norm[places].tolist() * len(emotions), pa.float32()
            ),
        }
    )
    provenance = vectors.provenance
    made_from = {**asdict(provenance), "model": public_name(provenance.model)}
    return _write(table.replace_schema_metadata({"emotion_lens.made_from": as_text(made_from)}))


def texts_parquet(rows: Iterable[dict[str, Any]], *, emotion: bool) -> bytes:
    """Return the content of a file of texts; neutral texts have no emotion."""
    fields = [item for item in _TEXT_FIELDS.items() if emotion or item[0] != "emotion"]
    wanted = [{name: row[name] for name, _ in fields} for row in rows]
    return _write(pa.Table.from_pylist(wanted, schema=pa.schema(fields)))


def _write(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
