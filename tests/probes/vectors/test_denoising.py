import pytest
import torch
from torch.nn.functional import cosine_similarity

from hooks.errors import DataError, InvalidInput
from probes.vectors.denoising import (
    CellSums,
    MeanAccumulator,
    emotion_means,
    fit_vectors,
    mean_difference,
    outlier_dimensions,
)
from probes.vectors.neutral import project_out


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def emotion_labels(n_emotions: int, n_stories: int) -> torch.Tensor:
    return torch.arange(n_emotions).repeat_interleave(n_stories)


class TestMeans:
    def test_ragged_story_counts_give_each_emotion_its_own_mean(self):
        activations = noise(6, 2, 3)
        emotion = torch.tensor([1, 0, 1, 1, 2, 1])
        means = emotion_means(activations, emotion, 3)
        torch.testing.assert_close(means[0], activations[1].double())
        torch.testing.assert_close(means[1], activations[[0, 2, 3, 5]].double().mean(0))
        torch.testing.assert_close(means[2], activations[4].double())

    def test_small_signal_survives_a_large_offset(self):
        n_stories = 5000
        signal = torch.tensor([-1e-2, 1e-2], dtype=torch.float64)
        emotion = emotion_labels(2, n_stories)
        spread = noise(2 * n_stories, 1, 4)
        activations = (1e4 + spread + signal[emotion].reshape(-1, 1, 1)).float()
        exact = activations.double().reshape(2, n_stories, 1, 4).mean(1)
        torch.testing.assert_close(emotion_means(activations, emotion, 2), exact, rtol=0, atol=1e-9)

    def test_shards_give_the_same_bits_as_one_batch(self):
        activations, emotion = 1e4 + noise(700, 3, 5), torch.arange(700) % 7
        accumulator = MeanAccumulator(7, 3, 5)
        for rows, labels in zip(activations.split(123), emotion.split(123), strict=True):
            accumulator.add(rows, labels)
        assert torch.equal(accumulator.means(), emotion_means(activations, emotion, 7))
        assert accumulator.counts.tolist() == [100] * 7

    def test_bfloat16_activations_are_summed_in_float64(self):
        activations = torch.full((1000, 1, 1), 1.0078125, dtype=torch.bfloat16)
        means = emotion_means(activations, torch.zeros(1000, dtype=torch.int64), 1)
        assert means.dtype == torch.float64
        assert means.item() == 1.0078125

    def test_emotion_without_story_is_named(self):
        with pytest.raises(DataError, match=r"emotion index \[1, 3\]"):
            emotion_means(noise(3, 1, 2), torch.tensor([0, 2, 2]), 4)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_story_that_is_not_finite_is_named_across_shards(self, value):
        accumulator = MeanAccumulator(2, 1, 3)
        accumulator.add(noise(10, 1, 3), torch.zeros(10, dtype=torch.int64))
        bad = noise(4, 1, 3)
        bad[2, 0, 1] = value
        with pytest.raises(DataError, match="story index 12"):
            accumulator.add(bad, torch.ones(4, dtype=torch.int64))

    def test_refused_batch_leaves_the_means_alone(self):
        accumulator = MeanAccumulator(1, 1, 3)
        accumulator.add(noise(2, 1, 3), torch.zeros(2, dtype=torch.int64))
        before = accumulator.means()
        bad = torch.full((1, 1, 3), float("nan"))
        with pytest.raises(DataError):
            accumulator.add(bad, torch.zeros(1, dtype=torch.int64))
        assert torch.equal(accumulator.means(), before)

    @pytest.mark.parametrize("label", [-1, 2])
    def test_emotion_index_outside_the_list_is_refused(self, label):
        with pytest.raises(InvalidInput, match=r"0\.\.1"):
            emotion_means(noise(2, 1, 3), torch.tensor([0, label]), 2)

    def test_shard_of_another_model_is_refused(self):
        with pytest.raises(InvalidInput, match=r"\(2, 3\)"):
            MeanAccumulator(1, 2, 3).add(noise(1, 2, 4), torch.zeros(1, dtype=torch.int64))


