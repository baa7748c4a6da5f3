"""A bundle of vectors: the same after a round trip, refused for another model, used to score."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

import hooks
from hooks.errors import DataError, InvalidInput, StaleArtifact
from probes import EmotionVectors
from probes.vectors.activations import read_metadata
from probes.vectors.emotion_vectors import FILE_NAME, Provenance, mean_residual_norm

EMOTIONS = ["sad", "happy", "at ease"]
LAYERS = [0, 2, 3]
TEXTS = ["The old man sat by the window.", "She ran down the hill laughing.", "Rain fell."]


def provenance(fingerprint: str = "f" * 16, **changes) -> Provenance:
    values = {
        "emotions": EMOTIONS,
        "layers": LAYERS,
        "model": "tiny",
        "revision": None,
        "fingerprint": fingerprint,
        "tokenizer_hash": "t",
        "dtype": "float32",
        "quantize": None,
        "hook_name": "blocks.{layer}.hook_resid_post",
        "weight_processing": "none",
        "backend": "huggingface",
        "corpus_hash": "c",
        "config_hash": "g",
        "token_offset": 3,
        "n_neutral_components": [1, 2, 2],
        "n_stories": [4, 5, 6],
        "target_layer": 2,
        "versions": {"torch": "2"},
    }
    return Provenance(**{**values, **changes})


def bundle(fingerprint: str = "f" * 16, d_model: int = 32) -> EmotionVectors:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, 3, d_model, generator=generator)
    return EmotionVectors(
        vectors=raw + 0.1,
        raw=raw,
        global_mean=torch.randn(3, d_model, generator=generator),
        residual_norm=torch.tensor([1.0, 2.0, 3.0]),
        provenance=provenance(fingerprint),
    )


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", backend="huggingface")


class TestFiles:
    def test_a_round_trip_changes_no_bit(self, tmp_path):
        made = bundle()
        path = made.save(tmp_path / "run" / "vectors")
        for source in (path, path.parent, path.parent.parent, str(path)):
            again = EmotionVectors.load(source)
            for name in ("vectors", "raw", "global_mean", "residual_norm"):
                assert torch.equal(getattr(again, name), getattr(made, name))
            assert again.provenance == made.provenance

    def test_the_same_vectors_give_the_same_bytes(self, tmp_path):
        assert (
            bundle().save(tmp_path / "a").read_bytes() == bundle().save(tmp_path / "b").read_bytes()
        )

    def test_the_header_says_what_they_were_made_from(self, tmp_path):
        import json

        header = read_metadata(bundle().save(tmp_path).read_bytes())
        written = json.loads(header["provenance"])
        assert written == dataclasses.asdict(provenance())
        assert set(written) >= {
            "emotions",
            "layers",
            "model",
            "revision",
            "fingerprint",
            "tokenizer_hash",
            "dtype",
            "quantize",
            "hook_name",
            "weight_processing",
            "corpus_hash",
            "config_hash",
            "n_neutral_components",
            "versions",
        }

    def test_a_missing_bundle_is_named(self, tmp_path):
        with pytest.raises(DataError, match="expected the file, its folder or the folder of a run"):
            EmotionVectors.load(tmp_path)

    def test_damage_is_an_error_with_the_cure(self, tmp_path):
        path = bundle().save(tmp_path)
        whole = path.read_bytes()
        for size in (0, 7, 100, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(DataError, match="Run compute-vectors again"):
                EmotionVectors.load(tmp_path)

    def test_a_bundle_that_cannot_be_read_is_named(self, tmp_path, unreadable):
        unreadable(FILE_NAME)
        with pytest.raises(DataError, match=rf"{FILE_NAME} cannot be read.*permissions"):
            EmotionVectors.load(tmp_path)

    def test_a_file_of_another_tool_is_refused(self, tmp_path):
        save_file({"emotion_vectors": torch.zeros(1, 2, 3)}, tmp_path / FILE_NAME)
        with pytest.raises(DataError, match="not written by this project"):
            EmotionVectors.load(tmp_path)


class TestLookingUp:
    def test_an_emotion_is_its_vector_at_every_layer(self):
        vectors = bundle()
        assert torch.equal(vectors["happy"], vectors.vectors[:, 1])
        assert torch.equal(vectors.at(3), vectors.vectors[2])
        assert (vectors.emotions, vectors.layers) == (EMOTIONS, LAYERS)

    def test_each_layer_is_steered_with_its_own_vector_where_a_bundle_has_only_some(self, model):
        vectors = bundle()
        sad, norms = vectors.by_layer("sad"), vectors.norm_by_layer
        for layer, norm in zip(LAYERS, [1.0, 2.0, 3.0], strict=True):
            plain = hooks.resid_post(model, TEXTS[0], [layer]).resid[0]
            with hooks.steer(model, sad, layers=[layer], dose=0.5, residual_norm=norms):
                moved = hooks.resid_post(model, TEXTS[0], [layer]).resid[0] - plain
            own = vectors.at(layer)[0]
            assert torch.allclose(
                moved, (0.5 * norm * own / own.norm()).expand_as(moved), atol=1e-5
            )
        with pytest.raises(InvalidInput, match="nothing for layer 1; there is something for"):
            hooks.steer(model, sad, layers=[1], dose=0.5, residual_norm=norms).__enter__()

    def test_an_unknown_emotion_is_refused_with_those_there_are(self):
        with pytest.raises(InvalidInput, match="'glad'.*sad, happy, at ease"):
            bundle()["glad"]

    def test_a_layer_that_was_not_read_is_refused_with_those_there_are(self):
        with pytest.raises(
            InvalidInput, match=r"no vectors at layer 1; expected one of \[0, 2, 3\]"
        ):
            bundle().at(1)


class TestAnotherModel:
    def test_is_refused_with_both_fingerprints(self, model):
        vectors = bundle("0123456789abcdef")
        for use in (
            lambda: vectors.check_model(model),
            lambda: vectors.score(model, TEXTS),
            lambda: vectors.score_tokens(model, TEXTS[0]),
        ):
            with pytest.raises(StaleArtifact) as caught:
                use()
            assert "0123456789abcdef" in str(caught.value)
            assert model.fingerprint in str(caught.value)

    def test_is_used_when_forced(self, model):
        vectors = bundle("0123456789abcdef")
        vectors.check_model(model, force=True)
        forced = vectors.score(model, TEXTS, force=True)
        assert torch.equal(forced, bundle(model.fingerprint).score(model, TEXTS))
        assert len(vectors.score_tokens(model, TEXTS[0], force=True)[0]) > 5

    def test_is_told_by_its_weights_not_by_its_name(self, tiny_model):
        one, other = (tiny_model("llama", backend="huggingface", seed=seed) for seed in (0, 1))
        bundle(one.fingerprint).check_model(one)
        with pytest.raises(StaleArtifact):
            bundle(one.fingerprint).check_model(other)


class TestScore:
    def test_is_the_cosine_with_the_centered_pooled_residual(self, model):
        vectors = bundle(model.fingerprint)
        scores = vectors.score(model, TEXTS, layer=3, token_offset=1)
        assert scores.shape == (3, 3)
        pooled = hooks.pooled_resid_post(model, TEXTS, hooks.FromToken(1), layers=[3]).mean[:, 0]
        for text in range(3):
            for emotion in range(3):
                expected = torch.cosine_similarity(
                    pooled[text] - vectors.global_mean[2], vectors.vectors[2, emotion], dim=0
                )
                assert scores[text, emotion] == pytest.approx(float(expected), abs=1e-5)
        assert scores.abs().max() <= 1 + 1e-6

    def test_a_text_along_a_vector_scores_one(self, model):
        vectors = bundle(model.fingerprint)
        pooled = hooks.pooled_resid_post(model, TEXTS[:1], layers=[2]).mean[0, 0]
        vectors.vectors[1, 2] = 4 * (pooled - vectors.global_mean[1])
        vectors.vectors[1, 0] = -(pooled - vectors.global_mean[1])
        [scores] = vectors.score(model, TEXTS[:1])
        assert float(scores[2]) == pytest.approx(1, abs=1e-5)
        assert float(scores[0]) == pytest.approx(-1, abs=1e-5)

    def test_reads_the_target_layer_unless_told(self, model):
        vectors = bundle(model.fingerprint)
        assert torch.equal(vectors.score(model, TEXTS), vectors.score(model, TEXTS, layer=2))
        assert not torch.allclose(vectors.score(model, TEXTS), vectors.score(model, TEXTS, layer=3))

    def test_a_text_with_no_token_left_is_nan_and_the_others_are_not(self, model):
        n_tokens = len(model.encode(TEXTS[2])) - 1
        scores = bundle(model.fingerprint).score(model, TEXTS, token_offset=n_tokens)
        assert scores[2].isnan().all()
        assert scores[:2].isfinite().all()

    def test_a_layer_without_vectors_is_refused(self, model):
        with pytest.raises(InvalidInput, match="no vectors at layer 1"):
            bundle(model.fingerprint).score(model, TEXTS, layer=1)

    def test_a_tokens_score_is_the_texts_pooled_over_that_token(self, model):
        vectors = bundle(model.fingerprint)
        tokens, scores = vectors.score_tokens(model, TEXTS[0], layer=3)
        assert scores.shape == (len(tokens), 3)
        assert "".join(tokens).endswith(TEXTS[0])
        n_content = len(model.encode(TEXTS[0])) - 1
        last = vectors.score(model, TEXTS[:1], layer=3, token_offset=n_content - 1)
        torch.testing.assert_close(scores[-1:], last, atol=1e-5, rtol=0)
        index = vectors.layer_index(3)
        for position in (1, 4):
            window = hooks.Span(position - 1, position)  # the first token is the beginning's mark
            pooled = hooks.pooled_resid_post(model, TEXTS[:1], window, layers=[3]).mean[0, 0]
            centered = pooled - vectors.global_mean[index]
            expected = torch.cosine_similarity(centered[None], vectors.vectors[index], dim=1)
            torch.testing.assert_close(scores[position], expected, atol=1e-5, rtol=0)


class TestNearest:
    def test_names_the_emotions_with_the_largest_scores_in_their_order(self, model):
        vectors = bundle(model.fingerprint)
        [scores] = vectors.score(model, TEXTS[:1])
        nearest = vectors.nearest(model, TEXTS[0])
        assert [emotion for emotion, _ in nearest] == [
            EMOTIONS[index] for index in scores.argsort(descending=True).tolist()
        ]
        for emotion, score in nearest:
            assert score == pytest.approx(float(scores[EMOTIONS.index(emotion)]), abs=1e-6)
        assert vectors.nearest(model, TEXTS[0], n=1) == nearest[:1]

    def test_another_layer_may_be_read(self, model):
        vectors = bundle(model.fingerprint)
        [scores] = vectors.score(model, TEXTS[:1], layer=3)
        [(_, score)] = vectors.nearest(model, TEXTS[0], 1, layer=3)
        assert score == pytest.approx(float(scores.max()), abs=1e-6)

    def test_what_has_no_answer_is_refused(self, model):
        vectors = bundle(model.fingerprint)
        with pytest.raises(InvalidInput, match="expected at least one emotion, got 0"):
            vectors.nearest(model, TEXTS[0], 0)
        with pytest.raises(InvalidInput, match="with a token to read, got ''"):
            vectors.nearest(model, "")
        with pytest.raises(StaleArtifact):
            bundle().nearest(model, TEXTS[0])


class TestSteer:
    def read(self, model):
        return hooks.resid_post(model, TEXTS[0], LAYERS).resid

    def test_is_that_of_hooks_at_the_target_layer_with_the_bundles_norms(self, model):
        vectors = bundle(model.fingerprint)
        with vectors.steer(model, "sad", dose=0.1) as steered:
            ours = self.read(model)
        by_layer, norms = vectors.by_layer("sad"), vectors.norm_by_layer
        with hooks.steer(model, by_layer, layers=[2], dose=0.1, residual_norm=norms) as expected:
            assert torch.equal(ours, self.read(model))
        assert steered["sad"].coefficients == expected.coefficients == {2: pytest.approx(0.2)}

    @pytest.mark.parametrize("operation", ["add", "clamp", "rotate"])
    def test_layers_positions_and_operation_are_passed_on(self, model, operation):
        vectors = bundle(model.fingerprint)
        options = {"layers": [0, 3], "positions": hooks.Last(2), "operation": operation}
        with vectors.steer(model, "happy", dose=0.4, **options):
            ours = self.read(model)
        by_layer, norms = vectors.by_layer("happy"), vectors.norm_by_layer
        with hooks.steer(model, by_layer, dose=0.4, residual_norm=norms, **options):
            assert torch.equal(ours, self.read(model))
        assert not torch.equal(ours, self.read(model))

    def test_projecting_out_takes_no_dose(self, model):
        vectors = bundle(model.fingerprint)
        with vectors.steer(model, "sad", operation="project"):
            residual = self.read(model)[1]
        along = residual @ torch.nn.functional.normalize(vectors.at(2)[0], dim=0)
        torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-5, rtol=0)

    def test_several_emotions_add_up(self, model):
        vectors = bundle(model.fingerprint)
        with vectors.steer(model, {"sad": 0.1, "happy": -0.2}) as steered:
            ours = self.read(model)
        with vectors.steer(model, "sad", dose=0.1), vectors.steer(model, "happy", dose=-0.2):
            assert torch.equal(ours, self.read(model))
        assert list(steered) == ["sad", "happy"]

    @pytest.mark.parametrize("fails", [False, True])
    def test_nothing_stays_after_the_block(self, model, fails):
        vectors, plain = bundle(model.fingerprint), self.read(model)
        try:
            with vectors.steer(model, {"sad": 0.3, "happy": 0.3}):
                assert not torch.equal(self.read(model), plain)
                if fails:
                    raise RuntimeError("in the block")
        except RuntimeError:
            assert fails
        assert torch.equal(self.read(model), plain)

    def test_an_unknown_emotion_is_refused_with_the_nearest_names(self, model):
        vectors = bundle(model.fingerprint)
        for wrong in ("hapy", {"sad": 0.1, "hapy": 0.1}):
            with (
                pytest.raises(InvalidInput, match=r"'hapy' \(did you mean 'happy'\?\); these"),
                vectors.steer(model, wrong),
            ):
                pytest.fail("entered")

    def test_another_model_and_a_second_dose_are_refused(self, model):
        with pytest.raises(StaleArtifact), bundle().steer(model, "sad", dose=0.1):
            pytest.fail("entered")
        with bundle().steer(model, "sad", dose=0.1, force=True):
            assert self.read(model).isfinite().all()
        with (
            pytest.raises(InvalidInput, match="in the mapping alone, got dose=0.2"),
            bundle(model.fingerprint).steer(model, {"sad": 0.1}, dose=0.2),
        ):
            pytest.fail("entered")

    def test_a_layer_without_vectors_is_refused(self, model):
        with (
            pytest.raises(InvalidInput, match="nothing for layer 1; there is something for"),
            bundle(model.fingerprint).steer(model, "sad", dose=0.1, layers=[1]),
        ):
            pytest.fail("entered")


@pytest.mark.embedded
def test_a_real_model_says_more_of_the_emotion_it_is_steered_to():
    model = hooks.load("embedded:smollm2-135m-instruct", dtype="float32", device="cpu")
    words = {"sad": " sad", "happy": " happy"}
    texts = {
        "sad": ["She wept beside the grave.", "He sat alone and cried.", "The loss broke him."],
        "happy": ["She laughed and danced.", "He grinned at the good news.", "They cheered aloud."],
    }
    layers = [10, 20]
    pooled = {
        name: hooks.pooled_resid_post(model, group, layers=layers) for name, group in texts.items()
    }
    means = torch.stack([pooled[name].mean.mean(dim=0) for name in words], dim=1)
    center = means.mean(dim=1)
    norms = torch.cat([pooled[name].norm for name in words]).mean(dim=0)
    made_from = provenance(
        model.fingerprint, emotions=list(words), layers=layers, n_neutral_components=[0, 0],
        n_stories=[3, 3], target_layer=20,
    )  # fmt: skip
    raw = means - center[:, None]
    vectors = EmotionVectors(raw, raw, center, norms, made_from)

    for name, text in (("sad", "Tears ran down her face."), ("happy", "They won and celebrated!")):
        assert vectors.nearest(model, text, n=1)[0][0] == name

    def lean():
        """Log-odds of the word sad against happy after a neutral beginning."""
        beginning = "At the end of the day the man felt very"
        residual = hooks.resid_post(model, beginning, [model.n_layers - 1]).resid[0, -1]
        logits = model.unembed(residual)
        sad, happy = (model.encode(word)[-1] for word in words.values())
        return float(logits[sad] - logits[happy])

    plain = lean()
    with vectors.steer(model, "sad", dose=0.2):
        sadder = lean()
    with vectors.steer(model, {"happy": 0.2}):
        happier = lean()
    assert happier < plain < sadder
    assert lean() == plain


def test_mean_residual_norm_counts_every_token_once():
    norm = torch.tensor([[1.0, 10.0], [4.0, 40.0]])
    mean = mean_residual_norm(norm, torch.tensor([2, 1]))
    torch.testing.assert_close(mean, torch.tensor([2.0, 20.0]))
