"""Emotion shift: what a second training does to emotions, read where a reply would begin.

Two models of one architecture, before and after a training, read the same prompts in the same
template: forty that put an assistant under strain and forty everyday requests of their lengths.
What lies between their residuals at the last token before the reply is projected on each of the
run's emotion vectors (`shifted_scores`), all in mean residual norms of the run's corpus. Beside it
stand random directions with the stories' covariance and, where the other model has a run, its own
vectors.

Contract: loads no model; who measures has read both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from probes.analysis.findings import SIGNIFICANT, Estimate, Finding, RunNumber
from probes.experiments import Result
from probes.experiments.training.figures import shifted_emotions
from probes.experiments.training.random_sets import N_SETS
from probes.experiments.training.shifted_scores import Alike, SetShift
from probes.figures import Figure

SETS = ("challenging", "neutral")
BEYOND = "challenging less neutral"
_SHOWN = 3
_LENGTHS = (0.8, 1.25)
"""Within these, two models' residuals are called equally long."""


@dataclass(frozen=True)
class WithRatings:
    """r of shifts with people's ratings of the words; `p` is of random sets as alike."""

    r: Estimate
    p: float


@dataclass(frozen=True)
class ByOwnVectors:
    """What each model's own vectors say, of the emotions that both runs have.

    `cosine` is that of an emotion's two vectors. `shift_r` sets the shift on challenging prompts
    beside that by the run's vectors alone, `profile_r` the models' profiles on them.
    """

    run: str
    n_emotions: int
    cosine: Estimate
    shift_r: Estimate | None
    profile_r: Estimate | None


