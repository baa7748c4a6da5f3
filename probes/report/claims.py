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


def answer(claims: Sequence[Finding]) -> str:
    """Say in two sentences what is shown and what is not."""
    shown = [claim.name for claim in claims if claim.verdict == "shown"]
    other = [f"{claim.name} ({claim.judged})" for claim in claims if claim.verdict != "shown"]
    if not claims:
        return "Nothing was tested yet."
    if not shown:
        return f"None of {len(claims)} claims is shown: {'; '.join(other)}."
    borderline = [claim.name for claim in claims if claim.judged == "shown, borderline"]
    often = ""
    if borderline:
        often = f", though other draws would often say otherwise of {_listed(borderline)}"
    first = f"{len(shown)} of {len(claims)} claims are shown{often}."
    left = "The other" if len(other) == 1 else "The others"
    return first if not other else f"{first} {left}: {'; '.join(other)}."


def _listed(names: Sequence[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


def paragraphs(
    summary: Mapping[str, Any],
    claims: Sequence[Finding],
    emotions: Sequence[str],
    n_topics: int,
    writer: str | None,
    token_offset: int,
) -> list[str]:
    """Say what was asked, what was found, and how; no `writer`: the user brought the stories."""
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
        f"Does {name} have an inner direction for each of {len(emotions)} emotions?",
        answer(claims),
        f"{origin}: {stories['accepted']:,} that convey an emotion without naming it, on "
        f"{n_topics} topics. {name} read them, and its inner state (the residual stream, a list "
        f"of numbers for every word read, rewritten by each of its {subject['n_layers']} layers) "
        "was recorded and averaged. What the stories of one emotion share, less what all emotions "
        "share and less what varies among emotionally neutral texts, is that emotion's vector."
        f"{_OF_WAY.get(summary.get('way', ''), '')} Unless it says otherwise, vectors are those of "
        f"layer {layer}, after block {layer + 1} of {subject['n_layers']}; the first "
        f"{token_offset} tokens of each story were skipped, since little is felt before a story "
        "is under way.",
    ]
