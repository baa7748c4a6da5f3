"""Vectors used with their model: to score, to steer, to watch it write; refused for another."""

import pytest
import torch
from tiny_vectors import EMOTIONS, LAYERS, bundle, provenance

import hooks
from hooks.errors import InvalidInput, StaleArtifact
from probes import EmotionVectors

TEXTS = ["The old man sat by the window.", "She ran down the hill laughing.", "Rain fell."]


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", backend="huggingface")


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


class TestMonitor:
    PROMPT = "He opened the letter and"

    def test_scores_are_those_of_the_text_read_afterwards_at_no_extra_pass(self, model):
        vectors, passes = bundle(model.fingerprint), []
        embeddings = model.hf.get_input_embeddings()
        handle = embeddings.register_forward_hook(lambda *_: passes.append(1))
        with vectors.monitor(model, ["at ease", "sad"], layer=3) as seen:
            [written] = model.generate([self.PROMPT], max_new_tokens=8, seed=1)
        handle.remove()
        [watched] = seen
        assert len(passes) == 1 + len(watched.ids)  # the prompt, then token by token
        assert watched.ids == written.tokens[: len(watched.ids)]
        assert len(written.tokens) - len(watched.ids) == (not written.finished)
        ids = model.encode_prompt(self.PROMPT)
        resid = hooks.resid_post(model, [*ids, *watched.ids], layers=[3]).resid[0, len(ids) :]
        expected = vectors.cosine(resid, 3)[:, [2, 0]]
        torch.testing.assert_close(watched.scores, expected, atol=1e-4, rtol=0)
        assert watched.emotions == ["at ease", "sad"]
        assert watched.newest["sad"] == pytest.approx(float(watched.scores[-1, 1]))
        assert written.text.startswith("".join(watched.tokens))

    def test_the_target_layer_is_watched_unless_told_and_one_name_is_one_emotion(self, model):
        vectors, scores = bundle(model.fingerprint), []
        for settings in ({}, {"layer": 2}):
            with vectors.monitor(model, "sad", **settings) as seen:
                model.generate([self.PROMPT], max_new_tokens=4, seed=1)
            scores.append(seen[0].scores)
        assert scores[0].shape[1] == 1
        assert torch.equal(scores[0], scores[1])

    def test_a_text_ends_with_the_token_at_which_it_is_to_stop(self, model):
        vectors, prompts = bundle(model.fingerprint), [self.PROMPT, *TEXTS[1:]]
        options = {"max_new_tokens": 9, "seed": 2}
        with vectors.monitor(model, EMOTIONS) as seen:
            plain = model.generate(prompts, **options)
        before = [watched.scores[:, 0] for watched in seen]
        limit = float(before[1][1:5].max())  # within the second text
        heard = []

        def too_sad(scores: dict[str, float]) -> bool:
            heard.append(scores)
            return scores["sad"] >= limit

        with vectors.monitor(model, EMOTIONS, stop_when=too_sad) as seen:
            written = model.generate(prompts, **options)
        assert all(list(scores) == EMOTIONS for scores in heard)
        for text, whole, watched, sad in zip(written, plain, seen, before, strict=True):
            above = (sad >= limit).nonzero().flatten().tolist()
            if not above:
                assert text == whole
                continue
            assert text.tokens == whole.tokens[: above[0] + 1] == watched.ids
            assert not text.finished
            assert watched.scores[-1, 0] >= limit
        assert written[1].tokens != plain[1].tokens

    def test_the_last_call_is_kept_and_what_is_read_is_passed_by(self, model):
        vectors = bundle(model.fingerprint)
        with vectors.monitor(model, "sad") as seen:
            assert (seen[0].tokens, seen[0].scores.shape) == ([], (0, 1))
            model.generate([self.PROMPT, "Rain"], max_new_tokens=4, seed=1)
            [alone] = model.generate(["Rain"], max_new_tokens=4, seed=1)
            vectors.score(model, TEXTS)
        [watched] = seen
        assert watched.ids == alone.tokens[: len(watched.ids)] != []

    def test_what_steering_pushed_before_is_in_the_scores(self, model):
        vectors = bundle(model.fingerprint)
        means = []
        for dose in (0.0, 5.0):
            with vectors.steer(model, "sad", dose=dose), vectors.monitor(model, "sad") as seen:
                model.generate([self.PROMPT], max_new_tokens=6, seed=1)
            means.append(float(seen[0].scores.mean()))
        assert means[1] > means[0] + 0.2

    @pytest.mark.parametrize(
        ("emotions", "settings", "message"),
        [
            (["sadd"], {}, "no vector for 'sadd'"),
            ([], {}, "at least one to watch"),
            (["sad"], {"layer": 1}, "no vectors at layer 1"),
        ],
    )
    def test_what_cannot_be_watched_is_refused_at_once(self, model, emotions, settings, message):
        with pytest.raises(InvalidInput, match=message):
            bundle(model.fingerprint).monitor(model, emotions, **settings)

    def test_another_model_is_refused_unless_forced(self, model):
        vectors = bundle()
        with pytest.raises(StaleArtifact):
            vectors.monitor(model, "sad")
        with vectors.monitor(model, "sad", force=True) as seen:
            model.generate([self.PROMPT], max_new_tokens=2)
        assert seen[0].ids


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
