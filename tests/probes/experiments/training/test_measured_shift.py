"""From two models' residuals to a shift: planted sizes come out, and nothing comes of nothing."""

from dataclasses import replace

import pytest
import torch

from hooks.errors import DataError
from probes.experiments.training.emotion_shift import BEYOND
from probes.experiments.training.measured_shift import OtherRun, measure


def by_name(result, name):
    return dict(zip(result.emotions, result.shifts[name].shift, strict=True))


def test_what_training_adds_is_measured_on_the_prompts_where_it_does(
    materials, read, unit, measured
):
    result = measured(read(materials, 0.2 * unit(materials, "sad")))
    challenging, neutral = (by_name(result, name) for name in ("challenging", "neutral"))
    assert challenging["sad"].value == pytest.approx(0.2, abs=0.005)
    assert abs(neutral["sad"].value) < 0.005
    assert by_name(result, BEYOND)["sad"].value == pytest.approx(0.2, abs=0.01)
    up, _ = result.moved(result.shifts["challenging"])
    assert up[0] == ("sad", challenging["sad"].value)
    assert result.shifts["challenging"].excess.above_zero
    assert result.moved(result.shifts["neutral"]) == ([], [])
    assert not result.shifts["neutral"].excess.above_zero
    assert result.n_directions == 1000


def test_a_shift_on_all_prompts_is_alike_on_both_and_not_beyond_neutral(
    materials, read, unit, measured
):
    added = 0.2 * unit(materials, "sad") - 0.1 * unit(materials, "proud")
    result = measured(read(materials, added, added))
    assert result.shift_r.r.value > 0.98
    assert abs(by_name(result, BEYOND)["sad"].value) < 0.005
    assert not result.shifts[BEYOND].excess.above_zero
    assert result.profile_r["neutral"].r.value == pytest.approx(
        float(torch.corrcoef(torch.tensor(result.profiles["neutral"], dtype=torch.float64))[0, 1])
    )


def test_noise_shifts_nothing_in_nearly_all_sets(materials, read, measured):
    results = [measured(read(materials, seed=seed)) for seed in range(4)]
    shifts = [(result, shift) for result in results for shift in result.shifts.values()]
    assert sum(result.moved(shift) != ([], []) for result, shift in shifts) <= 2
    assert sum(shift.excess.above_zero for _, shift in shifts) <= 1
    assert all(result.profile_r["challenging"].r.value > 0.9 for result in results)


def test_the_center_does_not_matter_to_a_shift(materials, read, unit, measured):
    readings = read(materials, 0.2 * unit(materials, "sad"))
    moved = replace(materials.vectors, global_mean=materials.vectors.global_mean + 3.0)
    one = measured(readings)
    other = measured(readings, moved)
    for name in one.shifts:
        pairs = zip(one.shifts[name].shift, other.shifts[name].shift, strict=True)
        assert all(a.value == pytest.approx(b.value, abs=1e-6) for a, b in pairs)


def test_ratings_follow_a_shift_to_the_pleasant_side(materials, read, unit, measured):
    pleasant = sum(unit(materials, name) for name in ("happy", "proud", "kind", "relaxed"))
    unpleasant = sum(unit(materials, name) for name in ("angry", "sad", "bored", "lonely"))
    result = measured(read(materials, 0.05 * (pleasant - unpleasant)))
    assert result.n_rated >= 5
    assert result.ratings["valence"].r.value > 0.9
    assert result.ratings["valence"].p < 0.05
    reverse = measured(read(materials, 0.05 * (unpleasant - pleasant)))
    assert reverse.ratings["valence"].r.value < -0.9


class TestOwnVectors:
    def test_the_same_vectors_say_the_same(self, materials, read, unit, measured):
        readings = read(materials, 0.2 * unit(materials, "sad"))
        own = measured(readings, other_run=OtherRun("chat", materials.vectors)).own
        assert own.run == "chat"
        assert own.n_emotions == len(materials.emotions)
        assert own.cosine.value == pytest.approx(1)
        assert own.shift_r.value == pytest.approx(1)

    def test_others_have_their_own_center_norm_and_emotions(self, materials, read, unit, measured):
        readings = read(materials, 0.2 * unit(materials, "sad"))
        bundle, kept = materials.vectors, [5, 1, 0, 3]
        others = replace(
            bundle,
            vectors=bundle.vectors[:, kept],
            raw=bundle.raw[:, kept],
            residual_norm=2 * bundle.residual_norm,
            global_mean=bundle.global_mean + 1.0,
            provenance=replace(
                bundle.provenance, emotions=[bundle.emotions[number] for number in kept]
            ),
        )
        own = measured(readings, other_run=OtherRun("chat", others)).own
        assert own.n_emotions == 4
        assert own.cosine.value == pytest.approx(1)
        profile = own.profile_r.value
        place = bundle.layer_index(materials.layer)
        apart = readings.residual[:, 0].double().mean(dim=1) - bundle.global_mean[place].double()
        apart[1] -= 1.0
        names = sorted(kept)
        vectors = bundle.at(materials.layer)[names].double()
        profiles = (vectors / vectors.norm(dim=1, keepdim=True)) @ apart.T
        assert profile == pytest.approx(float(torch.corrcoef(profiles.T)[0, 1]))

    def test_unrelated_vectors_have_no_cosine(self, materials, read, measured):
        draws = torch.Generator().manual_seed(3)
        vectors = torch.randn(materials.vectors.vectors.shape, generator=draws)
        others = replace(materials.vectors, vectors=vectors)
        own = measured(read(materials), other_run=OtherRun("chat", others)).own
        low, high = own.cosine.ends
        assert low < 0 < high


def test_how_long_the_other_residuals_are_is_told(materials, read, measured):
    readings = read(materials, noise=0.0)
    longer = torch.stack([readings.residual[0], 1.5 * readings.residual[0]])
    result = measured(replace(readings, residual=longer))
    assert result.length_ratio == pytest.approx(1.5)
    assert any("1.50 times as long" in limit for limit in result.limits())


def test_one_story_an_emotion_is_too_little_for_random_directions(reading_run, read):
    from planted_runs import materials as materials_of

    run = reading_run(corpus={"topics": ["a lost key"], "per_cell": 1})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    materials = materials_of(run)
    with pytest.raises(DataError, match="two stories or more"):
        measure(materials, read(materials), materials.vectors, materials.layer)
