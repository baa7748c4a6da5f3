"""A run on the project's corpus whose tiny model reads whole dialogues, and one that can't."""

import pytest
import reference_runs
from planted_runs import materials as materials_of
from small_runs import SmallRun, small_settings, write_config, write_corpus

from probes.experiments.dialogues.crossing import CrossedRows

EMOTIONS = [
    *("angry", "sad", "afraid", "proud", "calm"),
    *("happy", "kind", "enraged", "weary", "tense", "upset"),
]
"""Some that dialogues are about, and as many rated ones that they are not."""


@pytest.fixture(scope="session", autouse=True)
def solved_once():
    """Least squares are solved once for the same rows: most tests measure the same dialogues."""
    solve, known = CrossedRows._fit, {}

    def fit(self, factor, weight, own):
        tensors = (self.levels, self.block, weight, own)
        key = (factor, self.n_levels, *((it.shape, it.numpy().tobytes()) for it in tensors))
        if key not in known:
            known[key] = solve(self, factor, weight, own)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossedRows, "_fit", fit)
        yield


@pytest.fixture(scope="session")
def dialogue_run(reference_subject, tmp_path_factory):
    """A run up to its vectors; leave it as it is."""
    folder = tmp_path_factory.mktemp("dialogues")
    values = reference_runs.settings(
        reference_subject,
        folder / "out",
        generation={"emotions_subset": EMOTIONS},
        validation={"n_permutations": 20, "n_refits": 5},
    )
    made = SmallRun(write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages(*reference_runs.STAGES)
    return made


@pytest.fixture(scope="session")
def dialogue_materials(dialogue_run):
    """What experiments of that run are given."""
    return materials_of(dialogue_run)


@pytest.fixture(scope="session")
def short_materials(subject, tmp_path_factory):
    """A run of three emotions, of which none is hidden, and a model of 512 positions."""
    folder = tmp_path_factory.mktemp("short")
    values = small_settings(
        subject,
        folder / "out",
        corpus=write_corpus(folder, ["happy", "calm", "bored"]),
        generation={"emotions_subset": None},
    )
    made = SmallRun(write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages(*reference_runs.STAGES)
    return materials_of(made, validation__n_permutations=20, validation__n_refits=5)
