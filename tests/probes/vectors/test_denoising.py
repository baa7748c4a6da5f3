import pytest
import torch
from einops import einsum, rearrange
from torch.nn.functional import cosine_similarity

from hooks.errors import DataError, InvalidInput
from probes.vectors.denoising import (
    MeanAccumulator,
    emotion_means,
    mean_difference,
    neutral_components,
    outlier_dimensions,
    project_out,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def emotion_labels(n_emotions: int, n_stories: int) -> torch.Tensor:
    return torch.arange(n_emotions).repeat_interleave(n_stories)


def neutral_with_confound(confound: torch.Tensor, n_samples: int = 200) -> torch.Tensor:
    """Neutral samples that vary mostly along one direction."""
    amount = 5 * noise(n_samples, 1, seed=7)
    return noise(n_samples, len(confound), seed=8) * 0.2 + amount * confound


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


class TestNeutralComponents:
    def test_fewest_components_that_reach_the_threshold_are_kept(self):
        # Four orthogonal pairs of samples: variances 4, 3, 2, 1 of 10 along the axes.
        scale = torch.tensor([4.0, 3.0, 2.0, 1.0]).double().sqrt()
        samples = torch.cat([torch.diag(scale), -torch.diag(scale)])
        for threshold, count in [(0.0, 0), (0.4, 1), (0.41, 2), (0.7, 2), (0.9, 3), (1.0, 4)]:
            components = neutral_components(samples, threshold)
            assert len(components.directions) == count
        torch.testing.assert_close(components.directions, torch.eye(4).double())
        torch.testing.assert_close(
            components.explained_variance_ratio, torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
        )

    def test_peaked_samples_need_fewer_components_than_flat_ones(self):
        peaked = 0.1 * noise(100, 8, seed=1)
        peaked[:, 3] += 10 * noise(100, seed=2)
        assert len(neutral_components(noise(100, 8), 0.5).directions) > 1
        directions, _ = neutral_components(peaked, 0.5)
        assert len(directions) == 1
        assert directions[0, 3] > 0.99

    def test_offset_of_the_neutral_text_is_not_a_component(self):
        confound = torch.eye(16)[4]
        directions, _ = neutral_components(1e4 + neutral_with_confound(confound), 0.5)
        assert directions @ confound.double() > 0.99

    def test_directions_are_orthonormal_and_repeatable(self):
        samples = noise(50, 20)
        rows, again = (neutral_components(samples, 0.8).directions for _ in range(2))
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)).double())
        assert torch.equal(rows, again)

    def test_sign_does_not_depend_on_the_sign_of_the_samples(self):
        samples = noise(50, 20)
        rows, mirrored = (neutral_components(s, 0.5).directions for s in (samples, -samples))
        torch.testing.assert_close(rows, mirrored)
        largest = rows.abs().argmax(dim=1, keepdim=True)
        assert bool((rows.gather(1, largest) > 0).all())

    def test_two_samples_have_the_one_direction_between_them(self):
        directions, _ = neutral_components(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 1.0)
        torch.testing.assert_close(directions, torch.tensor([[0.6, 0.8]]).double())

    def test_one_sample_is_refused(self):
        with pytest.raises(InvalidInput, match="at least 2 neutral samples, got 1"):
            neutral_components(noise(1, 3), 0.5)

    @pytest.mark.parametrize("threshold", [-0.1, 50.0, float("nan")])
    def test_threshold_must_be_a_share(self, threshold):
        with pytest.raises(InvalidInput, match=r"0\.\.1"):
            neutral_components(noise(5, 3), threshold)

    def test_identical_samples_are_an_error(self):
        with pytest.raises(DataError, match="identical"):
            neutral_components(torch.full((5, 3), 0.1), 0.5)

    def test_sample_that_is_not_finite_is_named(self):
        samples = noise(5, 3)
        samples[3, 0] = float("nan")
        with pytest.raises(DataError, match="sample index 3"):
            neutral_components(samples, 0.5)


class TestProjectOut:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_result_is_orthogonal_to_the_components(self, dtype):
        vectors, components = noise(4, 7, 64).to(dtype), noise(5, 64, seed=1)
        left = project_out(vectors, components)
        assert left.dtype == dtype
        overlap = einsum(left.double(), components.double(), "... d, component d -> ... component")
        relative = overlap / rearrange(left.double().norm(dim=-1), "... -> ... 1")
        assert relative.abs().max() < 1e-5

    def test_projecting_twice_is_projecting_once(self):
        components = noise(5, 64, seed=1)
        once = project_out(noise(7, 64), components)
        torch.testing.assert_close(project_out(once, components), once, rtol=1e-6, atol=1e-6)

    def test_what_is_orthogonal_already_stays(self):
        vectors = torch.tensor([[0.0, 2.0, -3.0]])
        assert torch.equal(project_out(vectors, torch.tensor([[5.0, 0.0, 0.0]])), vectors)

    def test_only_the_span_matters_not_length_order_or_repetition_of_components(self):
        vectors, components = noise(7, 16), noise(2, 16, seed=1)
        mixed = torch.stack([3 * components[1], components.sum(0), components[1]])
        torch.testing.assert_close(project_out(vectors, mixed), project_out(vectors, components))

    def test_no_components_remove_nothing(self):
        vectors = noise(2, 3)
        assert torch.equal(project_out(vectors, torch.zeros(0, 3)), vectors)

    def test_nan_in_a_component_is_an_error(self):
        with pytest.raises(DataError, match="component index 1"):
            project_out(noise(2, 3), torch.tensor([[1.0, 0, 0], [0, float("nan"), 0]]))

    def test_neutral_confound_is_removed_and_the_emotion_kept(self):
        d_model, n_emotions = 32, 4
        confound, emotions = torch.eye(d_model)[0], torch.eye(d_model)[1 : n_emotions + 1]
        emotion = emotion_labels(n_emotions, 50)
        # The confound is stronger in stories of the first emotion.
        leak = 3 * torch.tensor([1.0, 0, 0, 0])[emotion]
        stories = 10 + emotions[emotion] + leak[:, None] * confound
        stories = (stories + 0.1 * noise(len(emotion), d_model))[:, None].repeat(1, 2, 1)
        raw, _ = mean_difference(emotion_means(stories, emotion, n_emotions))
        neutral = neutral_components(neutral_with_confound(confound), 0.5)
        denoised = project_out(raw[1], neutral.directions)
        expected = (emotions - emotions.mean(0)).double()
        assert cosine_similarity(raw[1], expected)[0] < 0.5
        assert cosine_similarity(denoised, expected).min() > 0.99


class TestOutlierDimensions:
    def test_massive_dimension_is_found_with_its_share(self):
        activations = torch.ones(10, 2, 5)
        activations[:, 1, 3] = -4.0
        found = outlier_dimensions(activations)
        torch.testing.assert_close(found.share, torch.tensor([0.2, 0.8]).double())
        assert found.dimensions[1].tolist() == [3]

    def test_all_dimensions_hold_everything(self):
        found = outlier_dimensions(noise(10, 2, 5), k=5)
        torch.testing.assert_close(found.share, torch.ones(2).double())

    @pytest.mark.parametrize("k", [0, 6])
    def test_number_of_dimensions_out_of_range_is_refused(self, k):
        with pytest.raises(InvalidInput, match=r"1\.\.5"):
            outlier_dimensions(noise(10, 2, 5), k=k)

    def test_silent_layer_is_an_error(self):
        with pytest.raises(DataError, match=r"layer index \[0\]"):
            outlier_dimensions(torch.zeros(2, 1, 3))
