"""Held-out topics: whether vectors name the emotion of stories on topics they never saw.

At every layer nearest vectors and logistic regression rank every story (`analysis.held_out`), with
topics resampled for intervals and labels shuffled within topics for a null: as often as
``validation.n_permutations`` at the analyzed layer, ``n_refits`` times elsewhere and for logistic
regression, which is tried there alone. What a run that chooses its layer by this accuracy may claim
is nested: no story is judged at a layer which its own topic helped to choose, and the null repeats
that choice. Beside it stand coarser ways to be right (`coarse_accuracy`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from pydantic import computed_field
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.held_out import Design, inner_hits, logistic_ranks
from probes.analysis.intervals import balanced, mean_by_topics, mean_recall, top_k
from probes.analysis.resampling import permutation_p_value
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding.coarse_accuracy import CoarseAccuracy, CoarseReader
from probes.experiments.decoding.shuffled_labels import Null, at_chosen_layers, nested_null
from probes.experiments.decoding.story_result import StoryResult, fields_of, too_few_topics
from probes.experiments.folds import TopicFolds
from probes.figures import Figure
from probes.figures.description import Line, Lines, Panel
from probes.figures.estimates import line_of
from probes.runs.materials import Materials

_NAME = "Held-out topics"
_CHOSEN = "held-out topics"
"""Rule of a target layer that is chosen by this very accuracy."""
Ranks = Int[Tensor, "row"]


@dataclass(frozen=True)
class Accuracies:
    """Share of stories whose own emotion comes first, is among three, and first by emotion."""

    top_1: Estimate
    top_3: Estimate
    balanced: Estimate


@dataclass(frozen=True, kw_only=True)
class Nulls(Null):
    """The null of top-1 accuracy, with those of the other statistics."""

    top_3: Null
    balanced: Null


@dataclass(frozen=True)
class Nested:
    """Accuracy at layers that the other folds chose, and that of the best layer in hindsight.

    `p` is None where the run did not choose its layer so: nothing is claimed of it then.
    """

    top_1: Estimate
    layers_of_folds: Sequence[int]
    largest: float
    p: float | None
    n_permutations: int
    p_of_largest: float


@dataclass(frozen=True, kw_only=True)
class HeldOutTopics(StoryResult):
    """Accuracy by layer, of two readers beside shuffled labels; lists are in order of `layers`.

    `coarse` is what the run's emotions allow of the nearest vector's ``clusters``, ``within_side``,
    at the layer, or the layers, that the headline is taken at.
    """

    layer_rule: str
    layers: Sequence[int]
    n_folds: int
    n_permutations: int
    n_bootstrap: int
    nearest: Sequence[Accuracies]
    logistic: Sequence[Accuracies]
    permuted: Sequence[Nulls]
    logistic_permuted: Null
    nested: Nested
    coarse: Mapping[str, CoarseAccuracy] = field(default_factory=dict)

    @computed_field
    @property
    def best_layer(self) -> int:
        """Layer of the highest accuracy in hindsight; the earliest of equals."""
        top = [each.top_1.value for each in self.nearest]
        return self.layers[top.index(max(top))]

    @property
    def here(self) -> Accuracies:
        """Accuracies of the nearest vector at the analyzed layer."""
        return self.nearest[self.layers.index(self.layer)]

    @property
    def null(self) -> Nulls:
        """What shuffled labels reach there."""
        return self.permuted[self.layers.index(self.layer)]

    def findings(self) -> list[Finding]:
        """Say how often the nearest vector is right, and nearly right."""
        top_1, p, n_null, where = self.here.top_1, self.null.p, self.null.n, f"layer {self.layer}"
        nested = self.nested
        if self.layer_rule == _CHOSEN and nested.p is not None:
            # An accuracy that chose its own layer is too high: what counts was chosen elsewhere.
            where = "layers chosen on other topics"
            top_1, p, n_null = nested.top_1, nested.p, nested.n_permutations
        shown = p < SIGNIFICANT and top_1.ends[0] > self.null.upper
        coarse = [each.finding(way, self.n, where) for way, each in self.coarse.items()]
        return [
            Finding(
                "Held-out accuracy",
                top_1,
                "shown" if shown else "not shown",
                spec=".1%",
                n=self.n,
                control=Control("95% of shuffled labels at most", Estimate(self.null.upper)),
                p=p,
                n_null=n_null,
                note=f"at {where}, chance {self.chance:.1%}",
                rule=f"How often the nearest of {len(self.emotions)} vectors is that of a story's "
                "own emotion, for stories on topics that the vectors were not made from. Called "
                "shown when p < .05 and the interval lies above 95% of shuffled labels.",
                headline=True,
                statistic="accuracy",
                section="h-held-out-topics",
            ),
            *coarse,
        ]

    def paragraph(self) -> str:
        """Tell how topics were held out, and what two readers named of them."""
        logistic = self.logistic[self.layers.index(self.layer)].top_1
        return (
            f"Topics were dealt into {self.n_folds} parts; vectors and neutral components made "
            f"from all but one read the {self.rows_are} of the one left out. At layer "
            f"{self.layer} the nearest of {len(self.emotions)} vectors is the right one for "
            f"{self.here.top_1:.1%} of {self.n}, and among the first three for "
            f"{self.here.top_3.value:.1%}; with labels shuffled within topics 95% of accuracies "
            f"are at most {self.null.upper:.1%}. A logistic regression on the same activations "
            f"names {logistic:.1%}. Where the layer, too, is chosen on other topics, "
            f"{self.nested.top_1:.1%} are right."
        )

    def limits(self) -> list[str]:
        """Say what chose the layer, what has no null, and what makes the task easier."""
        limits = []
        if self.layer_rule == _CHOSEN:
            limits.append(
                f"{_NAME}: layer {self.layer} was chosen by its own accuracy on all topics, "
                f"{self.here.top_1.value:.1%}, which is too high by what that choice gained, here "
                "and in the null ladder, the confounds and the sensitivity table; at layers chosen "
                f"without them {self.nested.top_1.value:.1%} of the {self.rows_are} are named."
            )
        if len(self.layers) > 1:
            limits.append(
                f"{_NAME}: the logistic regression was set beside shuffled labels at layer "
                f"{self.layer} alone ({self.logistic_permuted.n} permutations); its accuracy at "
                "other layers has no null."
            )
        if self.rows_are != "stories":
            limits.append(
                f"{_NAME}: activations were kept per cell, so means of several stories are named, "
                "which is easier than naming single stories."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe accuracy by layer."""
        return {"held_out_accuracy": _by_layer(self)}


