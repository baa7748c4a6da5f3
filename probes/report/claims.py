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
    if not claims:
        return "Nothing was tested yet."
    names: dict[str, list[str]] = {}
    for claim in claims:
        names.setdefault(claim.judged, []).append(claim.name)
    n_shown = sum(claim.verdict == "shown" for claim in claims)
    close = names.pop("shown, borderline", None)
    often = f", {_listed(close)} only just (other draws would often say otherwise)" if close else ""
    names.pop("shown", None)
    said = f"{n_shown or 'None'} of {len(claims)} claims {'are' if n_shown else 'is'} shown{often}."
    return " ".join([said, *(f"{how.capitalize()}: {_listed(of)}." for how, of in names.items())])


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
