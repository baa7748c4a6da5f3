"""The top of a report: what was studied, in words, and the numbers that matter, with a verdict.

A verdict is a rule, the same for every run, and the claim's text states it:

* valence, arousal: shown when p < .05 after the correction for the search over components, and the
  95% interval of r keeps clear of zero;
* held-out accuracy: shown when p < .05 among shuffled labels, and the 95% interval lies above what
  95% of them reach;
* gain over input embeddings: shown when the 95% intervals of all its statistics lie above zero, in
  part when those of some do;
* own word: shown when the 95% interval lies above what 95% of shuffles of the names reach;
* steering: shown when the 95% interval of the effect lies above zero, and so does that of its
  excess over each control;
* clusters: shown when they agree with the paper's more than 95% of vectors from shuffled labels do,
  p < .05 when names are dealt anew, and the 95% interval keeps clear of zero.

Beside each stand the rungs of the null ladder that the same statistic was taken of.

Contract: pure; reads the summary of a run and what the experiments left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.experiments.wording import effect, estimate
from probes.report.contents import Claim

SIGNIFICANT = 0.05
SHOWN, IN_PART, NOT_SHOWN = "shown", "shown in part", "not shown"
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


def claims(summary: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
    """Judge the numbers that the report opens with.

    Parameters
    ----------
    summary
        What `summary.summarize` gives.
    results
        What the experiments left, by name; those that were not run are absent.
    """
    ladder = results.get("null-ladder")
    found = [
        _rating(summary, "valence", rungs(ladder, "valence")),
        _rating(summary, "arousal"),
        _accuracy(results.get("held-out-topics"), rungs(ladder, "accuracy")),
        _gain(ladder),
        _clusters(results.get("clusters"), rungs(ladder, "clusters")),
        _own_word(summary),
        _steering(results.get("steering")),
    ]
    return [claim for claim in found if claim is not None]


def rungs(ladder: Mapping[str, Any] | None, statistic: str) -> list[tuple[str, str]]:
    """Return what each rung of the null ladder reaches in one statistic, with its interval."""
    if ladder is None or not ladder["rungs"]:
        return []
    return [
        (rung["name"], estimate(rung[statistic]))
        for rung in ladder["rungs"]
        if rung[statistic] is not None
    ]


def _verdict(shown: bool) -> str:
    return SHOWN if shown else NOT_SHOWN


def _rating(
    summary: Mapping[str, Any], scale: str, beside: Sequence[tuple[str, str]] = ()
) -> Claim | None:
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
        rungs=beside,
    )


def _accuracy(
    found: Mapping[str, Any] | None, beside: Sequence[tuple[str, str]] = ()
) -> Claim | None:
    if found is None or not found["layers"]:
        return None
    place = found["layers"].index(found["layer"])
    null, top = found["permuted"][place], found["nearest"][place]["top_1"]
    p, layer = null["p"], f"at layer {found['layer']}"
    if found["layer_rule"] == "held-out topics":
        # The analyzed layer was chosen by this very number: what counts was chosen on other topics.
        p, top = found["nested"]["p"], found["nested"]["top_1"]
        layer = "at layers chosen on other topics"
    return Claim(
        name="Held-out accuracy",
        number=f"{top['value']:.1%}",
        detail=f"95% interval {top['low']:.1%} to {top['high']:.1%} {layer}, n = {found['n_rows']} "
        f"{found['rows_are']} on {found['n_topics']} topics; chance {found['chance']:.1%}, 95% of "
        f"shuffled labels at most {null['upper']:.1%}, p = {p:.2g}",
        verdict=_verdict(p < SIGNIFICANT and top["low"] > null["upper"]),
        meaning=f"How often the nearest of {len(found['emotions'])} vectors is that of a story's "
        "own emotion, for stories on topics that the vectors were not made from. Called shown when "
        "p < .05 and the interval lies above 95% of shuffled labels.",
        section="h-held-out-topics",
        rungs=beside,
    )


_STATISTICS = {
    "accuracy": "held-out accuracy",
    "valence": "r with human valence",
    "clusters": "agreement with the paper's clusters (ARI)",
}


def _gain(ladder: Mapping[str, Any] | None) -> Claim | None:
    if ladder is None or not ladder["rungs"]:
        return None
    gains = {name: ladder["gain"][key] for key, name in _STATISTICS.items()}
    gains = {name: gain for name, gain in gains.items() if gain is not None}
    above = [gain["low"] is not None and gain["low"] > 0 for gain in gains.values()]
    accuracy = gains.pop(_STATISTICS["accuracy"])
    others = "".join(
        f"; {name} {effect(gain['value'], (gain['low'], gain['high']))}"
        for name, gain in gains.items()
    )
    return Claim(
        name="Gain over input embeddings",
        number=f"{100 * accuracy['value']:+.1f} points",
        detail=f"of held-out accuracy, 95% interval {100 * accuracy['low']:+.1f} to "
        f"{100 * accuracy['high']:+.1f} over {ladder['n_topics']} topics{others}",
        verdict=SHOWN if all(above) else IN_PART if any(above) else NOT_SHOWN,
        meaning="What the model's layers add to vectors made in the same way from its input "
        "embeddings, which know the words and nothing else. Called shown when the intervals of "
        "all these numbers lie above zero, in part when those of some do.",
        section="ladder",
    )


def _own_word(summary: Mapping[str, Any]) -> Claim | None:
    lens = summary.get("logit_lens")
    if lens is None:
        return None
    own, upper = lens["own_word_share"], lens["own_word_share_shuffled_95"]
    low, high = lens["own_word_share_interval"]
    return Claim(
        name="Own word",
        number=f"{own:.0%}",
        detail=f"of {lens['n_emotions']} vectors have it among their top {lens['top_k']} tokens, "
        f"95% interval {low:.0%} to {high:.0%}; with shuffled names "
        f"{lens['own_word_share_shuffled']:.0%}, 95% of shuffles at most {upper:.0%}. A word of "
        f"the emotion or of a direct synonym: {lens['named_share']:.0%}, shuffled "
        f"{lens['named_share_shuffled']:.0%}",
        verdict=_verdict(low > upper),
        meaning="Whether a vector, read through the model's own output layer, names its emotion. "
        "Called shown when the interval lies above 95% of shuffles of the names.",
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


def _clusters(
    found: Mapping[str, Any] | None, beside: Sequence[tuple[str, str]] = ()
) -> Claim | None:
    if found is None or not found["methods"]:
        return None
    ari = found["methods"]["k-means"]["ari"]
    known = ari["low"] is not None
    interval = f"95% interval {ari['low']:.3f} to {ari['high']:.3f} over topics, " if known else ""
    return Claim(
        name="Paper's clusters",
        number=f"ARI {ari['value']:.3f}",
        detail=f"{interval}n = {len(found['emotions'])} emotions in {found['k']} clusters; vectors "
        f"from shuffled labels {ari['shuffled']:.3f}, 95% of them at most "
        f"{ari['shuffled_upper']:.3f}; names dealt anew p = {ari['p']:.3g}",
        verdict=_verdict(
            known
            and ari["low"] > 0
            and ari["p"] < SIGNIFICANT
            and ari["value"] > ari["shuffled_upper"]
        ),
        meaning="Whether the vectors fall into the families that the paper found in its model (1 "
        "is the same families, 0 what chance gives). Called shown when 95% of vectors from "
        "shuffled labels agree less, p < .05 and the interval keeps clear of zero.",
        section="h-clusters",
        rungs=beside,
    )
