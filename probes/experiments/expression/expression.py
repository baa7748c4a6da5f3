"""Expression: whether what is learned from one way of expressing an emotion reads the others.

Stories about an emotion share words, so reading them on held-out topics does not show that a model
has a concept. Ways that share no words do: a frame *says* the emotion, a story *shows* it without
naming it (*narrated*, or *voiced* by the person), and the same closing after every story *carries*
it. Vectors of each way read the rows of each (`transfer`), beside word counts and input embeddings
of the same texts (`words`), at every layer (`table`); and the directions of an emotion in two ways
are compared (`one_direction`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probes.analysis.findings import Control, Estimate, Finding, Verdict
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.expression.figures import figures
from probes.experiments.expression.one_direction import Alignment, compare_ways
from probes.experiments.expression.table import SAME_WORDS, Crossing, Curve, Table, WayLeftOut
from probes.figures import Figure
from probes.runs.materials import Materials

_NAME = "expression"
_COMPARED = (("said", "shown"), ("narrated", "voiced"), ("shown", "carried"))
_FEW_UNITS = 8
_N_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Expression(Result):
    """The table of ways at the analyzed layer, curves over `layers`, and agreement of directions.

    `units` counts topics or frames of each way, `texts` what is read of it. Chances are those of a
    reader that knows nothing; None where no emotion has a cluster or a side.
    """

    model: str
    layer: int
    layers: Sequence[int]
    emotions: Sequence[str]
    ways: Sequence[str]
    units: Mapping[str, int]
    texts: Mapping[str, int]
    n_neutral_components: int
    n_draws: int
    chance: float
    chance_clusters: float | None
    chance_within_side: float | None
    cells: Sequence[Crossing]
    curves: Sequence[Curve]
    directions: Sequence[Alignment]
    left_out: Sequence[WayLeftOut] = ()

    @property
    def n(self) -> str:
        """How many of what, in words."""
        frames = f"{self.texts['said']:,} texts in {self.units['said']} frames"
        return f"{frames}, {self.texts['shown']:,} stories on {self.units['shown']} topics"

    def cell(self, learned: str, read: str) -> Crossing | None:
        """Return what one way teaches of another; None where it could not be read."""
        matching = (cell for cell in self.cells if (cell.learned, cell.read) == (learned, read))
        return next(matching, None)

    def findings(self) -> list[Finding]:
        """Say how well ways that share no words read each other, and how alike they are."""
        said = [self._said_and_shown(), self._carried()]
        further = [*self._in_spreads(), *self._coarser(), *map(self._alike, self.directions)]
        return [*filter(None, said), *further]

    def _said_and_shown(self) -> Finding | None:
        forth, back = self.cell("said", "shown"), self.cell("shown", "said")
        if forth is None or back is None:
            return None
        above = [forth.shown, back.shown]
        verdict: Verdict = "shown in part" if any(above) else "not shown"
        return Finding(
            forth.name,
            forth.accuracy,
            "shown" if all(above) else verdict,
            spec=".1%",
            n=f"of {len(self.emotions)} emotions, {self.n}",
            control=_control(forth),
            p=max(forth.p, back.p),
            n_null=min(forth.n_permutations, back.n_permutations),
            note=f"{_in_words(back)}; at layer {self.layer}, chance {self.chance:.1%}",
            rule="How often a story that never names its emotion is named by vectors made from "
            "sentences that say it, which share no words with it; and the other way around. Called "
            "shown when both name more than the better of word counts and input embeddings of the "
            "same texts do, by intervals over topics and frames, and p < .05 for both.",
            margins=[forth.excess, back.excess],
            headline=True,
            section="expression",
        )

    def _carried(self) -> Finding | None:
        within = self.cell("carried", "carried")
        if within is None:
            return None
        said = self.cell("said", "carried")
        return Finding(
            "Carried over the same words",
            within.accuracy,
            "shown" if within.shown else "not shown",
            spec=".1%",
            n=f"of {len(self.emotions)} emotions, {within.n_rows:,} closings on {within.n_read} "
            "topics",
            control=_control(within),
            p=within.p,
            n_null=within.n_permutations,
            note="" if said is None else _in_words(said),
            rule="How often the emotion of a story is named from its closing on a topic that the "
            "vectors were not made from, though the closing has the same words after all stories "
            "of a topic. Called shown when the interval lies above what words can tell and "
            "p < .05.",
            margins=[within.excess],
        )

    def _in_spreads(self) -> list[Finding]:
        """Say what is named where no dimension of the stream outvotes the others."""
        findings = []
        for cell in self.cells:
            if (it := cell.standardized) is None or "carried" in (cell.learned, cell.read):
                continue
            findings.append(
                Finding(
                    f"{cell.name}, each dimension over its sd in neutral text",
                    it.shares.accuracy,
                    "shown" if it.shown else "not shown",
                    spec=".1%",
                    control=Control(it.better, it.control, it.excess),
                    p=it.p,
                    n_null=it.n_permutations,
                    note=f"{cell.accuracy.value:.1%} as the stream is",
                    rule="The same texts and intervals, neutral components left in; input "
                    "embeddings are divided by their sd as well. Called shown when more is named "
                    "than by the better of word counts and input embeddings and p < .05.",
                    margins=[it.excess],
                )
            )
        return findings

    def _coarser(self) -> list[Finding]:
        """Say what is named beyond pleasant and unpleasant, and by cluster."""
        findings = []
        for pair in (("said", "shown"), ("shown", "said")):
            cell = self.cell(*pair)
            if cell is None or cell.shares.within_side is None or cell.shares.clusters is None:
                continue
            findings.append(
                Finding(
                    f"{cell.name}, among emotions of the same side of valence",
                    cell.shares.within_side,
                    "described",
                    spec=".1%",
                    note=f"chance {self.chance_within_side or 0:.1%}; the paper's cluster in "
                    f"{cell.shares.clusters:.1%}, chance {self.chance_clusters or 0:.1%}; mean "
                    f"rank {cell.shares.mean_rank:.1f} of 0 to {len(self.emotions) - 1}; neutral "
                    f"components left in: {cell.plain.accuracy:.1%} of all emotions",
                )
            )
        return findings

    def _alike(self, pair: Alignment) -> Finding:
        ordered = pair.ordered(self.emotions)
        named = "too few emotions have reliable vectors in both ways to compare them singly"
        if len(ordered) > 2 * _N_NAMED:
            most, least = _named(ordered[:_N_NAMED]), _named(ordered[: -_N_NAMED - 1 : -1])
            named = f"most alike: {most}; least: {least}"
        first, second = pair.reliability
        return Finding(
            f"one direction, {pair.first} and {pair.second}",
            pair.without_noise,
            "described",
            n=f"mean of {len(self.emotions)} emotions",
            note=f"cosine {pair.cosine:.2f} over reliabilities of {first:.2f} and {second:.2f}; "
            f"{named}",
        )

    def paragraph(self) -> str:
        """Tell what reads what, and what words read of it."""
        across = [("said", "shown"), ("shown", "said"), ("said", "carried"), ("carried", "said")]
        within = [(way, way) for way in self.ways]
        return (
            "Vectors were made from each way of expressing an emotion, as the mean of its texts "
            "less the mean over emotions, and each text was read by its cosine with them; none by "
            f"vectors made from its own topic or frame. At layer {self.layer}, with "
            f"{self.n_neutral_components} neutral components out, across ways: "
            f"{self._told(across)}. Within a way: {self._told(within)}. Chance is "
            f"{self.chance:.1%}. Intervals draw topics and frames again on both sides, "
            f"{self.n_draws} times. Had the model learned only which words go with an emotion, "
            "ways that share no words would not read each other, nor could words that are the same "
            f"carry it.{self._of_both()}"
        )

    def _of_both(self) -> str:
        """Tell what vectors of one way and of two name of a way that neither is of."""
        if not self.left_out:
            return ""
        told = [
            f"{it.read} {it.both:.1%} ({it.shown:.1%} by what shows alone, {it.said:.1%} by what "
            "says)"
            for it in self.left_out
        ]
        return (
            " Vectors in use are, where nobody asks for others, the sum of those of what shows and "
            "of what says an emotion, at length one; of a way that neither is made of such a sum "
            f"names: {'; '.join(told)}."
        )

    def _told(self, pairs: Sequence[tuple[str, str]]) -> str:
        cells = [cell for pair in pairs if (cell := self.cell(*pair)) is not None]
        return "; ".join(map(_in_words, cells))

    def limits(self) -> list[str]:
        """Say where words read as well within a way, and where units are few."""
        limits = []
        matched = [
            f"{way} ({cell.accuracy.value:.1%} beside {cell.controls[cell.better].value:.1%})"
            for way in self.ways
            if (cell := self.cell(way, way)) is not None
            and cell.better != SAME_WORDS
            and not cell.excess.above_zero
        ]
        if matched:
            limits.append(
                "Expression: words name as much as the model within "
                f"{', '.join(matched)}: what is read within a way shows no concept."
            )
        few = [f"{n} of {way}" for way, n in self.units.items() if n < _FEW_UNITS]
        if few:
            limits.append(
                f"Expression: few topics or frames ({', '.join(few)}), so intervals are rough."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe accuracy over layers, and the table of ways."""
        return figures(self)


