"""Small runs on the corpus of the project: three emotions, three topics, three frames."""

from pathlib import Path
from typing import Any

import small_runs
import tiny_models
from small_runs import SmallRun

EMOTIONS = ["sad", "happy", "angry"]
N_POSITIONS = 2048
"""A situation takes some 700 of the tiny tokenizer's tokens."""
STAGES = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")


def settings(subject: Path, folder: Path, **sections: Any) -> dict[str, Any]:
    """Return the settings of such a run, with some changed."""
    values = small_runs.small_settings(subject, folder, **sections)
    values["corpus"] = {"stories": "reference", "neutral": "reference"}
    values["corpus"] |= {"frames_subset": 3, "neutral_subset": 16}
    values["corpus"] |= sections.get("corpus", {})
    values["generation"] = {"emotions_subset": EMOTIONS, "topics_subset": 3}
    values["generation"] |= sections.get("generation", {})
    return values


def save_subject(folder: Path) -> Path:
    """Save a tiny model that reads a whole situation."""
    model = tiny_models.tiny_model("llama")
    model.config.max_position_embeddings = N_POSITIONS
    model.save_pretrained(folder)
    tiny_models.tiny_tokenizer().save_pretrained(folder)
    return folder


def make(subject: Path, folder: Path) -> SmallRun:
    """Make a run up to its vectors."""
    values = settings(subject, folder / "out")
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages(*STAGES)
    return made
