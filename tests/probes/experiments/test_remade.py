"""Vectors made again are the run's own where labels stay, and no emotion's where they don't."""

import pytest
import torch

from probes import EmotionVectors
from probes.experiments.remade import Remade
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent


@pytest.mark.parametrize("way", ["shown", "said", "carried", "both"])
def test_vectors_are_remade_as_the_run_made_them(reference_run, way):
    run = reference_run.run(vectors__way=way)
    materials = Materials(run, Models(run.config), Silent())
    own = EmotionVectors.load(reference_run.folder).using(way).at(materials.layer)
    remade = Remade(materials)
    alike = {
        name: torch.cosine_similarity(torch.stack(again).mean(dim=0), own)
        for name, again in {"drawn": remade.resampled(40), "dealt": remade.shuffled(40)}.items()
    }
    assert alike["drawn"].min() > 0.9
    assert alike["dealt"].max() < 0.8
    ratio = torch.stack(remade.resampled(40)).mean(dim=0).norm(dim=1) / own.norm(dim=1)
    assert torch.allclose(ratio, torch.ones(3), atol=0.2)
