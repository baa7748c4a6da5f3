"""The vectors of the target layer, read through the unembedding."""

import json

import pytest
import small_runs

import hooks
from probes import EmotionVectors


def read(finished, name):
    return json.loads((finished.folder / "analysis" / name).read_text())


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
