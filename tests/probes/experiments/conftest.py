"""Runs with planted activations, made once."""

from collections.abc import Callable
from typing import Any

import pytest
import small_runs
from planted_runs import emotion_rows, plant

from probes.runs.materials import Materials

EMOTIONS = ["angry", "sad", "bored", "lonely", "happy", "proud", "kind", "relaxed"]
TOPICS = ["a lost key", "a late train", "a new roof", "a letter", "a map", "a bell"]
QUICK = {"n_folds": 3, "n_permutations": 40, "n_refits": 8}


@pytest.fixture(scope="session")
def planted(tmp_path_factory, subject) -> Callable[..., Materials]:
    """``planted(strength=[...], ...)``: a run of 8 emotions x 6 topics x 2; see `emotion_rows`."""
    made: dict[str, Materials] = {}

    def make(
        *, target_layer: Any = 3, row: Any = None, index: Any = None, **parts: Any
    ) -> Materials:
        key = repr((target_layer, parts, row, index))
        if key not in made:
            folder = tmp_path_factory.mktemp("planted")
            values = small_runs.small_settings(
                subject,
                folder / "out",
                corpus=small_runs.write_corpus(folder, EMOTIONS, TOPICS),
                generation={"emotions_subset": None},
                model={"target_layer": target_layer, "name": str(subject)},
                vectors={"neutral_pca": "none"},
                validation=QUICK,
            )
            config = small_runs.write_config(folder / "c.yaml", values)
            run = small_runs.SmallRun(config, folder / "out")
            rows = row or emotion_rows(EMOTIONS, TOPICS, **parts)
            made[key] = plant(run, rows, index=index)
        return made[key]

    return make