@dataclass(frozen=True)
class _Reading:
    """What is kept of one layer: ranks, `inner_hits`, and what shuffled labels give.

    Of the nearest vector also who is right in the coarser ways, and of shuffled labels their share.
    """

    nearest: Ranks
    logistic: Ranks
    null: Float[Tensor, "permutation statistic"]
    inner: Float[Tensor, "outer inner"]
    hits: Bool[Tensor, "refit row"]
    permuted_inner: Float[Tensor, "refit outer inner"]
    logistic_null: Float[Tensor, "_refit"]
    coarse: Bool[Tensor, "way row"]
    coarse_null: Float[Tensor, "permutation way"]
    coarse_hits: Bool[Tensor, "refit way row"]


def measure(materials: Materials) -> HeldOutTopics | NotMeasured:
    """Cross-validate every layer over topics."""
    if (too_few := too_few_topics(_NAME, materials)) is not None:
        return too_few
    settings = materials.config.validation
    folds = TopicFolds(materials, settings.n_folds)
    design, layers, coarse = folds.design, materials.layers, CoarseReader(materials.emotions)
    n_few = min(settings.n_refits, settings.n_permutations)
    shuffled = held_out.permute_within_topics(design, settings.n_permutations, materials.seed)
    n_nested = n_few if materials.vectors.provenance.target_layer_rule == _CHOSEN else 0
    readings = []
    with materials.reporter.task("held-out topics", len(layers), "layers") as advance:
        for layer in layers:
            here = layer == materials.layer
            dealt = shuffled if here else shuffled[:n_few]
            n_logistic = settings.n_refits if here else 0
            readings.append(_read(folds, layer, dealt, coarse, n_nested, n_logistic))
            advance(1)
    here = readings[layers.index(materials.layer)]
    return HeldOutTopics(
        **fields_of(materials),
        layer_rule=materials.vectors.provenance.target_layer_rule,
        layers=layers,
        n_folds=design.n_folds,
        n_permutations=settings.n_permutations,
        n_bootstrap=settings.n_bootstrap,
        nearest=[_accuracies(each.nearest, design, materials) for each in readings],
        logistic=[_accuracies(each.logistic, design, materials) for each in readings],
        permuted=[_nulls(each, design) for each in readings],
        logistic_permuted=Null.of(_top_1(here.logistic), here.logistic_null),
        nested=_nested(readings, design, layers, materials),
        coarse=_coarse(readings, design, coarse, materials),
    )


