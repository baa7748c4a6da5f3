"""Held-out topics: whether vectors name the emotion of stories on topics they never saw.

1. At every layer, nearest-vector ranks and logistic ranks of every story, by vectors (mean
   difference and neutral components) from the other folds' topics (`holdout`).
2. Interval: topics drawn again. Control: emotions dealt out anew within topics, the whole
   cross-validation repeated; for the logistic reader at the analyzed layer alone, and as often as
   vectors are made anew (``validation.n_refits``).
3. What a run that chooses its layer by this accuracy may claim: nested, so that no story is judged
   at a layer which its own topic helped to choose. Its control repeats the choice, too, under as
   many dealings; the largest accuracy of all layers is corrected for having looked at every layer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis.held_out import (
    Design,
    choose_nested,
    held_out_ranks,
    inner_hits,
    logistic_ranks,
    permute_within_topics,
    permuted_ranks,
    whitened,
)
from probes.analysis.intervals import balanced, mean_by_topics, mean_recall, top_k
from probes.analysis.statistics import permutation_p_value
from probes.experiments.folds import MIN_TOPICS, TopicFolds
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import estimate
from probes.figures import Figure
from probes.figures.description import Line, Lines, Panel
from probes.figures.estimates import line_of
from probes.figures.reading import need, number, numbers
from probes.runs.materials import Materials


def measure(materials: Materials) -> Measured:
    """Cross-validate every layer over topics."""
    n_topics = len(materials.topics)
    if n_topics < MIN_TOPICS:
        why = f"Held-out topics: needs {MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured(
            {"layers": None}, [("held-out topics", "not measured: too few")], why, [why]
        )
    settings, seed = materials.config.validation, materials.seed
    folds = TopicFolds(materials, settings.n_folds)
    design, layers = folds.design, materials.layers
    dealt = permute_within_topics(design, settings.n_permutations, seed)
    few = dealt[: settings.n_refits]
    nearest, logistic, nulls, hits = [], [], [], []
    again, inner_again, logistic_null = [], [], torch.zeros(0)
    with materials.reporter.task("held-out topics", len(layers), "layers") as advance:
        for layer in layers:
            rows, basis = folds.rows(layer), folds.basis(layer)
            bases = [basis(fold) for fold in range(design.n_folds)]
            nearest.append(held_out_ranks(rows, design, bases))
            seen = whitened(rows, design)
            logistic.append(logistic_ranks(seen, design))
            ranks = [permuted_ranks(rows, design, bases, labels) for labels in dealt]
            nulls.append([_statistics(*each) for each in zip(ranks, dealt, strict=True)])
            hits.append(inner_hits(rows, design, basis))
            again.append(torch.stack(ranks[: len(few)]) == 0)
            inner_again.append(
                torch.stack([inner_hits(rows, design, basis, labels) for labels in few])
            )
            if layer == materials.layer:
                read = [_statistics(logistic_ranks(seen, design, labels), labels) for labels in few]
                logistic_null = _tensor([each["top_1"] for each in read])
            advance(1)
    null = torch.stack([_tensor([each["top_1"] for each in layer]) for layer in nulls])
    values = {
        "model": materials.index["model"],
        "emotions": materials.emotions,
        "layer": materials.layer,
        "layer_rule": materials.vectors.provenance.target_layer_rule,
        "layers": layers,
        "n_rows": len(design.emotion),
        "rows_are": "cell means" if materials.index["per_cell"] else "stories",
        "n_topics": n_topics,
        "n_folds": design.n_folds,
        "n_permutations": settings.n_permutations,
        "n_bootstrap": settings.n_bootstrap,
        "chance": 1 / design.n_emotions,
        "nearest": [_accuracies(ranks, design, materials) for ranks in nearest],
        "logistic": [_accuracies(ranks, design, materials) for ranks in logistic],
        "permuted": [
            _permuted_all(ranks, rest, design) for ranks, rest in zip(nearest, nulls, strict=True)
        ],
        "logistic_permuted": _permuted(
            float((logistic[layers.index(materials.layer)] == 0).double().mean()), logistic_null
        ),
        "nested": _nested(torch.stack(nearest), torch.stack(hits), design, layers, materials),
    }
    values["nested"] |= {
        "p": permutation_p_value(
            values["nested"]["top_1"]["value"],
            nested_null(torch.stack(again), torch.stack(inner_again), design),
            "greater",
        ),
        "n_permutations": len(few),
        "p_of_largest": permutation_p_value(
            values["nested"]["largest"], null.max(dim=0).values, "greater"
        ),
    }
    values["best_layer"] = layers[
        max(range(len(layers)), key=lambda i: values["nearest"][i]["top_1"]["value"])
    ]
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe accuracy by layer."""
    return {} if values["layers"] is None else {"held_out_accuracy": accuracy_by_layer(values)}


EXPERIMENT = Experiment(measure, figures)


