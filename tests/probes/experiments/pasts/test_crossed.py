"""Crossed causes: each version differs as it says, and no cause is taken for another."""

import pytest
import torch

from probes.experiments.pasts.crossed import SHAPE, Effects, own_emotion, versions
from probes.stimuli.pasts import binding_scenes

SCENES = binding_scenes()
EMOTIONS = ["proud", "relieved", "happy", "excited", "humiliated", "guilty", "sad", "afraid"]
SIGN = torch.tensor([1.0, -1.0])


def noise(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class TestVersions:
    @pytest.mark.parametrize("scene", SCENES, ids=lambda it: it.id)
    def test_eight_texts_differ_by_lucky_name_last_fate_and_mention(self, scene):
        texts = iter(versions(scene))
        for lucky, unlucky in (scene.names, scene.names[::-1]):
            fates = [
                scene.lucky.replace("{name}", lucky),
                scene.unlucky.replace("{name}", unlucky),
            ]
            for last in (0, 1):
                for mentioned in (lucky, unlucky):
                    mention = scene.mention.replace("{name}", mentioned)
                    assert next(texts) == f"{fates[1 - last]} {fates[last]} {mention}"
        assert next(texts, None) is None


class TestEffects:
    def streams(self, **planted):
        """Streams in which the product of the signs of some causes adds a vector."""
        shape = len(SCENES), *SHAPE.values(), 2, 6
        total = torch.zeros(shape)
        axes = {"lucky": 1, "last": 2, "mentioned": 3}
        for causes, vector in planted.items():
            sign = torch.ones(1, 1, 1, 1, 1, 1)
            for cause in causes.split("_"):
                size = [1] * 6
                size[axes[cause]] = 2
                sign = sign * SIGN.reshape(size)
            total = total + sign * vector
        return total

    @pytest.mark.parametrize(
        ("causes", "name"),
        [("mentioned", "binding"), ("last", "recency"), ("lucky_mentioned", "names")],
    )
    def test_a_cause_is_seen_with_twice_its_vector_and_in_no_other(self, causes, name):
        vector = noise(0, 6).float()
        effects = Effects.of(self.streams(**{causes: vector}))._asdict()
        seen = effects.pop(name)
        torch.testing.assert_close(seen, (2 * vector).expand_as(seen))
        assert all(float(other.abs().max()) < 1e-6 for other in effects.values())

    def test_other_products_are_none_of_them(self):
        others = {
            name: noise(seed, 6).float()
            for seed, name in enumerate(
                ["lucky", "lucky_last", "last_mentioned", "lucky_last_mentioned"]
            )
        }
        for effect in Effects.of(self.streams(**others)):
            assert float(effect.abs().max()) < 1e-5


class TestOwnEmotion:
    def planted(self, strength, seed=0):
        """Scores in which the emotions of both fates move by a strength, among noise."""
        scores = 0.1 * noise(seed, len(SCENES), len(EMOTIONS))
        for row, scene in zip(scores, SCENES, strict=True):
            for fate, sign in (("lucky", 1), ("unlucky", -1)):
                row[[EMOTIONS.index(e) for e in scene.implies[fate] if e in EMOTIONS]] += (
                    sign * strength
                )
        return scores

    def test_a_planted_emotion_is_seen_with_its_size_and_place(self):
        seen = own_emotion(SCENES, EMOTIONS, self.planted(1.0), self.planted(0.25, seed=1), seed=0)
        assert seen.own.value == pytest.approx(1.0, abs=0.05)
        assert seen.recency.value == pytest.approx(0.25, abs=0.05)
        assert seen.over_recency.value == pytest.approx(0.75, abs=0.1)
        assert seen.p < 0.01
        assert seen.place.value == 1.0
        both = [
            it
            for it in SCENES
            if all(set(it.implies[fate]) & set(EMOTIONS) for fate in ("lucky", "unlucky"))
        ]
        assert seen.n_scenes == len(both) < len(SCENES)

    def test_noise_has_no_place_and_seldom_a_small_p(self):
        runs = [
            own_emotion(
                SCENES, EMOTIONS, *(self.planted(0.0, seed=2 * s + k) for k in (0, 1)), seed=s
            )
            for s in range(100)
        ]
        assert sum(it.p <= 0.05 for it in runs) <= 11
        assert sum(it.place.less(0.5).above_zero for it in runs) <= 8
        assert torch.tensor([it.place.value for it in runs]).mean() == pytest.approx(0.5, abs=0.03)

    def test_too_few_scenes_are_none(self):
        scores = torch.zeros(len(SCENES), 2, dtype=torch.float64)
        assert own_emotion(SCENES, ["smug", "vigilant"], scores, scores, seed=0) is None
