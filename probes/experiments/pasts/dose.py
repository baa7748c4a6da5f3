"""Dose: whether the words after a number still tell how grave the number made things.

Twelve texts are read with ten numbers each; the suffix that follows, on things and place, is the
same for all of them. Score of its words: the mean of the vectors of emotions that should rise with
the number, less that of those that should fall. Slope: of the score over the logarithm of the
number, so that + is as expected; of six texts a high number is bad, of six it is good. Beside it
stand the same numbers in a sentence where nothing hangs on them, before the same suffix; names of
emotions dealt anew; vectors of stories with shuffled labels; and flipped signs of texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permute_within, sign_flip_p_value
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.messages.trends import TrendNull, spearman
from probes.experiments.pasts.figures import curves_over_layers, estimates_line
from probes.experiments.pasts.reading import THOUSANDTHS, mean_ends, n_shared
from probes.experiments.remade import Remade
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials
from probes.stimuli.pasts import DoseTemplate, dose_templates
from probes.vectors.normalize import normalize

_NAME, _LABEL = "dose", "Dose"
_UNIT = "thousandths of the residual norm per e-fold"
_N_PERMUTATIONS = 1999
_FEWEST = 5
"""Texts: flipped signs of fewer can't give p < .05."""


@dataclass(frozen=True, kw_only=True)
class SuffixTrend:
    """How one text's suffix follows the number: slope per e-fold, rank correlation; + as expected.

    `control` is of the same numbers where nothing hangs on them.
    """

    id: str
    high_is_bad: bool
    slope: float
    control: float
    rank: float
    control_rank: float


