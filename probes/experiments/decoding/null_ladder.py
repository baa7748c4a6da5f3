"""Null ladder: how much of the result is there without the model's own work.

Valence, held-out accuracy and agreement with the paper's clusters climb from nothing to the
analyzed layer: random directions; vectors from stories whose emotion labels were shuffled within
topics; the input embedding of the emotion's name; vectors made from the stories' *words*, as counts
and as input embeddings weighted by rareness (no block of the model has run); an early layer; the
analyzed layer.

What the model adds is the analyzed layer less the better reader of words, with an interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from probes.analysis.findings import Control, Estimate, Finding, Verdict, strongest
from probes.analysis.parallel import parallel_map
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding import ladder_rungs
from probes.experiments.decoding.ladder_rungs import NAMES, RANDOM, SHUFFLED
from probes.experiments.decoding.story_result import StoryResult, cannot_hold_out, fields_of
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS
from probes.figures import Figure
from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind
from probes.runs.materials import Materials

_NAME = "Null ladder"
_STATISTICS = {
    "accuracy": "held-out accuracy",
    "valence": "r with human valence",
    "arousal": "r with human arousal",
    "clusters": "agreement with the paper's clusters (ARI)",
}
_SPECS = {"accuracy": ".1%", "valence": ".2f", "arousal": ".2f", "clusters": ".2f"}
_TITLES = {"valence": "valence", "arousal": "arousal", "accuracy": "accuracy", "clusters": "ARI"}
_CHANCE, _WORDS, _MODEL = "chance", "no forward pass", "the model's layers"
_KIND_OF = {
    **dict.fromkeys((RANDOM, SHUFFLED), _CHANCE),
    **dict.fromkeys((NAMES, WORD_COUNTS, EMBEDDINGS), _WORDS),
}
_SHORT = {RANDOM: "random", SHUFFLED: "shuffled", NAMES: "names"}


@dataclass(frozen=True, kw_only=True)
class NullLadder(StoryResult):
    """The rungs from the lowest, and what the model adds to the words."""

    early_layer: int | None
    n_folds: int
    n_rated: int
    n_clustered: int
    n_refits: int
    rungs: Sequence[ladder_rungs.Rung]
    gain: ladder_rungs.Gain

    def rungs_of(self, statistic: str) -> list[tuple[str, Estimate]]:
        """Return what each rung reaches in accuracy, valence, arousal or clusters."""
        each = [(rung.name, getattr(rung, statistic)) for rung in self.rungs]
        return [(name, estimate) for name, estimate in each if estimate is not None]

    def findings(self) -> list[Finding]:
        """Say what the layers add, and which rung comes nearest in each statistic."""
        gains = {key: gain for key in _STATISTICS if (gain := getattr(self.gain, key)) is not None}
        margins = list(gains.values())
        above = [gain.above_zero for gain in margins]
        verdict: Verdict = "shown in part" if any(above) else "not shown"
        accuracy = gains.pop("accuracy")
        points = Estimate(100 * accuracy.value, *(100 * end for end in accuracy.ends))
        headline = Finding(
            "Gain over words",
            points,
            "shown" if all(above) else verdict,
            spec="+.1f",
            unit="points",
            n=f"of held-out accuracy, over {self.gain.over['accuracy']}, {self.n}",
            note="; ".join(
                f"{_STATISTICS[key]} {gain:+.2f} over {self.gain.over[key]}"
                for key, gain in gains.items()
            ),
            rule="What the model's layers add to vectors made in the same way from the stories' "
            "words: the better of counts of words and input embeddings weighted by rareness, for "
            "each number. Called shown when the intervals of all lie above zero, in part when "
            "those of some do.",
            margins=margins,
            headline=True,
            section="null-ladder",
        )
        return [headline, *map(self._climbed, filter(self.rungs_of, _STATISTICS))]

    def _climbed(self, statistic: str) -> Finding:
        *lower, (_, reached) = self.rungs_of(statistic)
        # An early layer is the model's own work, and no control.
        controls = [Control(*rung) for rung in lower if rung[0] in _KIND_OF]
        return Finding(
            f"null ladder: {_STATISTICS[statistic]}",
            reached,
            "described",
            spec=_SPECS[statistic],
            n=f"layer {self.layer}",
            control=strongest(controls),
        )

    def paragraph(self) -> str:
        """Tell what vectors reach that owe nothing to the model's layers."""
        headline, *climbed = self.findings()
        reached = []
        for key, finding in zip(filter(self.rungs_of, _STATISTICS), climbed, strict=True):
            name = self.gain.over[key]
            by_words = format(dict(self.rungs_of(key))[name].value, finding.spec)
            reached.append(
                f"{_STATISTICS[key]} {by_words} by {name}, {finding.number} by the model"
            )
        return (
            "The same statistics were taken of vectors that owe nothing, or less, to the model. "
            "Counting the stories' words, or averaging their input embeddings, needs no forward "
            f"pass. The better of vectors made from these and those of layer {self.layer} reach: "
            f"{'; '.join(reached)}. The gain in accuracy is {headline.estimate:+.1f} points, with "
            "the same topics resampled in both."
        )

    def limits(self) -> list[str]:
        """Say when there is no early rung."""
        none = f"{_NAME}: no layer below the analyzed one was kept."
        return [none] if self.early_layer is None else []

    def figures(self) -> dict[str, Figure]:
        """Describe the ladder."""
        return {"null_ladder": _bars(self)}


def measure(materials: Materials) -> NullLadder | NotMeasured:
    """Climb the ladder."""
    materials = materials.by_story
    if (undefined := cannot_hold_out(_NAME, materials)) is not None:
        return undefined
    ladder = ladder_rungs.Ladder(materials)
    with materials.reporter.task("null ladder", len(ladder.rungs) + 1, "rungs") as advance:
        rungs = parallel_map(lambda climb: climb(), ladder.rungs, advance)
        gain = ladder.gain()
        advance(1)
    known = ladder.known
    return NullLadder(
        **fields_of(materials),
        early_layer=ladder.early,
        n_folds=ladder.folds.design.n_folds,
        n_rated=len(known.rated) if known.valence is not None else 0,
        n_clustered=len(known.clustered) if known.clusters is not None else 0,
        n_refits=ladder.n_refits,
        rungs=rungs,
        gain=gain,
    )


EXPERIMENT = Experiment(NullLadder, measure)


def _bars(result: NullLadder) -> Bars:
    """Describe every rung's statistics, colored by how much of the model is behind them."""
    bars = [
        bar_of(f"{title}: {_short(name)}", _KIND_OF.get(name, _MODEL), estimate)
        for key, title in _TITLES.items()
        for name, estimate in result.rungs_of(key)
    ]
    return Bars(
        title="How much is there without the model's own work",
        subtitle=result.subtitle,
        caption="Valence, arousal: |r| of a component with people's ratings. Accuracy: stories on "
        "held-out topics whose own emotion comes first. ARI: agreement with the paper's clusters. "
        f"Gray: random directions and shuffled labels (mean of {result.n_refits} draws). Input "
        "embeddings and word counts know the stories' words alone, names the emotion's word; only "
        "what the analyzed layer has beyond them was computed by the model. Lines: 95% intervals, "
        "of chance when directions or labels are drawn again, else of emotions (ratings) or "
        "topics.",
        value_label="correlation, share or adjusted Rand index",
        **bars_by_kind(bars, (_CHANCE, _WORDS, _MODEL), muted=(_CHANCE,)),
    )


def _short(name: str) -> str:
    layer = name.partition(" (")[2].rstrip(")")
    return f"layer {layer}" if layer else _SHORT.get(name, name)