EXPERIMENT = Experiment(HeldOutTopics, measure)


def _read(
    folds: TopicFolds,
    layer: int,
    shuffled: Sequence[Design],
    coarse: CoarseReader,
    n_nested: int,
    n_logistic: int,
) -> _Reading:
    """Read one layer with its own labels and with shuffled ones."""
    rows, design, basis = folds.rows(layer), folds.design, folds.basis(layer)
    bases = [basis(fold) for fold in range(design.n_folds)]
    seen, few = held_out.whitened(rows, design), shuffled[:n_nested]

    def read(each: Design) -> tuple[Ranks, Bool[Tensor, "way row"]]:
        scored = held_out.held_out_scores(rows, each, bases)
        return held_out.rank_of(scored, each.emotion), coarse.hits(scored, each.emotion)

    nearest, right = read(design)
    ranks, in_ways = zip(*map(read, shuffled), strict=True)
    permuted_inner = torch.stack([inner_hits(rows, each, basis) for each in (design, *few)])
    by_logistic = [logistic_ranks(seen, each) for each in shuffled[:n_logistic]]
    return _Reading(
        nearest=nearest,
        logistic=logistic_ranks(seen, design),
        null=torch.stack(list(map(_statistics, ranks, shuffled))),
        inner=permuted_inner[0],
        hits=torch.stack(ranks)[: len(few)] == 0,
        permuted_inner=permuted_inner[1:],
        logistic_null=torch.tensor([_top_1(each) for each in by_logistic], dtype=torch.float64),
        coarse=right,
        coarse_null=torch.stack([each.double().mean(dim=1) for each in in_ways]),
        coarse_hits=torch.stack(in_ways)[: len(few)],
    )


def _top_1(ranks: Ranks) -> float:
    return float((ranks == 0).double().mean())


def _statistics(ranks: Ranks, design: Design) -> Float[Tensor, "statistic"]:
    """Top-1, top-3 and balanced accuracy."""
    top_3, recall = float((ranks < 3).double().mean()), mean_recall(ranks == 0, design.emotion)
    return torch.tensor([_top_1(ranks), top_3, recall], dtype=torch.float64)


def _accuracies(ranks: Ranks, design: Design, materials: Materials) -> Accuracies:
    n, seed = materials.config.validation.n_bootstrap, materials.seed
    return Accuracies(
        top_k(ranks, 1, design.topic, n, seed),
        top_k(ranks, 3, design.topic, n, seed),
        balanced(ranks == 0, design.emotion, design.topic, n, seed),
    )


def _nulls(reading: _Reading, design: Design) -> Nulls:
    observed = _statistics(reading.nearest, design).tolist()
    top_1, top_3, of_balanced = map(Null.of, observed, reading.null.T.contiguous())
    return Nulls(**vars(top_1), top_3=top_3, balanced=of_balanced)


