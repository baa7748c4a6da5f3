"""What was missing or weak in a run, one sentence each, by rules that are the same for every run.

These are of texts and of what was not done; findings and experiments say their own
(`Finding.limit`).
"""

from collections.abc import Mapping
from typing import Any

from probes.experiments import NAMES
from probes.report.claims import display_name
from probes.report.summary import analysis_of

FEW_STORIES = 100
FEW_TOPICS = 30
MANY_LEAKS = 0.2
PAPER_STORIES = 1200
ALWAYS_OF_TEXTS = (
    "Whether a story conveys its emotion was not judged by people here.",
    "The stories are in one language and follow one kind of prompt; a vector may hold the manner "
    "of the stories as well as the emotion.",
)
ALWAYS = (
    *ALWAYS_OF_TEXTS,
    "A correlation with human ratings is a weak test: the words alone carry much of it.",
    "A direction that a word follows is not evidence that a model feels anything.",
)


def weaknesses(summary: Mapping[str, Any]) -> list[str]:
    """List what a reader has to keep in mind; what a run has not come to yet is a limit, too."""
    return [*_texts(summary), *_analysis(summary), *_tests(summary), *ALWAYS]


def text_weaknesses(summary: Mapping[str, Any]) -> list[str]:
    """List what a reader of the texts has to keep in mind."""
    return [*_texts(summary), *ALWAYS_OF_TEXTS]


def _texts(summary: Mapping[str, Any]) -> list[str]:
    if not (stories := summary.get("stories")):
        return []
    limits, writer = [], stories["writer"]
    if stories["fewest"] < FEW_STORIES:
        limits.append(
            f"Few stories: {stories['fewest']} for the emotion with the fewest; the paper had "
            f"{PAPER_STORIES:,} per emotion. Fewer stories make noisier vectors."
        )
    if stories["topics"] < FEW_TOPICS:
        limits.append(
            f"Few topics: {stories['topics']}; what the topics have in common may pass for emotion."
        )
    for key, what in (("stories", "stories"), ("neutral", "neutral texts")):
        texts = summary.get(key) or {}
        if texts.get("missing"):
            limits.append(
                f"Missing texts: {texts['missing']} of {texts['requested']} {what} could not be "
                "filled."
            )
    if summary.get("way") in ("said", "both"):
        limits.append(
            "The vectors in use are learned also from sentences that name their emotion: that the "
            "logit lens shows its word, or that steering makes the model say it, proves little."
        )
    if stories.get("is_reference"):
        limits.append(
            "The stories are those of the project's corpus: one language model wrote them and read "
            "them blind, and no person has rated them."
        )
    elif writer is None:
        limits.append("The stories were brought by the user and not searched for named emotions.")
    elif writer != (summary.get("subject") or {}).get("model", writer):
        limits.append(
            f"The stories were written by {display_name(writer)}, not by the model under study: "
            "the vectors say how it reads emotions, not how it writes them."
        )
    if (stories["first_attempt_leak_share"] or 0) > MANY_LEAKS:
        limits.append(
            f"A weak writer: {stories['first_attempt_leak_share']:.0%} of its first drafts named "
            "the emotion or a synonym. Those were rejected; what was kept may still hint at it."
        )
    if stories.get("duplicates"):
        limits.append(
            f"Repeated stories: {stories['duplicates']} of {stories['accepted']} stand in an "
            "earlier cell too, word for word; they count twice."
        )
    if stories.get("trimmed"):
        limits.append(
            f"Cut stories: {stories['trimmed']} of {stories['accepted']} ran into the limit of "
            "tokens and were cut back to their last full sentence."
        )
    return limits


def _analysis(summary: Mapping[str, Any]) -> list[str]:
    geometry, lens = analysis_of(summary)
    if geometry is None:
        return ["The geometry of the vectors was not analyzed."]
    limits = [finding.limit for finding in geometry.findings()] + list(geometry.limits())
    if lens is None:
        limits.append("The vectors were not read through the unembedding.")
    else:
        limits += [finding.limit for finding in lens.findings()]
    return [limit for limit in limits if limit is not None]


def _tests(summary: Mapping[str, Any]) -> list[str]:
    run, failed = summary.get("experiments") or {}, summary.get("failed") or {}
    if not run and not failed:
        return ["Nothing was validated: whether the vectors do anything is not known."]
    limits = [f"A test failed and shows nothing: {name} ({why})" for name, why in failed.items()]
    not_run = [name for name in NAMES if name not in run and name not in failed]
    if not_run:
        limits.append(f"Tests that were not run: {', '.join(not_run)} (validation.experiments).")
    if "null-ladder" not in run:
        limits.append(
            "How far less than a vector gets (the name's own embedding, random directions, an "
            "early layer) was not measured, so no claim here is set beside such a null."
        )
    return limits