def _accuracies(
    ranks: Int[Tensor, "row"], design: Design, materials: Materials
) -> dict[str, dict[str, float]]:
    n, seed = materials.config.validation.n_bootstrap, materials.seed
    hits = ranks == 0
    return {
        "top_1": top_k(ranks, 1, design.topic, n, seed).to_json(),
        "top_3": top_k(ranks, 3, design.topic, n, seed).to_json(),
        "balanced": balanced(hits, design.emotion, design.topic, n, seed).to_json(),
    }


def _tensor(values: Sequence[float]) -> Float[Tensor, "permutation"]:
    return torch.tensor(values, dtype=torch.float64)


def _statistics(ranks: Int[Tensor, "row"], emotion: Int[Tensor, "row"]) -> dict[str, float]:
    return {
        "top_1": float((ranks == 0).double().mean()),
        "top_3": float((ranks < 3).double().mean()),
        "balanced": mean_recall(ranks == 0, emotion),
    }


def _permuted(observed: float, null: Float[Tensor, "permutation"]) -> dict[str, float]:
    return {
        "mean": float(null.mean()),
        "upper": float(null.quantile(0.95)),
        "p": permutation_p_value(observed, null, "greater"),
        "n": len(null),
    }


def _permuted_all(
    ranks: Int[Tensor, "row"], null: Sequence[Mapping[str, float]], design: Design
) -> dict[str, Any]:
    """Null of top-1, with those of the other statistics beside it."""
    found = {
        name: _permuted(value, _tensor([each[name] for each in null]))
        for name, value in _statistics(ranks, design.emotion).items()
    }
    return {**found.pop("top_1"), **found}


def nested_null(
    hits: Bool[Tensor, "layer permutation row"],
    inner: Float[Tensor, "layer permutation outer inner"],
    design: Design,
) -> Float[Tensor, "permutation"]:
    """Accuracy of the whole nested procedure, choice of layers included, for dealt-out labels."""
    found = []
    for own, each in zip(hits.unbind(1), inner.unbind(1), strict=True):
        chosen = choose_nested(each)[design.fold]
        found.append(own.gather(0, chosen[None]).double().mean())
    return torch.stack(found)


def _nested(
    ranks: Int[Tensor, "layer row"],
    hits: Float[Tensor, "layer outer inner"],
    design: Design,
    layers: list[int],
    materials: Materials,
) -> dict[str, Any]:
    """Accuracy of rows judged at the layer that the other folds chose."""
    chosen = choose_nested(hits)
    own = ranks.gather(0, chosen[design.fold][None])[0]
    found = mean_by_topics(
        (own == 0).double(),
        design.topic,
        materials.config.validation.n_bootstrap,
        materials.seed,
    )
    return {
        "top_1": found.to_json(),
        "layers_of_folds": [layers[place] for place in chosen.tolist()],
        "largest": float((ranks == 0).double().mean(dim=1).max()),
    }


def _chose_itself(values: Mapping[str, Any]) -> bool:
    """Whether the analyzed layer was chosen by the accuracy that is reported of it."""
    return values["layer_rule"] == "held-out topics"


def _at(values: Mapping[str, Any], name: str) -> Any:
    return values[name][values["layers"].index(values["layer"])]


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    nearest, logistic, null = (_at(values, key) for key in ("nearest", "logistic", "permuted"))
    n = len(values["emotions"])
    nested = values["nested"]
    chosen = sorted(set(nested["layers_of_folds"]))
    here = (
        f"held-out topics, layer {values['layer']}"
        + (", chosen by this number" if _chose_itself(values) else ""),
        f"{n}-way top-1 {estimate(nearest['top_1'])} (n={values['n_rows']} "
        f"{values['rows_are']} on {values['n_topics']} topics; shuffled labels "
        f"{null['mean']:.2f}, 95%: {null['upper']:.2f}, p={null['p']:.4f}); top-3 "
        f"{estimate(nearest['top_3'])}, p={null['top_3']['p']:.4f}; balanced "
        f"{estimate(nearest['balanced'])}, p={null['balanced']['p']:.4f}; logistic top-1 "
        f"{estimate(logistic['top_1'])}, p={values['logistic_permuted']['p']:.4f} of "
        f"{values['logistic_permuted']['n']} permutations",
    )
    others = (
        "held-out topics, layer chosen on others",
        f"top-1 {estimate(nested['top_1'])} (layers {', '.join(map(str, chosen))}; "
        f"p={nested['p']:.4f} of {nested['n_permutations']} permutations, each choosing again); "
        f"largest of {len(values['layers'])} layers in hindsight {nested['largest']:.2f} "
        f"(p={nested['p_of_largest']:.4f}, corrected for all of them)",
    )
    return [others, here] if _chose_itself(values) else [here, others]


