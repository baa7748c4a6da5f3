"""Null ladder: how much of the result is there without the model's own work.

The same three statistics (valence, held-out accuracy, agreement with the paper's clusters) climb
from nothing to the analyzed layer:

1. random directions;
2. vectors of the analyzed layer from stories whose emotions were dealt out anew within topics;
3. the input embedding of the emotion's own name;
4. vectors made in the same way from mean *input embeddings* over the stories' tokens: the words
   are known, no block of the model has run;
5. an early layer;
6. the analyzed layer.

What the model adds is the analyzed layer less the input embeddings, with an interval.
"""

from collections.abc import Mapping
from typing import Any

from probes.experiments.decoding.ladder_rungs import CHOSEN, EMBEDDINGS, Ladder
from probes.experiments.folds import MIN_TOPICS
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import estimate, signed
from probes.figures import Figure
from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind
from probes.figures.reading import need
from probes.runs.materials import Materials


def measure(materials: Materials) -> Measured:
    """Climb the ladder."""
    n_topics = len(materials.topics)
    if n_topics < MIN_TOPICS:
        why = f"Null ladder: needs {MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured({"rungs": None}, [("null ladder", "not measured: too few")], why, [why])
    ladder = Ladder(materials)
    n_steps = 2 + len(ladder.story_rungs)
    with materials.reporter.task("null ladder", n_steps + 1, "rungs") as advance:
        rungs = [ladder.random()]
        advance(1)
        rungs.append(ladder.shuffled())
        advance(1)
        rungs.append(ladder.names())
        for name in ladder.story_rungs:
            rungs.append(ladder.stories(name))
            advance(1)
        gain = ladder.gain()
        advance(1)
    known = ladder.known
    values = {
        "model": materials.index["model"],
        "emotions": materials.emotions,
        "layer": materials.layer,
        "early_layer": ladder.early,
        "n_rows": len(ladder.folds.design.emotion),
        "n_topics": n_topics,
        "n_folds": ladder.folds.design.n_folds,
        "n_rated": len(known.rated) if known.valence is not None else 0,
        "n_clustered": len(known.clustered) if known.clusters is not None else 0,
        "n_refits": ladder.n_refits,
        "chance": 1 / len(materials.emotions),
        "rungs": rungs,
        "gain": gain,
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the ladder."""
    return {} if values["rungs"] is None else {"null_ladder": null_ladder(values)}


EXPERIMENT = Experiment(measure, figures)


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    gain = values["gain"]
    rows = [
        (
            "GAIN OVER INPUT EMBEDDINGS",
            f"valence |r| {signed(gain['valence'])}; held-out accuracy "
            f"{signed(gain['accuracy'])}; clusters ARI {signed(gain['clusters'])}",
        )
    ]
    for rung in values["rungs"]:
        rows.append(
            (
                f"null ladder: {rung['name']}",
                f"valence |r| {estimate(rung['valence'])}, accuracy {estimate(rung['accuracy'])}, "
                f"ARI {estimate(rung['clusters'])}",
            )
        )
    return rows


def _paragraph(values: Mapping[str, Any]) -> str:
    rungs = {rung["name"].split(" (")[0]: rung for rung in values["rungs"]}
    chosen, embedded, gain = rungs[CHOSEN], rungs[EMBEDDINGS], values["gain"]
    text = (
        "The same statistics were taken of vectors that owe nothing, or less, to the model. "
        "Averaging the input embeddings of the stories' tokens needs no forward pass; vectors made "
        "from those averages in the same way name the emotion of held-out stories in "
        f"{embedded['accuracy']['value']:.1%}, those of layer {values['layer']} in "
        f"{chosen['accuracy']['value']:.1%} (difference {signed(gain['accuracy'])}, topics drawn "
        "again)."
    )
    if chosen["valence"] is not None:
        text += (
            f" With human valence they correlate at |r| = {embedded['valence']['value']:.2f}, "
            f"those of the layer at {chosen['valence']['value']:.2f} (difference "
            f"{signed(gain['valence'])}, {values['n_rated']} rated emotions drawn again); the "
            f"emotions' names alone give {rungs['name embedding']['valence']['value']:.2f}, "
            f"shuffled labels {rungs['shuffled labels']['valence']['value']:.2f} and random "
            f"directions {rungs['random directions']['valence']['value']:.2f}, all with the same "
            "search over five components."
        )
    if chosen["clusters"] is not None:
        text += (
            f" Agreement with the paper's clusters is ARI {estimate(chosen['clusters'])} against "
            f"{estimate(embedded['clusters'])} (difference {signed(gain['clusters'])})."
        )
    return text


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    words = {
        "valence": "correlation with human valence",
        "accuracy": "accuracy on held-out topics",
        "clusters": "agreement with the paper's clusters",
    }
    for statistic, name in words.items():
        found = values["gain"][statistic]
        if found is not None and found["low"] <= 0:
            limits.append(
                f"Null ladder: the gain in {name} over input embeddings alone, {signed(found)}, "
                "does not exclude zero."
            )
    if values["early_layer"] is None:
        limits.append("Null ladder: no layer below the analyzed one was kept.")
    return limits


_TITLES = {"valence": "|r|", "accuracy": "accuracy", "clusters": "ARI"}
_SHORT = {"random directions": "random", "shuffled labels": "shuffled", "name embedding": "names"}
_NO_MODEL = ("name embedding", "input embeddings")
_NOTHING = ("random directions", "shuffled labels")
_KINDS = ("chance", "no forward pass", "the model's layers")


def null_ladder(found: Mapping[str, Any]) -> Bars:
    """Describe every rung's statistics, colored by how much of the model is behind them.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    rungs = need(found, "rungs", "null_ladder")
    bars = [
        bar_of(
            f"{title}: {_short(rung['name'])}",
            _kind(rung["name"]),
            rung[key],
            f"null_ladder.{rung['name']}.{key}",
        )
        for key, title in _TITLES.items()
        for rung in rungs
        if rung[key] is not None
    ]
    return Bars(
        title="How much is there without the model's own work",
        subtitle=f"{found['model']}, layer {found['layer']}, {len(found['emotions'])} emotions, "
        f"n = {found['n_rows']} stories on {found['n_topics']} topics",
        caption="|r|: correlation of a component with human valence. Accuracy: stories on held-out "
        "topics whose own emotion comes first. ARI: agreement with the paper's clusters. Gray: "
        f"random directions and shuffled labels (mean of {found['n_refits']} draws). Input "
        "embeddings know the stories' words and nothing else, names the emotion's word alone; only "
        "what the analyzed layer has beyond them was computed by the model. Lines: 95% intervals, "
        "of chance when directions or labels are drawn again, else of emotions (|r|) or topics.",
        value_label="correlation, share or adjusted Rand index",
        **bars_by_kind(bars, _KINDS, muted=_KINDS[:1]),
    )


def _kind(name: str) -> str:
    if name in _NOTHING:
        return _KINDS[0]
    return _KINDS[1] if name in _NO_MODEL else _KINDS[2]


def _short(name: str) -> str:
    layer = name.partition(" (")[2].rstrip(")")
    return f"layer {layer}" if layer else _SHORT.get(name, name)
