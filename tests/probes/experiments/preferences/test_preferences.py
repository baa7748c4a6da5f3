"""Preferences of a run: what is asked, and what planted vectors read and push."""

import json

import pytest
import torch
from planted_runs import materials as materials_of

from probes.experiments import to_json
from probes.experiments.preferences.bradley_terry import balanced_pairs, fit
from probes.experiments.preferences.forced_choice import (
    activity_residuals,
    preferences,
    steered_changes,
)
from probes.experiments.preferences.preferences import EXPERIMENT, measure
from probes.experiments.steering.doses import judged_dose
from probes.stimuli import activities

FEW = {"validation__preference_pairs": 96, "validation__preference_steered_pairs": 2}
MEANING = ("angry", "bored", "happy", "kind", "lonely", "proud", "relaxed", "sad")


def test_how_many_pairs_were_asked_is_said_and_elo_is_centered(finished):
    result = measure(materials_of(finished, **FEW))
    assert (result.n_pairs, result.n_pairs_all) == (96, 2016)
    assert any("96 of 2016 pairs" in limit for limit in result.limits())
    assert sum(row.elo for row in result.activities) == pytest.approx(0.0, abs=1e-6)
    assert result.coupling is None  # three emotions
    assert set(result.emotions) == {"angry", "happy", "sad"}
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result
    numbers = result.paper_numbers()
    assert numbers["preferences.coupling_r"] == "too few emotions"
    assert numbers["preferences.probe_vs_elo_r.hostile"] == "this run has no vector of 'hostile'"


def test_the_judged_dose_is_steered_with(finished):
    result = measure(materials_of(finished, validation__doses=[0.1, 0.3, 0.5], **FEW))
    assert result.dose == 0.1


@pytest.fixture
def planted_emotions(reading_run):
    """A small run of eight emotions, up to its vectors.

    It is analyzed below the last layer, where what is added to one token still reaches the next.
    """
    run = reading_run(corpus={"emotions": list(MEANING)}, model={"target_layer": 2})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return run


class TestLinks:
    def test_a_vector_along_what_the_model_prefers_is_found_and_noise_is_not(self, finished):
        materials = materials_of(
            finished, validation__preference_pairs=96, validation__preference_steered_pairs=2
        )
        model, row = materials.subject(), materials.vectors.layer_index(materials.layer)
        texts = [activity.text for activity in activities()]
        pairs = balanced_pairs(len(texts), 96, materials.seed)
        share = preferences(model, texts, pairs).mean(dim=0).sigmoid()
        elo = fit(pairs, share, len(texts)).elo.double()
        residual, _ = activity_residuals(model, texts, materials.layer)
        level = residual.double() - materials.vectors.global_mean[row].double()
        directions = level / level.norm(dim=1, keepdim=True)
        planted = torch.randn(3, 32, generator=torch.Generator().manual_seed(3))
        # The direction whose cosines with the activities are as close to Elo as they can be.
        happy = materials.emotions.index("happy")
        planted[happy] = torch.linalg.lstsq(directions, elo[:, None]).solution[:, 0]
        materials.vectors.vectors[:] = planted
        linked = measure(materials).emotions
        assert linked["happy"].low > 0.5
        assert linked["happy"].p_corrected < 0.01
        assert all(linked[name].p_corrected > 0.05 for name in ("angry", "sad"))


class TestCoupling:
    """Vectors that read what the model prefers, and push it, or do each without the other."""

    PUSHED = 3

    @pytest.fixture
    def materials(self, planted_emotions):
        return materials_of(
            planted_emotions,
            validation__preference_pairs=96,
            validation__preference_steered_pairs=self.PUSHED,
        )

    def axes(self, materials):
        """A direction whose cosines follow Elo and that pushes nothing, and one the other way."""
        model, row = materials.subject(), materials.vectors.layer_index(materials.layer)
        texts = [activity.text for activity in activities()]
        pairs = balanced_pairs(len(texts), 96, materials.seed)
        share = preferences(model, texts, pairs).mean(dim=0).sigmoid()
        elo = fit(pairs, share, len(texts)).elo.double()
        residual, _ = activity_residuals(model, texts, materials.layer)
        level = residual.double() - materials.vectors.global_mean[row].double()
        level = level / level.norm(dim=1, keepdim=True)
        read = torch.linalg.lstsq(level, (elo - elo.mean())[:, None]).solution[:, 0]
        steered = balanced_pairs(len(texts), self.PUSHED, materials.seed + 1)
        settings = materials.config.validation
        dose = judged_dose(settings.doses)
        norm = float(materials.vectors.residual_norm[row])
        how = {"layers": [materials.layer], "dose": dose, "residual_norm": norm}
        basis = torch.eye(len(read))
        up, down = (steered_changes(model, texts, steered, side * basis, **how) for side in (1, -1))
        push = (up - down).double().mean(dim=1)
        read, push = read / read.norm(), push / push.norm()
        alone = push - (push @ read) * read
        return read, alone / alone.norm()

    def measured(self, materials, reading, pushing):
        read, push = self.axes(materials)
        noise = torch.randn(8, 32, generator=torch.Generator().manual_seed(6)).double()
        noise = noise - (noise @ read)[:, None] * read - (noise @ push)[:, None] * push
        own = reading[:, None] * read + pushing[:, None] * push
        materials.vectors.vectors[:] = (own + 0.05 * noise).float()
        return measure(materials)

    def test_what_reads_and_pushes_alike_is_coupled(self, materials):
        amount = torch.tensor([-1.0, -0.7, -0.4, -0.1, 0.1, 0.4, 0.7, 1.0]).double()
        result = self.measured(materials, amount, amount)
        assert result.coupling.r > 0.8
        assert result.coupling.p < 0.01
        assert result.coupling.low > result.coupling_shuffled.low

    def test_what_reads_one_way_and_pushes_another_is_not(self, materials):
        reading = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]).double()
        pushing = torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0]).double()
        result = self.measured(materials, reading, pushing)
        assert result.coupling.p > 0.05
        assert result.coupling.low < 0 < result.coupling.high