@dataclass(frozen=True, kw_only=True)
class SuffixDose(Result):
    """Slopes in mean residual norms per e-fold of the number; `left_out` lacks emotions."""

    model: str
    layer: int
    layers: Sequence[int]
    n_numbers: int
    n_tokens: int
    templates: Sequence[SuffixTrend]
    left_out: Sequence[str]
    slope: Estimate
    control: Estimate
    gain: Estimate
    rank: Estimate
    control_rank: Estimate
    by_layer: Sequence[Estimate]
    control_by_layer: Sequence[Estimate]
    renamed: TrendNull
    shuffled: TrendNull
    p_flips: float
    n_flips: int

    @property
    def n_expected(self) -> int:
        """Texts whose suffix moves in the expected direction."""
        return sum(it.slope > 0 for it in self.templates)

    @property
    def largest_p(self) -> tuple[float, int]:
        """The largest of the three p-values, and of how many draws it is."""
        each = [(self.renamed.p, self.renamed.n), (self.shuffled.p, self.shuffled.n)]
        return max([*each, (self.p_flips, self.n_flips)])

    def mean_slope(self, *, high_is_bad: bool) -> float:
        """Return the mean over texts of one kind; 0 where there is none."""
        slopes = [it.slope for it in self.templates if it.high_is_bad == high_is_bad]
        return sum(slopes) / max(1, len(slopes))

    def findings(self) -> list[Finding]:
        """Say whether the suffix follows the number, more than where nothing hangs on it."""
        (p, n_null), n = self.largest_p, len(self.templates)
        rank, alone = self.rank.value, self.control_rank.value
        followed = p < SIGNIFICANT and self.slope.above_zero
        in_part = "shown in part" if followed else "not shown"
        return [
            Finding(
                f"{_LABEL}: words after a number follow it",
                self.slope.times(THOUSANDTHS),
                "shown" if followed and self.gain.above_zero else in_part,
                spec="+.2f",
                unit=_UNIT,
                n=f"{n} texts, {self.n_tokens} identical tokens",
                control=Control(
                    "the numbers alone",
                    self.control.times(THOUSANDTHS),
                    self.gain.times(THOUSANDTHS),
                ),
                p=p,
                n_null=n_null,
                note=f"{self.n_expected} of {n} of the expected sign; rank correlation "
                f"{rank:+.2f} (numbers alone {alone:+.2f})",
                margins=[self.slope, self.gain],
                rule="How far the same words move toward the emotions that should rise, and away "
                "from those that should fall, with the number before them. Called shown when the "
                "interval over texts lies above zero, p < .05 against other emotions' vectors, "
                "vectors of shuffled labels and flipped signs of texts (the largest p is given), "
                "and the interval of the gain over the same numbers where nothing hangs on them "
                "lies above zero; in part when that gain is all that lacks.",
            )
        ]

    def paragraph(self) -> str:
        """Tell what was varied, what was read, and what else could have moved it."""
        slope, control, gain = (
            it.times(THOUSANDTHS) for it in (self.slope, self.control, self.gain)
        )
        bad, good = (THOUSANDTHS * self.mean_slope(high_is_bad=it) for it in (True, False))
        return (
            f"In {len(self.templates)} texts one of {self.n_numbers} numbers decides how grave "
            "things are, and a suffix in no mood, the same for all numbers, follows. At layer "
            f"{self.layer} the suffix lies {slope:+.2f} thousandths of its mean norm farther in "
            "the expected direction for each e-fold of the number, in "
            f"{self.n_expected} of {len(self.templates)} texts in the expected direction (p = "
            f"{self.renamed.p:.2g} by other emotions' vectors, {self.shuffled.p:.2g} by shuffled "
            f"labels, {self.p_flips:.2g} by flipped signs of texts): {bad:+.2f} where a high "
            f"number is bad and {good:+.2f} where it is good. The same numbers where nothing hangs "
            f"on them give {control:+.2f}; the gain over them is {gain:+.2f}. The rank correlation "
            f"with the number is {self.rank:+.2f}."
        )

    def limits(self) -> list[str]:
        """Say what could not be tested."""
        if not self.left_out:
            return []
        n = len(self.templates)
        return [
            f"Dose: {n} of {n + len(self.left_out)} texts could be tested with this run's "
            f"emotions, not {', '.join(self.left_out)}."
        ]

    def figures(self) -> dict[str, Figure]:
        """Describe slopes over layers, and of each text beside its control."""
        where = f"{self.model}, {len(self.templates)} texts x {self.n_numbers} numbers"
        by_layer = curves_over_layers(
            "What a number leaves on the words after it, by layer",
            where,
            "How far a suffix, which is the same for all numbers, moves with each e-fold of the "
            "number before it: toward emotions that should rise with it, away from those that "
            "should fall. Bands: 95% intervals over texts.",
            [
                estimates_line("the number decides", self.layers, self.by_layer),
                estimates_line("the numbers alone", self.layers, self.control_by_layer),
            ],
            self.layer,
        )
        return {"dose": self._by_template(where), "dose_by_layer": by_layer}

    def _by_template(self, where: str) -> Heatmap:
        values = tuple((THOUSANDTHS * it.slope, THOUSANDTHS * it.control) for it in self.templates)
        largest = max(max(abs(value) for row in values for value in row), 1e-6)
        return Heatmap(
            title="What a number leaves on the words after it, by text",
            subtitle=f"{where}, layer {self.layer}",
            caption="Row: a text. Left: the number decides how grave things are. Right: the same "
            "numbers where nothing hangs on them, before the same suffix. Red is as expected: "
            f"{self.n_expected} of {len(self.templates)} texts.",
            rows=tuple(
                f"{it.id} (high is {'bad' if it.high_is_bad else 'good'})" for it in self.templates
            ),
            columns=("decides", "alone"),
            values=values,
            value_label=_UNIT,
            x_label="the number",
            y_label="text",
            limits=(-largest, largest),
        )


def weights(
    templates: Sequence[DoseTemplate], emotions: Sequence[str]
) -> Float[Tensor, "template emotion"]:
    """Return what each emotion's vector weighs in a template's score.

    All of a row is 0 where the run has no emotion that should rise, or none that should fall.
    """
    weight = torch.zeros(len(templates), len(emotions), dtype=torch.float64)
    for row, it in zip(weight, templates, strict=True):
        sides = [
            [emotions.index(e) for e in names if e in emotions] for names in (it.rises, it.falls)
        ]
        if all(sides):
            row[sides[0]], row[sides[1]] = 1 / len(sides[0]), -1 / len(sides[1])
    return weight


def log_slopes(
    values: Float[Tensor, "form template number *axes"], numbers: Sequence[Sequence[int]]
) -> Float[Tensor, "form template *axes"]:
    """Return the least-squares slope over the natural logarithm of each template's numbers."""
    logs = torch.tensor(numbers, dtype=torch.float64).log()
    apart = logs - reduce(logs, "template number -> template 1", "mean")
    weight = apart / reduce(apart.square(), "template number -> template 1", "sum")
    axes = "form template number ..."
    return einsum(values.double(), weight, f"{axes}, template number -> form template ...")