@dataclass(frozen=True, kw_only=True)
class EmotionShift(Result):
    """The other model less the run's, along each emotion's vector.

    `shifts` are on both sets of prompts and on the one less the other; so is `profile_r`, how alike
    both models' emotions are. `profiles` are [model][emotion]. `ratings` are r of the shift on
    challenging prompts with people's ratings. `length_ratio` is how long the other model's
    residuals are beside the run's.
    """

    model: str
    other: str
    layer: int
    way: str
    template: str
    n_pairs: int
    n_directions: int
    emotions: list[str]
    shifts: Mapping[str, SetShift]
    profiles: Mapping[str, list[list[float]]]
    shift_r: Alike | None
    profile_r: Mapping[str, Alike | None]
    ratings: Mapping[str, WithRatings]
    n_rated: int
    own: ByOwnVectors | None
    length_ratio: float
    same_tokens: bool
    same_weights: bool

    @property
    def is_zero(self) -> bool:
        """Whether nothing shifts, to the last bit."""
        return all(self.shifts[name].is_zero for name in SETS)

    @property
    def _why_zero(self) -> str:
        if self.same_weights:
            return "both models have the same weights"
        return f"both models are the same up to layer {self.layer}"

    def findings(self) -> list[Finding]:
        """Say how far emotions shift, on which prompts, and how alike the models are."""
        if self.is_zero:
            note = f"exactly 0 for every emotion on every prompt: {self._why_zero}"
            return [Finding("emotion shift", None, "not shown", note=note)]
        named = {"shift: challenging beside neutral": self.shift_r}
        named |= {f"emotions of both models: {name}": it for name, it in self.profile_r.items()}
        return [
            *(self._size(name, shift) for name, shift in self.shifts.items()),
            *(self._alike(name, it) for name, it in named.items() if it is not None),
            *self._beside(),
        ]

    def _size(self, name: str, shift: SetShift) -> Finding:
        return Finding(
            f"shift, {name}",
            shift.size,
            "shown" if shift.excess.above_zero and shift.p < SIGNIFICANT else "not shown",
            spec=".4f",
            unit="mean residual norms",
            n=f"{len(self.emotions)} emotions, {self.n_pairs} prompts",
            control=shift.control,
            p=shift.p,
            n_null=N_SETS,
            note=self._moved(shift),
            margins=[shift.excess],
            rule="How far a training moves the residual stream along emotion vectors (root mean "
            "square). Called shown when that is farther than along random directions with the "
            "stories' covariance, by the whole interval over prompts, and p < .05 against sets of "
            "such directions that are as alike as the emotions' vectors.",
        )

    def _moved(self, shift: SetShift) -> str:
        up, down = self.moved(shift)
        sides = [
            f"{side} {', '.join(f'{name} {value:+.4f}' for name, value in names[:_SHOWN])}"
            for side, names in (("up", up), ("down", down))
            if names
        ]
        n = f"{len(up) + len(down)} of {len(self.emotions)} emotions beyond them (q < .05)"
        return f"{n}: {'; '.join(sides)}" if sides else n

    def moved(self, shift: SetShift) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """Return what rises and what falls beyond random directions, the farthest first."""
        moved = [
            (name, it.value)
            for number, (name, it) in enumerate(zip(self.emotions, shift.shift, strict=True))
            if shift.moved(number)
        ]
        moved.sort(key=lambda each: -abs(each[1]))
        return [it for it in moved if it[1] > 0], [it for it in moved if it[1] < 0]

    def _alike(self, name: str, it: Alike) -> Finding:
        n = f"{len(self.emotions)} emotions"
        about = {"spec": "+.2f", "unit": "r", "control": it.control, "p": it.p, "n_null": N_SETS}
        return Finding(name, it.r, "described", n=n, **about)

    def _beside(self) -> list[Finding]:
        """Set the shift beside people's ratings, and beside the other model's own vectors."""
        findings = [
            Finding(
                f"shift, challenging, and people's {scale}",
                it.r,
                "described",
                spec="+.2f",
                unit="r",
                n=f"{self.n_rated} rated words",
                p=it.p,
                n_null=N_SETS,
            )
            for scale, it in self.ratings.items()
        ]
        if self.own is not None:
            profiles = self.own.profile_r
            note = f"the two vectors of an emotion have a cosine of {self.own.cosine:.2f}"
            note += "" if profiles is None else f"; r of both models' emotions {profiles:+.2f}"
            findings.append(
                Finding(
                    "shift, challenging, by each model's own vectors",
                    self.own.shift_r,
                    "described",
                    spec="+.2f",
                    unit="r with that by this run's",
                    n=f"{self.own.n_emotions} emotions",
                    note=note,
                )
            )
        return findings

    def paragraph(self) -> str:
        """Tell what was read, how far emotions shifted, and what random directions did."""
        text = (
            f"{self.model} and {self.other} read {self.n_pairs} challenging and as many neutral "
            f"prompts in the same words ({self.template} template). At the last token before the "
            f"reply, at layer {self.layer}, the other model's residual less the run's is projected "
            f"on the run's vectors ({self.way})."
        )
        if self.is_zero:
            return f"{text} The shift is exactly 0: {self._why_zero}."
        for name in SETS:
            shift = self.shifts[name]
            text += (
                f" On {name} prompts it is {shift.size:.4f} mean residual norms (root mean square "
                f"over {len(self.emotions)} emotions), and {shift.random_size:.4f} along random "
                f"directions with the stories' covariance (p = {shift.p:.2g} for sets of them as "
                f"alike as the vectors); {self._moved(shift)}."
            )
        if (it := self.shift_r) is not None:
            text += (
                f" Over emotions the shifts on both correlate with r = {it.r:+.2f}, over random "
                f"directions with {it.random.value:+.2f}. Intervals are over prompts."
            )
        return text

    def limits(self) -> list[str]:
        """Say what else than training may lie between the models."""
        limits = []
        if not self.same_tokens:
            limits.append(
                "Emotion shift: the models' tokenizers cut the prompts into other tokens, so that "
                "training is not all that lies between them."
            )
        if not _LENGTHS[0] <= self.length_ratio <= _LENGTHS[1]:
            limits.append(
                f"Emotion shift: the other model's residuals are {self.length_ratio:.2f} times as "
                "long as the run's; a part of the shift is that length."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the emotions that shift most on challenging prompts; nothing where none does."""
        return {} if self.is_zero else {"emotion_shift": shifted_emotions(self)}

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return r of the shifts on both sets, and of both models' emotions on each."""
        measured = {"shift": self.shift_r, **{name: self.profile_r[name] for name in SETS}}
        note = f"{self.other} less {self.model}, {self.n_pairs} prompts of our own in each set"
        numbers: dict[str, RunNumber | str] = {}
        for name, it in measured.items():
            key = f"post_training.{name}_r"
            if it is None or self.is_zero:
                why = self._why_zero if self.is_zero else "nothing varies over emotions"
                numbers[key] = f"{self.other}: {why}"
            else:
                numbers[key] = RunNumber(it.r.value, it.r.ends, len(self.emotions), note)
        return numbers