class TestMeanDifference:
    def test_raw_vectors_sum_to_zero_over_emotions(self):
        raw, global_mean = mean_difference(1e4 + noise(7, 3, 5).double())
        assert raw.shape == (3, 7, 5)
        assert raw.sum(dim=1).abs().max() < 1e-9
        assert global_mean.shape == (3, 5)

    def test_every_emotion_weighs_the_same_whatever_its_number_of_stories(self):
        activations = torch.tensor([0.0] * 9 + [1.0]).reshape(10, 1, 1)
        means = emotion_means(activations, torch.tensor([0] * 9 + [1]), 2)
        assert mean_difference(means)[1].item() == 0.5

    def test_planted_directions_are_recovered(self):
        n_emotions, n_stories, d_model = 6, 40, 64
        planted = noise(n_emotions, d_model, seed=1)
        planted -= planted.mean(dim=0)
        emotion = emotion_labels(n_emotions, n_stories)
        stories = 50 + planted[emotion] + 0.5 * noise(len(emotion), d_model, seed=2)
        raw, _ = mean_difference(emotion_means(stories[:, None], emotion, n_emotions))
        assert cosine_similarity(raw[0], planted.double()).min() > 0.99

    def test_no_direction_is_invented_from_noise(self):
        n_emotions, d_model = 20, 128
        emotion = emotion_labels(n_emotions, 30)
        halves = [
            mean_difference(emotion_means(50 + noise(600, 1, d_model, seed=s), emotion, n_emotions))
            for s in (1, 2)
        ]
        cosine = cosine_similarity(halves[0][0][0], halves[1][0][0])
        assert abs(cosine.mean().item()) < 0.06
        assert cosine.abs().max() < 0.4

    def test_single_emotion_has_nothing_to_differ_from(self):
        with pytest.raises(InvalidInput, match="at least 2 emotions"):
            mean_difference(noise(1, 2, 3))


class TestFitVectors:
    TOPIC = torch.tensor([0, 0, 1, 1, 2, 2, 2, 1])
    EMOTION = torch.tensor([0, 1, 0, 1, 0, 1, 2, 2])
    WEIGHT = torch.tensor([1, 2, 1, 1, 3, 1, 1, 1])
    BASIS = torch.eye(6, dtype=torch.float64)[:2]

    def cells(self, rows):
        return CellSums.of(rows, (self.TOPIC, self.EMOTION), self.WEIGHT, (3, 3))

    def rows(self):
        return noise(8, 6).double()

    def test_all_topics_give_the_vectors_of_the_streaming_recipe(self):
        rows = self.rows()
        means = MeanAccumulator(3, 1, 6)
        means.add(rows[:, None], self.EMOTION, self.WEIGHT)
        raw, center = mean_difference(means.means())
        fitted = fit_vectors(self.cells(rows), torch.ones(3), self.BASIS)
        torch.testing.assert_close(fitted.vectors, project_out(raw[0], self.BASIS))
        torch.testing.assert_close(fitted.center, center[0])
        assert fitted.present.all()

    def test_a_topic_counts_as_often_as_it_is_weighed(self):
        rows, twice = self.rows(), torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 2, 3, 7])
        again = CellSums.of(
            rows[twice], (self.TOPIC[twice], self.EMOTION[twice]), self.WEIGHT[twice], (3, 3)
        )
        weighed = fit_vectors(self.cells(rows), torch.tensor([1.0, 2.0, 1.0]), self.BASIS)
        expected = fit_vectors(again, torch.ones(3), self.BASIS)
        torch.testing.assert_close(weighed.vectors, expected.vectors)

    def test_an_emotion_without_a_story_has_no_vector_and_no_say_in_the_center(self):
        rows = self.rows()
        fitted = fit_vectors(self.cells(rows), torch.tensor([True, False, False]), self.BASIS[:0])
        assert fitted.present.tolist() == [True, True, False]
        torch.testing.assert_close(fitted.center, rows[:2].mean(dim=0))
        assert (fitted.vectors[2] == 0).all()


class TestOutlierDimensions:
    def test_massive_dimension_is_found_with_its_share(self):
        activations = torch.ones(10, 2, 5)
        activations[:, 1, 3] = -4.0
        outliers = outlier_dimensions(activations)
        torch.testing.assert_close(outliers.share, torch.tensor([0.2, 0.8]).double())
        assert outliers.dimensions[1].tolist() == [3]

    def test_all_dimensions_hold_everything(self):
        outliers = outlier_dimensions(noise(10, 2, 5), k=5)
        torch.testing.assert_close(outliers.share, torch.ones(2).double())

    @pytest.mark.parametrize("k", [0, 6])
    def test_number_of_dimensions_out_of_range_is_refused(self, k):
        with pytest.raises(InvalidInput, match=r"1\.\.5"):
            outlier_dimensions(noise(10, 2, 5), k=k)

    def test_silent_layer_is_an_error(self):
        with pytest.raises(DataError, match=r"layer index \[0\]"):
            outlier_dimensions(torch.zeros(2, 1, 3))
