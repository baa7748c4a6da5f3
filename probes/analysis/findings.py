"""What was measured, said once: a number with its interval, the strongest control, a verdict.

The line of a table, the claim of a report and the sentence about a run's limits are all written
from one `Finding`, so they can't tell three stories. Imports neither torch nor scipy, so that the
table of a finished run is shown at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

SIGNIFICANT = 0.05
_OFTEN = 0.1
"""A verdict that more draws than this would change is borderline."""
Verdict = Literal["shown", "shown in part", "not shown", "not measured", "described"]
"""By a rule that `Finding.rule` states; ``described`` is a number that claims nothing."""


@dataclass(frozen=True)
class Estimate:
    """A number with a 95% interval, whose ends are None where it has none.

    ``f"{estimate:.0%}"`` is ``11% [9%, 12%]``, ``f"{estimate:+.2f}"`` is ``+0.30 [+0.13, +0.53]``.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        if self.low is None or self.high is None:
            return f"{self.value:{spec}}"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of an interval that is there."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.value} has no interval")
        return self.low, self.high

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero; False without one."""
        return self.above(0.0)

    def above(self, bound: float) -> bool:
        """Whether the whole interval lies above a bound; False without one."""
        return self.low is not None and self.low > bound

    def less(self, bound: float) -> "Estimate":
        """Subtract a number that is known."""
        if self.low is None or self.high is None:
            return Estimate(self.value - bound)
        return Estimate(self.value - bound, self.low - bound, self.high - bound)

    def times(self, factor: float) -> "Estimate":
        """Tell it in another unit; `factor` is above zero."""
        if self.low is None or self.high is None:
            return Estimate(self.value * factor)
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    @property
    def crosses(self) -> float:
        """Share of other draws of its units whose interval would keep to the other side of zero.

        Or cease to keep to one. Its end moves as its value does, by a standard error, half of what
        lies between them.
        """
        if self.low is None or self.low == self.value:
            return 0.0
        return NormalDist().cdf(-2 * abs(self.low) / (self.value - self.low))


@dataclass(frozen=True)
class Control:
    """What was done instead of using an emotion vector, and what it reached in the same statistic.

    `excess` is the finding less this control, where both were measured on the same units.
    """

    name: str
    reached: Estimate | None = None
    excess: Estimate | None = None

    def said(self, spec: str) -> str:
        """Write the control beside a number of the format `spec`."""
        reached = "" if self.reached is None else f" {self.reached:{spec}}"
        signed = spec if spec.startswith("+") else f"+{spec}"
        excess = "" if self.excess is None else f", exceeded by {self.excess:{signed}}"
        return f"{self.name}{reached}{excess}"

    def in_short(self, spec: str) -> str:
        """Write what the control reached, or else by how much it is exceeded, without intervals."""
        if self.reached is not None:
            return f"{self.name} {self.reached.value:{spec}}"
        signed = spec if spec.startswith("+") else f"+{spec}"
        return (
            self.name if self.excess is None else f"{self.excess.value:{signed}} over {self.name}"
        )


def strongest(controls: Sequence[Control]) -> Control | None:
    """Return the control that comes nearest to the finding: by the excess's lower end if known."""

    def strength(control: Control) -> float:
        if control.excess is not None:
            excess = control.excess
            return -(excess.value if excess.low is None else excess.low)
        return float("-inf") if control.reached is None else control.reached.value

    return max(controls, key=strength, default=None)


