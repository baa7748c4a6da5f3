"""Stages that look at the vectors: tables and figures that say what the vectors say."""

import csv
import json

import pytest
import small_runs
import torch

import hooks
from probes import EmotionVectors, stages


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
        found = [float(row["pc1"]) for row in rows]
        assert found == [row[0] for row in described["pca"]["coordinates"]]
        assert float(rows[1]["valence"]) > 0 > float(rows[2]["valence"])
        assert {row["umap_x"] for row in rows} == {""}


class TestLogitLens:
    def test_the_top_tokens_are_those_of_the_unembedded_vectors(self, finished, subject):
        model = hooks.load(subject, backend="huggingface", dtype="float32", device="cpu")
        logits = model.direction_logits(EmotionVectors.load(finished.folder).at(3))
        tokens, described = model.token_strings(), read(finished, "logit_lens.json")
        for row, emotion in enumerate(small_runs.EMOTIONS):
            values = dict(zip(tokens, logits[row].tolist(), strict=True))
            top = described["emotions"][emotion]["top"]
            assert len(top) == described["top_k"] == 5
            for token, value in top:
                assert values[token] == pytest.approx(value, abs=1e-4)
            bottom = described["emotions"][emotion]["bottom"]
            assert top[0][1] >= top[-1][1] > bottom[-1][1] >= bottom[0][1]
        assert not {token for e in described["emotions"].values() for token, _ in e["top"]} & {
            "<pad>",
            "<s>",
            "</s>",
        }

    def test_words_that_the_vocabulary_lacks_have_no_rank(self, finished):
        described = read(finished, "logit_lens.json")
        assert {e["own_word_rank"] for e in described["emotions"].values()} == {None}
        assert described["own_word_share"] == 0


class TestVisualize:
    def test_every_figure_is_a_picture_and_a_page(self, finished):
        figures = finished.folder / "figures"
        pictures = {path.stem for path in figures.glob("*.png")}
        assert pictures == {path.stem for path in figures.glob("*.html")}
        assert len(pictures) >= 5
        for path in figures.glob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG")
        others = {path.name for path in figures.iterdir() if path.stem not in pictures}
        assert others == {"plotly.min.js"}

    def test_the_library_of_the_pages_counts_as_theirs(self, finished):
        run = finished.run()
        [stage] = stages.find_stages(["visualize"])
        assert stages.is_complete(run, stage)
        (finished.folder / "figures" / "plotly.min.js").unlink()
        assert not stages.is_complete(run, stage)