def measure(materials: Materials) -> Expression | NotMeasured:
    """Read every way by every other."""
    missing = [way for way in ("said", "shown") if way not in materials.ways]
    if missing:
        return NotMeasured(
            _NAME,
            "needs texts that say an emotion beside stories that show it, this run has none that "
            f"are {' or '.join(missing)}",
        )
    table = Table(materials)
    n_steps = len(table.pairs) + len(materials.layers)
    with materials.reporter.task(_NAME, n_steps, "steps") as advance:
        cells = list(table.cells(advance))
        curves = table.curves(advance)
    compared = [pair for pair in _COMPARED if set(pair) <= set(table.names)]
    n_splits, seed = materials.config.validation.n_refits, materials.seed
    directions = [
        compare_ways(pair, table.freed[pair[0]], table.freed[pair[1]], n_splits, seed)
        for pair in compared
    ]
    return Expression(
        model=materials.index["model"],
        layer=materials.layer,
        layers=materials.layers,
        emotions=materials.emotions,
        ways=table.names,
        units={name: len(units) for name, units in table.units.items()},
        texts={name: len(way.emotion) for name, way in table.here.items()},
        n_neutral_components=table.n_components,
        n_draws=table.n_draws,
        chance=1 / table.n_emotions,
        chance_clusters=table.groups.chance_of_cluster,
        chance_within_side=table.groups.chance_within_side,
        cells=cells,
        curves=curves,
        directions=[pair for pair in directions if pair is not None],
        left_out=table.left_out(),
    )


EXPERIMENT = Experiment(Expression, measure)


def _control(cell: Crossing) -> Control:
    return Control(cell.better, cell.controls[cell.better], cell.excess)


def _in_words(cell: Crossing) -> str:
    """Write a cell with the better reader of words beside it."""
    control = Control(cell.better, Estimate(cell.controls[cell.better].value), cell.excess)
    return f"{cell.name} {cell.accuracy:.1%} ({control.said('.1%')})"


def _named(pairs: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {cosine:.2f}" for name, cosine in pairs)