@dataclass(frozen=True)
class Finding:
    """One statement about a run.

    Attributes
    ----------
    estimate
        None where a finding is words alone, or nothing could be measured.
    spec, unit
        How the number is written: a format of Python's, and what follows it.
    n, control
        How many of what (``24 emotions``), and the strongest control of those tried.
    p
        Corrected for whatever was searched; `n_null` draws cannot give less than 1 / (n_null + 1).
    rule
        What it means to a reader who has not seen the method, and when it is called shown.
    margins
        What must lie above zero, by its whole interval, for the verdict.
    headline, section
        Whether the report opens with it, and the id of its section that shows more.
    statistic
        Of the null ladder (``valence``, ``accuracy``, ``clusters``), whose rungs stand beside it.
    """

    name: str
    estimate: Estimate | None
    verdict: Verdict
    spec: str = ".2f"
    unit: str = ""
    n: str = ""
    control: Control | None = None
    p: float | None = None
    n_null: int | None = None
    note: str = ""
    rule: str = ""
    margins: Sequence[Estimate] = ()
    headline: bool = False
    statistic: str = ""
    section: str = ""

    @property
    def flips(self) -> float:
        """Share of other draws of its units (topics, emotions) that would change the verdict.

        Of several margins any undoes what is shown; else the nearest to zero may change it.
        """
        crosses = [margin.crosses for margin in self.margins]
        if self.verdict == "shown":
            return 1 - math.prod([1 - each for each in crosses], start=1.0)
        return max(crosses, default=0.0)

    @property
    def judged(self) -> str:
        """The verdict, and whether it would often be another."""
        return f"{self.verdict}, borderline" if self.flips > _OFTEN else self.verdict

    @property
    def number(self) -> str:
        """The number with its unit, without its interval; nothing where there is none."""
        if self.estimate is None:
            return ""
        return f"{self.estimate.value:{self.spec}} {self.unit}".strip()

    @property
    def detail(self) -> str:
        """Interval, n, strongest control and p, where they are known."""
        interval = ""
        if self.estimate is not None and self.estimate.low is not None:
            low, high = self.estimate.ends
            interval = f"95% interval {low:{self.spec}} to {high:{self.spec}}"
        return _joined(interval, *self._beside, self.note)

    @property
    def _beside(self) -> tuple[str, str, str, str]:
        control = f"strongest control: {self.control.said(self.spec)}" if self.control else ""
        often = f"another verdict in {self.flips:.0%} of draws" if self.flips > _OFTEN else ""
        return self.n, control, self.p_value, often

    @property
    def p_value(self) -> str:
        """The p-value; where it is the least that so many permutations can give, it says so."""
        if self.p is None:
            return ""
        if self.n_null is not None and self.p <= (1 + 1e-9) / (self.n_null + 1):
            return f"p <= {self.p:.2g} (the floor of {self.n_null} permutations)"
        return f"p = {self.p:.2g}"

    @property
    def line(self) -> str:
        """Number, interval, n, strongest control, p and verdict, for a table."""
        number, beside = self.written, _joined(*self._beside)
        words = _joined(f"{number} ({beside})" if beside and number else number + beside, self.note)
        if self.verdict == "described":
            return words
        return f"{self.judged}: {words}" if words else self.judged

    @property
    def short(self) -> str:
        """Verdict, number with interval, and what the strongest control reached, for a terminal."""
        said = _joined(self.written or self.note, self.control_in_short)
        return said if self.verdict == "described" else f"{self.judged}: {said}"

    @property
    def written(self) -> str:
        """The number with its interval and unit; nothing where there is none."""
        if self.estimate is None:
            return ""
        return f"{self.estimate:{self.spec}} {self.unit}".strip()

    @property
    def control_in_short(self) -> str:
        """What the strongest control reached."""
        return self.control.in_short(self.spec) if self.control else ""

    @property
    def limit(self) -> str | None:
        """The sentence for a run's limits, where the finding is not surely shown in full."""
        if self.judged in ("shown", "described"):
            return None
        why = _joined(self.number, self.detail)
        return f"{self.name}: {self.judged}{f' ({why})' if why else ''}."


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


@dataclass(frozen=True)
class RunNumber:
    """A number of this run beside one of the paper's; the note says how they differ."""

    value: float
    interval: tuple[float, float] | None = None
    n: int | None = None
    note: str = ""
    comparable: bool = True