def _paragraph(values: Mapping[str, Any]) -> str:
    nearest, logistic, null = (_at(values, key) for key in ("nearest", "logistic", "permuted"))
    nested, n = values["nested"], len(values["emotions"])
    return (
        f"Topics were dealt into {values['n_folds']} parts; vectors and neutral components were "
        f"made from all but one of them and read the {values['rows_are']} of the one left out. At "
        f"layer {values['layer']} the nearest of {n} vectors is the right one for "
        f"{nearest['top_1']['value']:.1%} of {values['n_rows']} {values['rows_are']} (95% interval "
        f"over topics {nearest['top_1']['low']:.1%} to {nearest['top_1']['high']:.1%}) and among "
        f"the first three for {nearest['top_3']['value']:.1%}. With labels shuffled within topics "
        f"it is {null['mean']:.1%} (95%: {null['upper']:.1%}; p={null['p']:.4f} of "
        f"{values['n_permutations']} permutations). A logistic regression on the same activations "
        f"names {logistic['top_1']['value']:.1%} (with its labels shuffled "
        f"{values['logistic_permuted']['mean']:.1%}; p={values['logistic_permuted']['p']:.4f} of "
        f"{values['logistic_permuted']['n']} permutations). When "
        f"the layer, too, is chosen on the other topics, {nested['top_1']['value']:.1%} remain "
        f"({nested['top_1']['low']:.1%} to {nested['top_1']['high']:.1%}; p={nested['p']:.4f} of "
        f"{nested['n_permutations']} permutations that choose again); the best layer of all in "
        "hindsight is "
        f"{values['best_layer']} with {nested['largest']:.1%} "
        f"(p={nested['p_of_largest']:.4f}, corrected for {len(values['layers'])} layers)."
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    if _chose_itself(values):
        limits.append(
            f"Held-out topics: layer {values['layer']} was chosen by its own accuracy on all "
            f"topics, {_at(values, 'nearest')['top_1']['value']:.1%}, which is too high by what "
            "that choice gained, here and in the null ladder, the confounds and the sensitivity "
            "table; stories judged at layers chosen without them are named in "
            f"{values['nested']['top_1']['value']:.1%}."
        )
    if _at(values, "permuted")["p"] > 0.05:
        limits.append(
            f"Held-out topics: at layer {values['layer']} the vectors do no better on unseen "
            f"topics than shuffled labels do (p={_at(values, 'permuted')['p']:.2f})."
        )
    if len(values["layers"]) > 1:
        limits.append(
            "Held-out topics: the logistic regression was set beside shuffled labels at layer "
            f"{values['layer']} alone ({values['logistic_permuted']['n']} permutations); its "
            "accuracy at other layers has no null."
        )
    if values["rows_are"] != "stories":
        limits.append(
            "Held-out topics: activations were kept per cell, so means of several stories are "
            "named, which is easier than naming single stories."
        )
    if values["n_topics"] < 10:
        limits.append(
            f"Held-out topics: {values['n_topics']} topics are few; the interval over topics is "
            "rough."
        )
    return limits


_READERS = {"nearest": "nearest vector", "logistic": "logistic regression"}


def accuracy_by_layer(found: Mapping[str, Any]) -> Lines:
    """Describe top-1 accuracy of vectors and of logistic regression beside shuffled labels.

    The lines of shuffled labels are those of the nearest vector; logistic regression was tested
    against its own at one layer, which the caption tells.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    layers = numbers(need(found, "layers", "held_out_topics"), "held_out_topics.layers")
    null = need(found, "permuted", "held_out_topics")
    upper = tuple(number(each["upper"], "held_out_topics.permuted.upper") for each in null)
    middle = tuple(number(each["mean"], "held_out_topics.permuted.mean") for each in null)
    readers = []
    for key, name in _READERS.items():
        top_1 = [each["top_1"] for each in need(found, key, "held_out_topics")]
        readers.append(line_of(name, layers, top_1, f"held_out_topics.{key}"))
    lines = (
        *readers,
        Line(name="nearest, shuffled labels: mean", x=layers, y=middle),
        Line(name="nearest, shuffled labels: 95%", x=layers, y=upper),
    )
    logistic = need(found, "logistic_permuted", "held_out_topics")
    edges = [edge for line in lines for edge in line.high or line.y if edge is not None]
    return Lines(
        title="Naming the emotion of stories on topics no vector was made from",
        subtitle=f"{found['model']}, {len(found['emotions'])} emotions, n = {found['n_rows']} "
        f"{found['rows_are']} on {found['n_topics']} topics in {found['n_folds']} folds",
        caption="Share of held-out stories whose own emotion comes first. Bands: 95% intervals "
        "when topics are drawn again. Shuffled labels are read by the nearest vector: where its "
        "line is inside their range, it shows nothing. Logistic regression was tried on shuffled "
        f"labels at layer {found['layer']} only, where it names {logistic['mean']:.1%} of them "
        f"(95%: {logistic['upper']:.1%}, {logistic['n']} permutations). The highest point of a "
        "line is partly luck: the run's table has the accuracy at a layer that was chosen on other "
        "topics.",
        x_label="layer (0 is the first block)",
        panels=(
            Panel(
                y_label="top-1 accuracy on held-out topics",
                lines=lines,
                y_limits=(0.0, min(1.02, 1.1 * max(edges))),
            ),
        ),
        mark=number(need(found, "layer", "held_out_topics"), "held_out_topics.layer"),
        mark_label=f"layer {found['layer']}, analyzed",
    )
