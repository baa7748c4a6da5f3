"""What neutral text shares is taken out of vectors, and nothing else."""

import pytest
import torch
from einops import einsum, rearrange
from torch.nn.functional import cosine_similarity

from hooks.errors import DataError, InvalidInput
from probes.vectors.denoising import emotion_means, mean_difference
from probes.vectors.neutral import neutral_components, project_out


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def emotion_labels(n_emotions: int, n_stories: int) -> torch.Tensor:
    return torch.arange(n_emotions).repeat_interleave(n_stories)


def neutral_with_confound(confound: torch.Tensor, n_samples: int = 200) -> torch.Tensor:
    """Neutral samples that vary mostly along one direction."""
    amount = 5 * noise(n_samples, 1, seed=7)
    return noise(n_samples, len(confound), seed=8) * 0.2 + amount * confound


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

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_orthonormal_components_may_be_used_as_they_are(self, dtype):
        components = torch.linalg.qr(noise(64, 5, seed=1).double()).Q.T
        vectors = noise(4, 64).to(dtype)
        fast = project_out(vectors, components, orthonormal=True)
        assert fast.dtype == dtype
        torch.testing.assert_close(fast, project_out(vectors, components))

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
