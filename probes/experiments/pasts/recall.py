"""Recall: what came before is fetched by attention where it is needed, or was written earlier.

The end of a text is the same after two pasts of different emotion. Its second half is read while
attention is knocked out (`knockouts`): from the words read to the past, from the words between to
the past, from both (then nothing is left: exact where both pasts are equally long), or from the
words read to as many other tokens. What is left when the words read cannot look back was *carried*
by the words between; what is lost was *recalled*. Windows of layers tell where it is fetched.

Texts are the good and bad turns of `same_words`, the corpus' closings after stories of two
emotions, emotions said and denied (`negation`), and the largest and smallest number of `dose`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Control, Estimate, Finding
from probes.analysis.intervals import estimate_from_spread, mean_over
from probes.analysis.resampling import resample
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.pasts.axes import has_axis, limits_in_play, ratings_of
from probes.experiments.pasts.figures import curves_over_layers, estimates_line
from probes.experiments.pasts.knockouts import (
    BOTH,
    CONDITIONS,
    OPEN,
    OTHER,
    READ,
    KnockoutReader,
    closings,
    denials,
    doses,
    turns,
)
from probes.experiments.pasts.reading import THOUSANDTHS
from probes.figures import Figure
from probes.figures.description import Bars, Line, Part
from probes.runs.materials import Materials
from probes.stimuli.pasts import same_words

_NAME = "recall"
TURNS, CLOSINGS, DENIALS, DOSES = "good and bad turns", "closings", "denials", "numbers"
AXES = {
    TURNS: "Good less bad turn along the valence axis",
    CLOSINGS: "Closings after stories of two emotions along the difference of their said vectors",
    DENIALS: "An emotion said less denied, own vector less the others",
    DOSES: "The pleasanter number less the graver one along the valence axis",
}
"""What is compared, and along what."""
N_WINDOWS = 6
_N_DRAWS = 1000
_SURE = 1 / 3
"""Share of an effect that its interval must keep above, for shares of it to be told."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Pairs of one kind: one past less the other along the pair's own axis, by condition.

    `effects` are at the target layer, in mean residual norms; `by_layer` likewise at every layer.
    `left` is the share of the effect that is left when the words read cannot look back,
    `left_other` when as many other tokens are blocked; None where there is no effect to share.
    """

    name: str
    n_pairs: int
    effects: Mapping[str, Estimate]
    by_layer: Mapping[str, Sequence[Estimate]]
    left: Estimate | None
    left_other: Estimate | None
    lost: Estimate
    lost_over_other: Estimate


@dataclass(frozen=True, kw_only=True)
class Window:
    """Layers in which alone the words read could not look back, and the effect they lose."""

    first: int
    last: int
    lost: Estimate


@dataclass(frozen=True, kw_only=True)
class Recall(Result):
    """What is left of an effect under knocked-out attention; `windows` are of the turns."""

    model: str
    layer: int
    layers: Sequence[int]
    families: Sequence[Family]
    windows: Sequence[Window]
    axis_limits: Sequence[str] = ()

    def findings(self) -> list[Finding]:
        """Say what is left without looking back, and what is lost beyond other tokens."""
        findings = []
        for family in self.families:
            effect = family.effects[OPEN].times(THOUSANDTHS)
            if family.left is not None:
                findings.append(
                    Finding(
                        f"Carried: left when the words read cannot look back ({family.name})",
                        family.left,
                        "shown" if family.effects[READ].above_zero else "not shown",
                        spec=".0%",
                        n=f"{family.n_pairs} pairs, effect {effect:+.1f} thousandths",
                        control=Control("as many other tokens blocked", family.left_other),
                        note="when the words between cannot either, "
                        f"{family.effects[BOTH].times(THOUSANDTHS):+.2f} is left",
                        margins=[family.effects[READ]],
                        rule="What the past does to the same words though they cannot attend to "
                        "it: the words between wrote it into the stream. Called shown when its "
                        "interval over pairs lies above zero.",
                    )
                )
            recalled = family.lost_over_other.above_zero and family.lost.above_zero
            findings.append(
                Finding(
                    f"Recalled: lost when the words read cannot look back ({family.name})",
                    family.lost.times(THOUSANDTHS),
                    "shown" if recalled else "not shown",
                    spec="+.1f",
                    unit="thousandths of the residual norm",
                    n=f"{family.n_pairs} pairs, effect {effect:+.1f}",
                    control=Control(
                        "as many other tokens blocked",
                        None,
                        family.lost_over_other.times(THOUSANDTHS),
                    ),
                    margins=[family.lost, family.lost_over_other],
                    rule="Called shown when something is lost, and more than where as many other "
                    "tokens are blocked, by the intervals over pairs.",
                )
            )
        return findings

    def limits(self) -> list[str]:
        """Say whose effects are too uncertain for shares of them."""
        uncertain = [
            f"Recall: what {it.name} do is too uncertain for shares of it to be told "
            f"({it.effects[OPEN].times(THOUSANDTHS):+.1f} thousandths)."
            for it in self.families
            if it.left is None
        ]
        return [*uncertain, *self.axis_limits]

    def paragraph(self) -> str:
        """Tell what was blocked and what was left."""
        told = [
            f"{it.left:.0%} of {THOUSANDTHS * it.effects[OPEN].value:+.1f} thousandths in "
            f"{it.name} ({it.left_other:.0%} with as many other tokens blocked)"
            for it in self.families
            if it.left is not None and it.left_other is not None
        ]
        shut = ", ".join(f"{THOUSANDTHS * it.effects[BOTH].value:+.2f}" for it in self.families)
        text = (
            "The second half of an end that is the same after two pasts of different emotion was "
            f"read at layer {self.layer} with attention knocked out at all layers. When the "
            f"words read cannot look back, what is left is {'; '.join(told)}. That much was "
            "carried by the words between; the rest was recalled by attention. When neither can "
            f"look back, {shut} is left, which is what other lengths of the pasts do to positions."
        )
        most = max(self.windows, key=lambda it: it.lost.value, default=None)
        if most is not None:
            text += (
                f" Blocked in a few layers alone, most is lost in layers {most.first} to "
                f"{most.last} ({most.lost.times(THOUSANDTHS):+.1f} thousandths)."
            )
        return text

    def figures(self) -> dict[str, Figure]:
        """Describe the effect over layers under each knock-out, and the loss by window."""
        drawn: dict[str, Figure] = {}
        for family in self.families:
            slug = family.name.replace(" ", "_")
            lines = [
                estimates_line(name, self.layers, family.by_layer[name])
                if name in (OPEN, READ)
                else _plain(estimates_line(name, self.layers, family.by_layer[name]))
                for name in CONDITIONS
            ]
            drawn[f"recall_{slug}"] = curves_over_layers(
                f"Carried or recalled: {family.name}",
                f"{self.model}, {family.n_pairs} pairs",
                f"{AXES[family.name]}, on the second half of an end that is the same after both, "
                "with attention knocked out: from these words to the past (words read), from the "
                "first half to it (words between), from both, or from the words read to as many "
                "other tokens (others). Bands: 95% intervals over pairs.",
                lines,
                self.layer,
            )
        if self.windows:
            drawn["recall_windows"] = self._windows()
        return drawn

    def _windows(self) -> Bars:
        lost = [it.lost.times(THOUSANDTHS) for it in self.windows]
        return Bars(
            title="In which layers the past is fetched",
            subtitle=f"{self.model}, layer {self.layer}, {self.families[0].n_pairs} pairs",
            caption="What is lost of the effect of good and bad turns when the words read cannot "
            "look back in these layers alone, with 95% intervals over pairs.",
            categories=tuple(f"{it.first}-{it.last}" for it in self.windows),
            parts=(Part(name="lost", values=tuple(it.value for it in lost)),),
            category_label="layers blocked",
            value_label="thousandths of the residual norm",
            intervals=tuple(it.ends if it.low is not None else None for it in lost),
        )


def measure(materials: Materials) -> Recall | NotMeasured:
    """Read every family under every knock-out."""
    if not has_axis(ratings_of(materials.emotions)):
        return NotMeasured("Recall", "needs five rated emotions, pleasant and unpleasant ones")
    bundle = materials.vectors
    at = bundle.layer_index(materials.layer)
    families = {
        TURNS: turns(materials),
        CLOSINGS: closings(materials),
        DENIALS: denials(materials),
        DOSES: doses(materials),
    }
    families = {name: cases for name, cases in families.items() if len(cases) > 1}
    windows = _cut(materials.layer + 1)
    n_texts = 2 * sum(map(len, families.values())) * len(CONDITIONS)
    n_texts += 2 * len(families[TURNS]) * len(windows)
    measured, of_windows = [], []
    with materials.reporter.task(_NAME, n_texts, "texts") as advance:
        for name, cases in families.items():
            reader = KnockoutReader(materials, cases, advance)
            effects = {condition: reader.effects(condition) for condition in CONDITIONS}
            measured.append(_family(name, effects, at, materials.seed))
            if name == TURNS:
                for first, last in windows:
                    left = reader.effects(READ, range(first, last + 1))
                    lost = mean_over((effects[OPEN] - left)[:, at])
                    of_windows.append(Window(first=first, last=last, lost=lost))
    return Recall(
        model=materials.index["model"],
        layer=materials.layer,
        layers=bundle.layers,
        families=measured,
        windows=of_windows,
        axis_limits=limits_in_play(
            "Recall", materials.emotions, [it.implied for it in same_words().pairs]
        ),
    )


def _cut(n_layers: int) -> list[tuple[int, int]]:
    edges = [round(number * n_layers / N_WINDOWS) for number in range(N_WINDOWS + 1)]
    return [(a, b - 1) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _family(
    name: str, effects: Mapping[str, Float[Tensor, "pair layer"]], at: int, seed: int
) -> Family:
    whole, left, other = (effects[condition][:, at] for condition in (OPEN, READ, OTHER))
    return Family(
        name=name,
        n_pairs=len(whole),
        effects={condition: mean_over(effect[:, at]) for condition, effect in effects.items()},
        by_layer={
            condition: [mean_over(effect[:, layer]) for layer in range(effect.shape[1])]
            for condition, effect in effects.items()
        },
        left=_share(left, whole, seed),
        left_other=_share(other, whole, seed),
        lost=mean_over(whole - left),
        lost_over_other=mean_over(other - left),
    )


def _share(left: Float[Tensor, "pair"], whole: Float[Tensor, "pair"], seed: int) -> Estimate | None:
    """Return the ratio of means, with an interval from pairs drawn again.

    None where the whole might be little beside its value: a ratio to that may be anything.
    """
    effect = mean_over(whole)
    if not effect.above(_SURE * effect.value) or effect.value <= 0:
        return None
    drawn = resample(len(whole), _N_DRAWS, seed)
    ratios = left[drawn].mean(dim=1) / whole[drawn].mean(dim=1)
    return estimate_from_spread(float(left.mean() / whole.mean()), ratios, len(whole))


def _plain(line: Line) -> Line:
    return Line(name=line.name, x=line.x, y=line.y)


EXPERIMENT = Experiment(Recall, measure)