def measure(materials: Materials) -> SuffixDose | NotMeasured:
    """Read all suffixes after all numbers."""
    every, emotions, seed = dose_templates(), materials.emotions, materials.seed
    weight = weights(every, emotions)
    known = weight.any(dim=1)
    templates = [it for it, has in zip(every, known.tolist(), strict=True) if has]
    if len(templates) < _FEWEST:
        return NotMeasured(
            _LABEL,
            f"needs {_FEWEST} of its {len(every)} texts for which the run has an emotion that "
            f"should rise with the number and one that should fall, and has {len(templates)}",
        )
    weight, bundle = weight[known], materials.vectors
    layers, at = bundle.layers, bundle.layer_index(materials.layer)
    streams, n_tokens = _read(materials, templates)
    unit = normalize(bundle.vectors.double())
    toward = einsum(weight, unit, "template emotion, layer emotion d -> template layer d")
    slopes = log_slopes(streams, [it.numbers for it in templates])
    along = einsum(slopes, toward, "form template layer d, template layer d -> form template layer")
    slope, control = along[..., at]
    ranks = spearman(
        einsum(
            streams[..., at, :].double(),
            toward[:, at],
            "form template number d, template d -> form template number",
        )
    )
    of_texts = slopes[0, :, at]
    named = einsum(of_texts, unit[at], "template d, emotion d -> template emotion")
    dealt = permute_within(torch.arange(len(emotions)), None, _N_PERMUTATIONS, seed)
    renamed = [(weight * named[:, names]).sum(dim=1) for names in dealt]
    n_refits = materials.config.validation.n_refits
    shuffled = [
        einsum(of_texts, normalize(it.double()), weight, "template d, e d, template e -> template")
        for it in Remade(materials).shuffled(n_refits)
    ]
    p_flips, n_flips = sign_flip_p_value(slope, seed)
    rows = zip(templates, slope.tolist(), control.tolist(), *ranks.tolist(), strict=True)
    return SuffixDose(
        model=materials.index["model"],
        layer=materials.layer,
        layers=layers,
        n_numbers=len(templates[0].numbers),
        n_tokens=n_tokens,
        templates=[
            SuffixTrend(
                id=it.id,
                high_is_bad=it.high_is_bad,
                slope=its_slope,
                control=its_control,
                rank=rank,
                control_rank=control_rank,
            )
            for it, its_slope, its_control, rank, control_rank in rows
        ],
        left_out=[it.id for it in every if it not in templates],
        slope=mean_over(slope),
        control=mean_over(control),
        gain=mean_over(slope - control),
        rank=mean_over(ranks[0], within=(-1.0, 1.0)),
        control_rank=mean_over(ranks[1], within=(-1.0, 1.0)),
        by_layer=[mean_over(each) for each in along[0].T],
        control_by_layer=[mean_over(each) for each in along[1].T],
        renamed=TrendNull.of(slope, torch.stack(renamed)),
        shuffled=TrendNull.of(slope, torch.stack(shuffled)),
        p_flips=p_flips,
        n_flips=n_flips,
    )


def _read(
    materials: Materials, templates: Sequence[DoseTemplate]
) -> tuple[Float[Tensor, "form template number layer d_model"], int]:
    """Read the suffix after each number, where it decides and alone; and count its tokens."""
    model, texts, n_tokens = materials.subject(), [], []
    for form in ("text", "control"):
        for it in templates:
            before = [getattr(it, form).replace("{number}", str(number)) for number in it.numbers]
            texts.append([f"{prefix} {it.suffix}" for prefix in before])
    for number, it in enumerate(templates):
        both = [*texts[number], *texts[number + len(templates)]]
        n_tokens.append(n_shared(model, both, it.suffix))
    flat = [text for row in texts for text in row]
    each = [n for n in (*n_tokens, *n_tokens) for _ in templates[0].numbers]
    with materials.reporter.task(_NAME, len(flat), "texts") as advance:
        read = mean_ends(materials, flat, each, advance)
    streams = rearrange(
        read,
        "(form template number) layer d -> form template number layer d",
        form=2,
        template=len(templates),
    )
    return streams, sum(n_tokens)


EXPERIMENT = Experiment(SuffixDose, measure)
