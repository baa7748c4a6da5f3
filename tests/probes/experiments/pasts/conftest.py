"""Small runs with rated emotions of both sides: known vectors, or closings of the corpus."""

import pytest
import reference_runs
import small_runs
import torch
from planted_runs import materials as materials_of

from probes.vectors.normalize import normalize

EMOTIONS = [
    *("happy", "proud", "grateful", "relieved", "joyful", "hopeful", "kind", "relaxed"),
    *("sad", "afraid", "angry", "guilty", "lonely", "desperate", "embarrassed", "bored"),
]


@pytest.fixture(scope="session")
def materials(tmp_path_factory, subject):
    """Of a run of 16 emotions read by a tiny model; its vectors are random directions."""
    folder = tmp_path_factory.mktemp("pasts")
    values = small_runs.small_settings(
        subject,
        folder / "out",
        corpus=small_runs.write_corpus(folder, EMOTIONS),
        generation={"emotions_subset": None},
        validation={"n_random": 30},
    )
    run = small_runs.SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    run.run().prepare()
    run.stages(*reference_runs.STAGES)
    made = materials_of(run)
    bundle = made.vectors
    drawn = torch.randn(bundle.vectors.shape, generator=torch.Generator().manual_seed(3))
    bundle.vectors[:] = normalize(drawn)
    return made


@pytest.fixture(scope="session")
def with_closings(tmp_path_factory):
    """Of a run of eight emotions on four topics and three frames of the corpus, by a tiny model."""
    folder = tmp_path_factory.mktemp("closings")
    subject = reference_runs.save_subject(folder / "subject")
    emotions = [*EMOTIONS[:4], *EMOTIONS[8:12]]
    generation = {"emotions_subset": emotions, "topics_subset": 4}
    values = reference_runs.settings(subject, folder / "out", generation=generation)
    run = small_runs.SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    run.run().prepare()
    run.stages(*reference_runs.STAGES)
    return materials_of(run)
