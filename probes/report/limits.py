"""What was missing or weak in a run, one sentence each, by rules that are the same for every run.

Contract: pure; the sentences say the number that made the rule fire. What an experiment says of its
own limits is added elsewhere, and so are limits that every run has.
"""

from collections.abc import Mapping
from typing import Any

from probes.analysis.describe import MIN_UMAP
from probes.experiments import NAMES
from probes.report.claims import SIGNIFICANT, display_name

FEW_STORIES = 100
FEW_TOPICS = 30
FEW_RATED = 30
MANY_LEAKS = 0.2
STABLE = 0.75
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
    """List what a reader has to keep in mind.

    Parameters
    ----------
    summary
        What `summary.summarize` gives; what a run has not come to yet may be absent, and is told.
    """
    return [*_texts(summary), *_numbers(summary), *_tests(summary), *ALWAYS]


def text_weaknesses(summary: Mapping[str, Any]) -> list[str]:
    """List what a reader of the texts has to keep in mind."""
    return [*_texts(summary), *ALWAYS_OF_TEXTS]


def _texts(summary: Mapping[str, Any]) -> list[str]:
    if not (stories := summary.get("stories")):
        return []
    found, writer = [], stories["writer"]
    if stories["fewest"] < FEW_STORIES:
        found.append(
            f"Few stories: {stories['fewest']} for the emotion with the fewest; the paper had "
            f"{PAPER_STORIES:,} per emotion. Fewer stories make noisier vectors."
        )
    if stories["topics"] < FEW_TOPICS:
        found.append(
            f"Few topics: {stories['topics']}; what the topics have in common may pass for emotion."
        )
    for key, what in (("stories", "stories"), ("neutral", "neutral texts")):
        texts = summary.get(key) or {}
        if texts.get("missing"):
            found.append(
                f"Missing texts: {texts['missing']} of {texts['requested']} {what} could not be "
                "filled."
            )
    if writer is None:
        found.append("The stories were brought by the user and not searched for named emotions.")
    elif writer != (summary.get("subject") or {}).get("model", writer):
        found.append(
            f"The stories were written by {display_name(writer)}, not by the model under study: "
            "the vectors say how it reads emotions, not how it writes them."
        )
    if (stories["first_attempt_leak_share"] or 0) > MANY_LEAKS:
        found.append(
            f"A weak writer: {stories['first_attempt_leak_share']:.0%} of its first drafts named "
            "the emotion or a synonym. Those were rejected; what was kept may still hint at it."
        )
    if stories.get("duplicates"):
        found.append(
            f"Repeated stories: {stories['duplicates']} of {stories['accepted']} stand in an "
            "earlier cell too, word for word; they count twice."
        )
    if stories.get("trimmed"):
        found.append(
            f"Cut stories: {stories['trimmed']} of {stories['accepted']} ran into the limit of "
            "tokens and were cut back to their last full sentence."
        )
    return found


def _numbers(summary: Mapping[str, Any]) -> list[str]:
    if "umap" not in summary:
        return ["The geometry of the vectors was not analyzed."]
    found = []
    for scale in ("valence", "arousal"):
        match = summary.get(scale)
        if match is None:
            found.append(f"Too few of the words were rated by people to compare {scale}.")
            continue
        if match["n"] < FEW_RATED:
            found.append(
                f"Small n: {scale} is compared on {match['n']} rated words (95% interval "
                f"{match['low']:.2f} to {match['high']:.2f})."
            )
        if match["p_corrected"] >= SIGNIFICANT:
            found.append(
                f"{scale.capitalize()} is not shown: a search as wide as ours finds as strong a "
                f"match in shuffled ratings with probability {match['p_corrected']:.2f}."
            )
    clusters = summary.get("kmeans")
    if clusters and clusters["stability"] is not None and clusters["stability"] < STABLE:
        found.append(
            f"Unstable clusters: drawn again, topics give clusters that agree at ARI "
            f"{clusters['stability']:.2f}. Do not read much into which emotion is in which."
        )
    lens = summary.get("logit_lens")
    if lens is None:
        found.append("The vectors were not read through the unembedding.")
    elif lens["own_word_share_interval"][0] <= lens["own_word_share_shuffled_95"]:
        found.append(
            "Own words: the interval of their share does not lie above what 95% of shuffles reach."
        )
    if not summary["umap"]:
        found.append(
            f"No UMAP: of fewer than {MIN_UMAP} emotions nearly all are everybody's neighbors."
        )
    return found


def _tests(summary: Mapping[str, Any]) -> list[str]:
    run, failed = summary.get("experiments") or {}, summary.get("failed") or {}
    if not run and not failed:
        return ["Nothing was validated: whether the vectors do anything is not known."]
    found = [f"A test failed and shows nothing: {name} ({why})" for name, why in failed.items()]
    not_run = [name for name in NAMES if name not in run and name not in failed]
    if not_run:
        found.append(f"Tests that were not run: {', '.join(not_run)}.")
    if "null-ladder" not in run:
        found.append(
            "How far less than a vector gets (the name's own embedding, random directions, an "
            "early layer) was not measured, so no claim here is set beside such a null."
        )
    return found
