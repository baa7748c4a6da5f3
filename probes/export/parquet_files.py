"""Vectors and corpus as parquet, for pandas, polars, DuckDB and the hub's viewer.

* ``vectors.parquet``: a row per emotion and layer, with `vector` (denoised) and `raw_vector` as
  lists of d_model float32, and the layer's `residual_norm`; the schema says what they were made
  from.
* ``stories.parquet``, ``neutral.parquet``: a row per accepted text, with its emotion, topic and
  index, and how it was made; a user's own texts have no writer.
"""

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

_TEXT_FIELDS: list[tuple[str, pa.DataType]] = [
    ("emotion", pa.string()),
    ("topic", pa.string()),
    ("index", pa.int32()),
    ("text", pa.string()),
    ("writer", pa.string()),
    ("phrasing", pa.string()),
    ("attempt", pa.int32()),
    ("trimmed", pa.bool_()),
]


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
            "raw_vector": lists(vectors.raw),
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
    fields = _TEXT_FIELDS if emotion else _TEXT_FIELDS[1:]
    schema = pa.schema(fields)
    wanted = [{name: row[name] for name, _ in fields} for row in rows]
    return _write(pa.Table.from_pylist(wanted, schema=schema))


def _write(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
