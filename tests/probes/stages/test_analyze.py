"""Stages that look at the vectors: tables and figures that say what the vectors say."""

import csv
import json

import small_runs
import torch

from probes import EmotionVectors


def read(finished, name):
    return json.loads((finished.folder / "analysis" / name).read_text())


class TestAnalyze:
    def test_the_geometry_is_that_of_the_target_layer(self, finished):
        bundle, described = EmotionVectors.load(finished.folder), read(finished, "geometry.json")
        vectors = bundle.at(3)
        cosine = torch.cosine_similarity(vectors[:, None], vectors[None], dim=2)
        torch.testing.assert_close(torch.tensor(described["cosine"]), cosine, atol=1e-5, rtol=0)
        assert (described["layer"], described["n_layers"]) == (3, 4)
        assert described["emotions"] == small_runs.EMOTIONS

    def test_all_layers_are_described(self, finished):
        layers = read(finished, "layers.json")
        assert layers["layers"] == [0, 1, 2, 3]
        assert len(layers["rsa"]) == len(layers["valence"]) == len(layers["residual_norm"]) == 4
        assert layers["target_layer"] == 3

    def test_the_table_has_a_line_per_emotion_with_human_ratings_where_there_are_some(
        self, finished
    ):
        with (finished.folder / "analysis" / "pca.csv").open() as file:
            rows = list(csv.DictReader(file))
        described = read(finished, "geometry.json")
        assert [row["emotion"] for row in rows] == small_runs.EMOTIONS
        first = [float(row["pc1"]) for row in rows]
        assert first == [row[0] for row in described["pca"]["coordinates"]]
        assert float(rows[1]["valence"]) > 0 > float(rows[2]["valence"])
        assert {row["umap_x"] for row in rows} == {""}
