"""The top of a report: what was studied, in words, and the findings that it opens with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from probes.analysis.findings import Finding


@runtime_checkable
class HasFindings(Protocol):
    """What the analysis or an experiment left."""

    def findings(self) -> Sequence[Finding]:
        """Return every statement, the most important first."""
        ...


def headlines(results: Iterable[HasFindings]) -> list[Finding]:
    """Return the findings that a report opens with."""
    return [finding for result in results for finding in result.findings() if finding.headline]


def display_name(model: str) -> str:
    """Name of a model without the way it was fetched or the folders it lies in."""
    return model.removeprefix("embedded:").rstrip("/").rsplit("/", 1)[-1] or model


_OF_WAY = {
    "both": " Sentences that say the emotion give another one in the same way; the vectors in use "
    "are the sum of both, each of length one.",
    "said": " The vectors in use were made in the same way from sentences that say the emotion.",
    "carried": " The vectors in use were made in the same way from what stands after each story, "
    "which is the same for all emotions.",
}


def paragraphs(
    summary: Mapping[str, Any],
    emotions: Sequence[str],
    n_topics: int,
    writer: str | None,
    token_offset: int,
) -> list[str]:
    """Say what was studied, for a reader new to it; no `writer`: the user brought the stories."""
    subject, stories = summary["subject"], summary["stories"]
    name, layer = display_name(subject["model"]), summary["layer"]
    if writer is None:
        is_ours = stories.get("is_reference")
        ours = "It read stories of the corpus that comes with emotion-lens"
        origin = ours if is_ours else "Stories were brought by the user"
    elif display_name(writer) == name:
        origin = f"{name} wrote short stories"
    else:
        origin = f"Another model, {display_name(writer)}, wrote short stories"
    return [
        f"Does {name} have an inner direction for each emotion? {origin}: "
        f"{stories['accepted']:,} that convey one of {len(emotions)} emotions without naming it, "
        f"on {n_topics} topics. {name} read them, and its inner state (the residual stream, a list "
        f"of numbers for every word read, rewritten by each of its {subject['n_layers']} layers) "
        "was recorded and averaged. What the stories of one emotion share, less what all emotions "
        "share and less what varies among emotionally neutral texts, is that emotion's vector."
        f"{_OF_WAY.get(summary.get('way', ''), '')}",
        f"This page shows how the vectors lie to each other (at layer {layer}, after block "
        f"{layer + 1} of {subject['n_layers']}, unless it says otherwise), which words they point "
        "to, and how they did in tests that could have shown them to be worthless. The first "
        f"{token_offset} tokens of each story were skipped, since little is felt before a story "
        "is under way.",
    ]
