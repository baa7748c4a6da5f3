"""What every result about stories says of them: which model and layer, how many, on what topics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import computed_field

from probes.corpus.cells import n_shared_topics
from probes.experiments import NotMeasured, Result
from probes.experiments.folds import MIN_TOPICS
from probes.runs.materials import Materials


@dataclass(frozen=True, kw_only=True)
class StoryResult(Result):
    """A result about the stories of one layer, or the means of cells where these were kept."""

    model: str
    layer: int
    emotions: Sequence[str]
    n_rows: int
    n_topics: int
    rows_are: str = "stories"

    @computed_field
    @property
    def chance(self) -> float:
        """Accuracy of a reader that knows nothing."""
        return 1 / len(self.emotions)

    @property
    def n(self) -> str:
        """How many of what, in words."""
        return f"{self.n_rows} {self.rows_are} on {self.n_topics} topics"

    @property
    def subtitle(self) -> str:
        """Where a figure's numbers come from."""
        return f"{self.model}, layer {self.layer}, {len(self.emotions)} emotions, n = {self.n}"


def fields_of(materials: Materials) -> dict[str, Any]:
    """Return the fields of `StoryResult` for a run's analyzed layer."""
    return {
        "model": materials.index["model"],
        "layer": materials.layer,
        "emotions": materials.emotions,
        "n_rows": len(materials.rows.emotion),
        "n_topics": len(materials.topics),
        "rows_are": "cell means" if materials.per_cell else "stories",
    }


def too_few_topics(name: str, materials: Materials, least: int = MIN_TOPICS) -> NotMeasured | None:
    """Return why nothing can be learned and judged on different topics; None where it can."""
    why = f"needs {least} topics or more, this run has {len(materials.topics)}"
    return None if len(materials.topics) >= least else NotMeasured(name, why)


def cannot_hold_out(name: str, materials: Materials) -> NotMeasured | None:
    """Return why accuracy on held-out topics is not defined; None where it is."""
    if (too_few := too_few_topics(name, materials)) is not None:
        return too_few
    if (n_shared := shared_topics(materials)) >= MIN_TOPICS:
        return None
    return NotMeasured(
        name,
        f"not defined: it needs {MIN_TOPICS} topics or more on which two emotions have stories, "
        f"and this run has {n_shared} of {len(materials.topics)}; give every emotion the same "
        "topics",
    )


def shared_topics(materials: Materials) -> int:
    """Count the topics on which two emotions or more have stories."""
    rows = materials.rows
    return n_shared_topics(zip(rows.emotion.tolist(), rows.topic.tolist(), strict=True))