def _nested(
    readings: Sequence[_Reading], design: Design, layers: Sequence[int], materials: Materials
) -> Nested:
    """Accuracy of rows judged at the layer that the other folds chose."""
    right = torch.stack([each.nearest for each in readings]) == 0
    inner = torch.stack([each.inner for each in readings])
    judged = at_chosen_layers(right, inner, design).double()
    n_bootstrap = materials.config.validation.n_bootstrap
    top_1 = mean_by_topics(judged, design.topic, n_bootstrap, materials.seed)
    hits = torch.stack([each.hits for each in readings])
    p, permuted_inner = None, torch.stack([each.permuted_inner for each in readings])
    if n_permutations := permuted_inner.shape[1]:
        null = nested_null(hits, permuted_inner, design)
        p = permutation_p_value(top_1.value, null, "greater")
    largest = float(right.double().mean(dim=1).max())
    fewest = min(len(each.null) for each in readings)
    of_largest = torch.stack([each.null[:fewest, 0] for each in readings]).max(dim=0).values
    return Nested(
        top_1=top_1,
        layers_of_folds=[layers[index] for index in held_out.choose_nested(inner).tolist()],
        largest=largest,
        p=p,
        n_permutations=n_permutations,
        p_of_largest=permutation_p_value(largest, of_largest, "greater"),
    )


def _coarse(
    readings: Sequence[_Reading], design: Design, coarse: CoarseReader, materials: Materials
) -> dict[str, CoarseAccuracy]:
    """Judge the coarser ways where the headline is: at the analyzed layer, or at chosen ones."""
    n_bootstrap, seed = materials.config.validation.n_bootstrap, materials.seed
    is_chosen = materials.vectors.provenance.target_layer_rule == _CHOSEN
    here = readings[materials.layers.index(materials.layer)]
    inner = torch.stack([each.inner for each in readings])
    permuted_inner = torch.stack([each.permuted_inner for each in readings])
    accuracies = {}
    for number, (way, chance) in enumerate(coarse.chance.items()):
        right, null = here.coarse[number], here.coarse_null[:, number]
        if is_chosen:
            every = torch.stack([each.coarse[number] for each in readings])
            right = at_chosen_layers(every, inner, design)
            hits = torch.stack([each.coarse_hits[:, number] for each in readings])
            null = nested_null(hits, permuted_inner, design)
        accuracy = mean_by_topics(right.double(), design.topic, n_bootstrap, seed)
        of_null = Null.of(accuracy.value, null)
        accuracies[way] = CoarseAccuracy(accuracy, chance, coarse.n_groups[way], of_null)
    return accuracies


def _by_layer(result: HeldOutTopics) -> Lines:
    """Describe top-1 accuracy of both readers beside shuffled labels read by the nearest vector."""
    x = tuple(map(float, result.layers))
    null, logistic = result.permuted, result.logistic_permuted
    lines = (
        line_of("nearest vector", x, [each.top_1 for each in result.nearest]),
        line_of("logistic regression", x, [each.top_1 for each in result.logistic]),
        Line(name="nearest, shuffled labels: mean", x=x, y=tuple(each.mean for each in null)),
        Line(name="nearest, shuffled labels: 95%", x=x, y=tuple(each.upper for each in null)),
    )
    edges = [edge for line in lines for edge in line.high or line.y if edge is not None]
    limits = (0.0, min(1.02, 1.1 * max(edges)))
    return Lines(
        title="Naming the emotion of stories on topics no vector was made from",
        subtitle=f"{result.model}, {len(result.emotions)} emotions, n = {result.n} in "
        f"{result.n_folds} folds",
        caption="Share of held-out stories whose own emotion comes first. Bands: 95% intervals "
        "when topics are drawn again. Shuffled labels are read by the nearest vector: where its "
        "line is inside their range, it shows nothing. Logistic regression was tried on shuffled "
        f"labels at layer {result.layer} only, where it names {logistic.mean:.1%} of them "
        f"(95%: {logistic.upper:.1%}, {logistic.n} permutations). The highest point of a line is "
        "partly luck: the run's table has the accuracy at a layer that was chosen on other topics.",
        x_label="layer (0 is the first block)",
        panels=(Panel(y_label="top-1 accuracy on held-out topics", lines=lines, y_limits=limits),),
        mark=float(result.layer),
        mark_label=f"layer {result.layer}, analyzed",
    )
