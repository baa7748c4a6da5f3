"""What was missing or weak in a run, one sentence each, by rules that are the same for every run.

Contract: pure; the sentences say the number that made the rule fire. What an experiment says of its
own limits is added elsewhere, and so are limits that every run has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.headline import SIGNIFICANT, display_name

FEW_STORIES = 100
FEW_TOPICS = 30
FEW_RATED = 30
MANY_LEAKS = 0.2
STABLE = 0.75
PAPER_STORIES = 1200
ALWAYS = (
    "The stories are in one language and follow one kind of prompt; a vector may hold the manner "
    "of the stories as well as the emotion.",
    "A correlation with human ratings is a weak test: the words alone carry much of it.",
)


def weaknesses(
    summary: Mapping[str, Any],
    *,
    n_stories: Mapping[str, int],
    n_topics: int,
    writer: str | None,
    has_umap: bool,
    not_run: Sequence[str],
    has_ladder: bool,
) -> list[str]:
    """List what a reader has to keep in mind.

    Parameters
    ----------
    summary
        What `summary.summarize` gives.
    n_stories
        Accepted stories per emotion.
    n_topics
        Topics of the run.
    writer
        The model that wrote the stories; None where the user brought them.
    not_run
        Experiments without a result.
    has_ladder
        Whether it was measured how far less than a vector gets.
    """
    return [
        *_texts(summary, n_stories, n_topics, writer),
        *_numbers(summary, has_umap),
        *_tests(summary.get("failed", {}), not_run, has_ladder),
        *ALWAYS,
    ]


def _texts(
    summary: Mapping[str, Any], n_stories: Mapping[str, int], n_topics: int, writer: str | None
) -> list[str]:
    stories, subject, found = summary["stories"], summary["subject"], []
    fewest = min(n_stories.values(), default=0)
    if fewest < FEW_STORIES:
        found.append(
            f"Few stories: {fewest} for the emotion with the fewest; the paper had "
            f"{PAPER_STORIES:,} per emotion. Fewer stories make noisier vectors."
        )
    if n_topics < FEW_TOPICS:
        found.append(
            f"Few topics: {n_topics}; what the topics have in common may pass for emotion."
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
    elif writer != subject["model"]:
        found.append(
            f"The stories were written by {display_name(writer)}, not by the model under study: "
            "the vectors say how it reads emotions, not how it writes them."
        )
    if stories["first_attempt_leak_share"] > MANY_LEAKS:
        found.append(
            f"A weak writer: {stories['first_attempt_leak_share']:.0%} of its first drafts named "
            "the emotion or a synonym. Those were rejected; what was kept may still hint at it."
        )
    if stories.get("trimmed"):
        found.append(
            f"Cut stories: {stories['trimmed']} of {stories['accepted']} ran into the limit of "
            "tokens and were cut back to their last full sentence."
        )
    return found


def _numbers(summary: Mapping[str, Any], has_umap: bool) -> list[str]:
    found = []
    for scale in ("valence", "arousal"):
        match = summary.get(scale)
        if match is None:
            found.append(f"Too few of the words were rated by people to compare {scale}.")
            continue
        if match["n"] < FEW_RATED:
            found.append(
                f"Small n: {scale} is compared on {match['n']} rated words; the interval is wide "
                f"({match['low']:.2f} to {match['high']:.2f})."
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
    if lens and lens["own_word_share_interval"][0] <= lens["own_word_share_shuffled_95"]:
        found.append(
            "Own words: the interval of their share does not lie above what 95% of shuffles reach."
        )
    if not has_umap:
        found.append("No UMAP: it needs at least four emotions.")
    return found


def _tests(failed: Mapping[str, str], not_run: Sequence[str], has_ladder: bool) -> list[str]:
    found = [f"A test failed and shows nothing: {name} ({said})" for name, said in failed.items()]
    missing = [name for name in not_run if name not in failed]
    if missing:
        found.append(f"Tests that were not run: {', '.join(missing)}.")
    if not has_ladder:
        found.append(
            "How far less than a vector gets (the name's own embedding, random directions, an "
            "early layer) was not measured, so no claim here is set beside such a null."
        )
    return found
