"""The top of a report: what was studied, in words, and the numbers that matter, with a verdict.

A verdict is a rule, the same for every run, and the claim's text states it:

* valence, arousal: shown when p < .05 after the correction for the search over components, and the
  95% interval of r keeps clear of zero;
* own word: shown when more emotions have it than in 95% of shuffles of the names;
* steering: shown when the 95% interval of the effect lies above zero, and so does that of its
  excess over each control;
* clusters: shown when they agree with themselves (mean ARI at least .75) as topics are drawn again.

Contract: pure; reads the summary of a run and what the experiments left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.contents import Claim

SIGNIFICANT = 0.05
STABLE = 0.75
_PLAIN = {
    "valence": ("pleasant", "unpleasant"),
    "arousal": ("excited", "calm"),
}
_REACH = {
    "valence": "Groups of people agree with each other at r = .94 to .97 on this.",
    "arousal": "Groups of people agree with each other at only r = .63 to .82 on this.",
}


def display_name(model: str) -> str:
    """Name of a model without the way it was fetched or the folders it lies in."""
    return model.removeprefix("embedded:").rstrip("/").rsplit("/", 1)[-1] or model


def paragraphs(
    summary: Mapping[str, Any],
    emotions: Sequence[str],
    n_topics: int,
    writer: str | None,
    token_offset: int,
) -> list[str]:
    """Say what was studied, for a reader who knows neither the method nor the paper.

    Parameters
    ----------
    summary
        What `summary.summarize` gives.
    writer
        The model that wrote the stories; None where the user brought them.
    token_offset
        Tokens of each story that were skipped.
    """
    subject, stories = summary["subject"], summary["stories"]
    name, layer = display_name(subject["model"]), summary["layer"]
    if writer is None:
        told = "Stories were brought by the user"
    elif display_name(writer) == name:
        told = f"{name} wrote short stories"
    else:
        told = f"Another model, {display_name(writer)}, wrote short stories"
    return [
        f"Does {name} have an inner direction for each emotion? {told}: "
        f"{stories['accepted']:,} that convey one of {len(emotions)} emotions without naming it, "
        f"on {n_topics} topics. {name} read them, and its inner state (the residual stream, a list "
        f"of numbers for every word read, rewritten by each of its {subject['n_layers']} layers) "
        "was recorded and averaged. What the stories of one emotion share, less what all emotions "
        "share and less what varies among emotionally neutral texts, is that emotion's vector.",
        f"This page shows how the vectors lie to each other (at layer {layer} of 0 to "
        f"{subject['n_layers'] - 1}, unless it says otherwise), which words they point to, and how "
        "they did in tests that could have shown them to be worthless. The first "
        f"{token_offset} tokens of each story were skipped, since little is felt before a story "
        "is under way.",
    ]


def claims(summary: Mapping[str, Any], steering: Mapping[str, Any] | None) -> list[Claim]:
    """Judge the numbers that the report opens with."""
    found = [_rating(summary, scale) for scale in ("valence", "arousal")]
    found += [_own_word(summary), _steering(steering), _clusters(summary)]
    return [claim for claim in found if claim is not None]


def _verdict(shown: bool) -> str:
    return "shown" if shown else "not shown"


def _rating(summary: Mapping[str, Any], scale: str) -> Claim | None:
    match = summary.get(scale)
    if match is None:
        return None
    r, low, high = (match[key] for key in ("r", "low", "high"))
    if r < 0:
        r, low, high = -r, -high, -low
    shown = match["p_corrected"] < SIGNIFICANT and low > 0
    up, down = _PLAIN[scale]
    return Claim(
        name=f"Human {scale}",
        number=f"r = {r:.2f}",
        detail=f"95% interval {low:.2f} to {high:.2f}, n = {match['n']} rated words, "
        f"p = {match['p_corrected']:.2g} after the search over {match['n_searched']} components",
        verdict=_verdict(shown),
        meaning=f"How well an axis of the vectors (PC{match['component'] + 1}) follows people's "
        f"ratings of the words from {down} to {up}. {_REACH[scale]} Called shown when p < .05 "
        "after correction and the interval keeps clear of zero.",
        section="map",
    )


def _own_word(summary: Mapping[str, Any]) -> Claim | None:
    lens = summary.get("logit_lens")
    if lens is None:
        return None
    own, upper = lens["own_word_share"], lens["own_word_share_shuffled_95"]
    return Claim(
        name="Own word",
        number=f"{own:.0%}",
        detail=f"of vectors have it among their top {lens['top_k']} tokens; with shuffled names "
        f"{lens['own_word_share_shuffled']:.0%}, 95% of shuffles at most {upper:.0%}",
        verdict=_verdict(own > upper),
        meaning="Whether a vector, read through the model's own output layer, names its emotion. "
        "Called shown when above 95% of shuffles of the names.",
        section="tokens",
    )


def _steering(steering: Mapping[str, Any] | None) -> Claim | None:
    if steering is None or not steering.get("doses"):
        return None
    dose = steering["doses"][len(steering["doses"]) // 2]
    low, high = dose["matching_interval"]
    named = {
        "random directions": dose["random"],
        "random with the stories' covariance": dose["matched"],
        "shuffled labels": dose["shuffled"],
        "other emotions": dose["other_vectors"],
        "valence alone": dose["valence"],
    }
    controls = {name: found for name, found in named.items() if found is not None}
    listed = ", ".join(
        f"{name} by {found['excess']:+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}]"
        for name, found in controls.items()
        for ends in [found["excess_interval"]]
    )
    clear = all(found["excess_interval"][0] > 0 for found in controls.values())
    return Claim(
        name="Steering",
        number=f"{dose['matching']:+.2f} nats",
        detail=f"95% interval {low:+.2f} to {high:+.2f} over {len(steering['emotions'])} emotions, "
        f"dose {dose['dose']:g}; exceeds {listed}",
        verdict=_verdict(low > 0 and clear),
        meaning="How much adding a vector to the model's inner state raises the log-probability of "
        "that emotion's word (+0.69 doubles it). Called shown when the whole interval lies above "
        "zero, and so does that of its excess over every control.",
        section="steering",
    )


def _clusters(summary: Mapping[str, Any]) -> Claim | None:
    clusters = summary.get("kmeans")
    if not clusters or clusters["stability"] is None:
        return None
    return Claim(
        name=f"{clusters['k']} clusters",
        number=f"ARI {clusters['stability']:.2f}",
        detail=f"95% interval {clusters['stability_low']:.2f} to {clusters['stability_high']:.2f} "
        f"over {clusters['n_bootstrap']} draws of the topics",
        verdict=_verdict(clusters["stability"] >= STABLE),
        meaning="Whether the same families of emotions come out when the topics are drawn again "
        "(1 is the same families, 0 what chance gives). Called shown from .75 on.",
        section="similarity",
    )
