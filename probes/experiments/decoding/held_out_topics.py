"""Held-out topics: whether vectors name the emotion of stories on topics they never saw.

At every layer nearest vectors and logistic regression rank every story (`analysis.held_out`).
Intervals are over topics, wider by what vectors learned anew change (``n_refits`` times; logistic
regression is not learned anew). Labels are shuffled within topics for a null: as often as
``validation.n_permutations`` at the analyzed layer, ``n_refits`` times elsewhere and for logistic
regression, which is tried there alone. What a run that chooses its layer by this accuracy may claim
is nested: no story is judged at a layer which its own topic helped to choose, and the null repeats
that choice. Beside it stand coarser ways to be right (`coarse_accuracy`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from pydantic import computed_field
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.held_out import Design
from probes.analysis.intervals import SHARE, mean_of_units, mean_over
from probes.analysis.parallel import parallel_map
from probes.analysis.resampling import permutation_p_value
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding.coarse_accuracy import (
    CoarseAccuracy,
    CoarseReader,
    emotion_shares,
)
from probes.experiments.decoding.layer_reading import (
    BALANCED,
    TOP_1,
    TOP_3,
    Dealings,
    LayerReader,
    LayerReading,
    Ranks,
    balance,
    recall,
    share,
    statistics,
)
from probes.experiments.decoding.shuffled_labels import Null, at_chosen_layers, nested_null
from probes.experiments.decoding.story_result import (
    StoryResult,
    cannot_hold_out,
    fields_of,
    shared_topics,
)
from probes.experiments.folds import TopicFolds
from probes.figures import Figure
from probes.figures.description import Line, Lines, Panel
from probes.figures.estimates import line_of
from probes.runs.materials import Materials

_NAME = "Held-out topics"
_CHOSEN = "held-out topics"
"""Rule of a target layer that is chosen by this very accuracy."""


@dataclass(frozen=True)
class Accuracies:
    """Share of stories whose own emotion comes first, is among three, and first by emotion."""

    top_1: Estimate
    top_3: Estimate
    balanced: Estimate

    @classmethod
    def of(
        cls,
        ranks: Ranks,
        design: Design,
        refits: Mapping[str, Float[Tensor, "refit"]] | None = None,
    ) -> "Accuracies":
        """Judge ranks, with intervals over topics, and over `refits` where there are any."""
        again, first = refits or {}, (ranks == 0).double()
        weight = balance(design.emotion)

        def by_topic(values: Float[Tensor, "row"]) -> Float[Tensor, "topic"]:
            sums = torch.zeros(len(design.fold_of_topic), dtype=torch.float64)
            return sums.index_add_(0, design.topic, values)[design.topic.unique()]

        return cls(
            mean_over(first, design.topic, refits=again.get(TOP_1), within=SHARE),
            mean_over((ranks < 3).double(), design.topic, refits=again.get(TOP_3), within=SHARE),
            mean_of_units(
                by_topic(first * weight), by_topic(weight), refits=again.get(BALANCED), within=SHARE
            ),
        )


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
    at the layer, or the layers, that the headline is taken at. `of_cells` is the nearest vector's
    accuracy on means of cells, at `cell_layers`, where single stories were kept at few layers.
    `n_unshared` are the topics with stories of one emotion alone.
    """

    layer_rule: str
    layers: Sequence[int]
    n_folds: int
    n_permutations: int
    nearest: Sequence[Accuracies]
    logistic: Sequence[Accuracies]
    permuted: Sequence[Nulls]
    logistic_permuted: Null
    nested: Nested
    coarse: Mapping[str, CoarseAccuracy] = field(default_factory=dict)
    of_cells: Sequence[Estimate] = ()
    cell_layers: Sequence[int] = ()
    n_unshared: int = 0

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
        shown = p < SIGNIFICANT and top_1.above(self.null.upper)
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
                margins=[top_1.less(self.null.upper)],
                headline=True,
                statistic="accuracy",
                section="held-out-topics",
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
        if self.n_unshared:
            limits.append(
                f"{_NAME}: {self.n_unshared} of {self.n_topics} topics have stories of one emotion "
                "alone; there nothing can be shuffled, and the topic gives the emotion away."
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


def measure(materials: Materials) -> HeldOutTopics | NotMeasured:
    """Cross-validate every layer over topics."""
    if (undefined := cannot_hold_out(_NAME, materials)) is not None:
        return undefined
    settings, cells = materials.config.validation, materials
    is_chosen = materials.vectors.provenance.target_layer_rule == _CHOSEN
    if not is_chosen:  # a choice needs every layer
        materials = materials.by_story
    folds = TopicFolds(materials, settings.n_folds)
    design, layers, coarse = folds.design, materials.layers, CoarseReader(materials.emotions)
    n_few = min(settings.n_refits, settings.n_permutations)
    dealings = Dealings.of(design, coarse, settings.n_permutations, materials.seed)

    def read(layer: int) -> LayerReading:
        here, reader = layer == materials.layer, LayerReader(folds, layer, coarse)
        few = dealings.first(n_few) if is_chosen else dealings.first(n_few).of_topics
        return reader.read(
            dealings if here else few,
            settings.n_refits,
            ways=list(coarse.chance) if here or is_chosen else (),
            n_nested=n_few if is_chosen else 0,
            n_logistic=settings.n_refits if here else 0,
        )

    with materials.reporter.task("held-out topics", len(layers), "layers") as advance:
        readings = parallel_map(read, layers, advance)
    here = readings[layers.index(materials.layer)]
    logistic = [Accuracies.of(each.logistic, design) for each in readings]
    return HeldOutTopics(
        **fields_of(materials),
        layer_rule=materials.vectors.provenance.target_layer_rule,
        layers=layers,
        n_folds=design.n_folds,
        n_permutations=settings.n_permutations,
        nearest=[Accuracies.of(each.nearest, design, each.refits) for each in readings],
        logistic=logistic,
        permuted=[_nulls(each, design) for each in readings],
        logistic_permuted=Null.of(share(here.logistic == 0), here.logistic_null),
        nested=_nested(readings, design, layers),
        coarse=_coarse(readings, design, coarse, materials),
        of_cells=[] if cells is materials else _of_cells(cells),
        cell_layers=[] if cells is materials else cells.layers,
        n_unshared=len(materials.topics) - shared_topics(materials),
    )


EXPERIMENT = Experiment(HeldOutTopics, measure)


def _of_cells(materials: Materials) -> list[Estimate]:
    """Name means of cells at every layer, where single stories were kept at few."""
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    design, shares = folds.design, []
    for layer in materials.layers:
        ranks = held_out.held_out_ranks(folds.rows(layer), design, folds.bases(layer))
        shares.append(mean_over((ranks == 0).double(), design.topic, within=SHARE))
    return shares


def _nulls(reading: LayerReading, design: Design) -> Nulls:
    observed, null = statistics(reading.nearest, design.emotion), reading.null
    top_1, top_3, of_balanced = (
        Null.of(observed[name], null[name]) for name in (TOP_1, TOP_3, BALANCED)
    )
    return Nulls(**vars(top_1), top_3=top_3, balanced=of_balanced)


def _nested(readings: Sequence[LayerReading], design: Design, layers: Sequence[int]) -> Nested:
    """Accuracy of rows judged at the layer that the other folds chose."""
    right = torch.stack([each.nearest for each in readings]) == 0
    inner = torch.stack([each.inner for each in readings])
    judged = at_chosen_layers(right, inner, design).double()
    top_1 = mean_over(judged, design.topic, refits=_refits_at(readings, TOP_1), within=SHARE)
    p, n_permutations = None, 0
    if (null := _nested_null(readings, design, 0, "topics")) is not None:
        p, n_permutations = permutation_p_value(top_1.value, null, "greater"), len(null)
    largest = float(right.double().mean(dim=1).max())
    fewest = min(len(each.null[TOP_1]) for each in readings)
    of_largest = torch.stack([each.null[TOP_1][:fewest] for each in readings]).max(dim=0).values
    return Nested(
        top_1=top_1,
        layers_of_folds=[layers[index] for index in held_out.choose_nested(inner).tolist()],
        largest=largest,
        p=p,
        n_permutations=n_permutations,
        p_of_largest=permutation_p_value(largest, of_largest, "greater"),
    )


def _refits_at(readings: Sequence[LayerReading], name: str) -> Float[Tensor, "refit"]:
    """Return refits of the layer at which they differ the most: any of them may be chosen."""
    return max((each.refits[name] for each in readings), key=lambda refits: float(refits.var()))


def _nested_null(
    readings: Sequence[LayerReading], design: Design, way: int, dealt: str
) -> Float[Tensor, "permutation"] | None:
    """Accuracy of the whole nested procedure with shuffled labels; None where none was kept."""
    nested = [each.nested[dealt] for each in readings if dealt in each.nested]
    if not nested:
        return None
    hits = torch.stack([each.hits[:, way] for each in nested])
    return nested_null(hits, torch.stack([each.inner for each in nested]), design)


def _coarse(
    readings: Sequence[LayerReading], design: Design, coarse: CoarseReader, materials: Materials
) -> dict[str, CoarseAccuracy]:
    """Judge the other ways where the headline is: at the analyzed layer, or at chosen ones."""
    is_chosen = materials.vectors.provenance.target_layer_rule == _CHOSEN
    here = readings[materials.layers.index(materials.layer)]
    inner = torch.stack([each.inner for each in readings])
    accuracies = {}
    for number, (way, chance) in enumerate(coarse.chance.items(), start=1):
        right, null, refits, alone = here.right[way], here.null[way], here.refits[way], {}
        if is_chosen:
            every = torch.stack([each.right[way] for each in readings])
            right = at_chosen_layers(every, inner, design)
            dealt = "sides" if way in coarse.of_sides else "topics"
            of_chosen = _nested_null(readings, design, number, dealt)
            assert of_chosen is not None
            null, refits = of_chosen, _refits_at(readings, way)
        elif way in coarse.of_sides:
            by_emotion = here.by_emotion[way]
            alone = emotion_shares(recall(right, design), by_emotion, materials.emotions)
        accuracy = mean_over(right.double(), design.topic, refits=refits, within=SHARE)
        of_null = Null.of(accuracy.value, null)
        accuracies[way] = CoarseAccuracy(accuracy, chance, coarse.n_groups[way], of_null, alone)
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
    if result.of_cells:
        x_cells = tuple(map(float, result.cell_layers))
        lines = (*lines, line_of("nearest vector, means of cells", x_cells, result.of_cells))
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
