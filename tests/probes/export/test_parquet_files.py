"""Parquet: the bits of the vectors, every accepted text once, and what they were made from."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from probes.export.parquet_files import texts_parquet, vectors_parquet
from probes.export.source import find_source
from probes.storage import read_json


def test_vectors_keep_their_bits(vectors):
    content = vectors_parquet(vectors, ["happy", "sad"], [1, 3])
    rows = pd.read_parquet(io.BytesIO(content))
    assert list(zip(rows["emotion"], rows["layer"], strict=True)) == [
        ("happy", 1),
        ("happy", 3),
        ("sad", 1),
        ("sad", 3),
    ]
    for row in rows.itertuples():
        assert np.array_equal(row.vector, vectors[row.emotion][row.layer].numpy())
        raw = vectors.raw[row.layer, vectors.emotions.index(row.emotion)]
        assert np.array_equal(row.raw_vector, raw.numpy())
    assert rows["residual_norm"].tolist() == [5.0, 11.0, 5.0, 11.0]


def test_the_schema_says_the_length_and_the_provenance(vectors, model):
    table = pq.read_table(io.BytesIO(vectors_parquet(vectors, ["sad"], [0])))
    assert table.schema.field("vector").type.list_size == model.d_model
    made_from = json.loads(table.schema.metadata[b"emotion_lens.made_from"])
    assert made_from["fingerprint"] == model.fingerprint
    assert "/" not in made_from["model"]


def test_the_same_vectors_give_the_same_bytes(vectors):
    assert vectors_parquet(vectors, ["sad"], [0]) == vectors_parquet(vectors, ["sad"], [0])


@pytest.mark.parametrize("kind", ["stories", "neutral"])
def test_every_accepted_text_comes_once(finished, kind):
    source = find_source(str(finished.folder))
    content = texts_parquet(source.texts(kind), emotion=kind == "stories")
    rows = pd.read_parquet(io.BytesIO(content))
    files = sorted(finished.folder.glob(f"{kind}/**/*.json"))
    expected = sorted(text["text"] for path in files for text in read_json(path)["texts"])
    assert sorted(rows["text"]) == expected
    assert ("emotion" in rows) == (kind == "stories")
    assert rows["writer"].isna().all()  # the user's own texts


def test_stories_come_in_the_order_of_the_vectors(finished):
    source = find_source(str(finished.folder))
    rows = list(source.texts("stories"))
    order = [source.vectors.emotions.index(row["emotion"]) for row in rows]
    assert order == sorted(order)
    assert [row["index"] for row in rows[:2]] == [0, 1]
