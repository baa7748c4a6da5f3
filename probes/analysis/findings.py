"""What was measured, said once: a number with its interval, the strongest control, a verdict.

A `Finding` is the only place where a statement is made: the line of a table, the claim of a report
and the sentence about a run's limits are all written from it.

Contract: plain values; imports neither torch nor scipy. Numbers are rounded when they are written.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

SIGNIFICANT = 0.05
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

    def to_json(self) -> dict[str, float | None]:
        """Return plain values."""
        return asdict(self)

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of an interval that is there."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.value} has no interval")
        return self.low, self.high

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero; False without one."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class Control:
    """What could have given the same number without an emotion vector.

    `reached` is its own number; `excess` is the finding less this control, on the same units.
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


def strongest(controls: Sequence[Control]) -> Control | None:
    """Return the control that comes nearest to the finding; None of none.

    By the lower end of the excess over it, where differences were measured, else by what it
    reached.
    """
    if not controls:
        return None

    def strength(control: Control) -> float:
        if control.excess is not None:
            excess = control.excess
            return -(excess.value if excess.low is None else excess.low)
        return float("-inf") if control.reached is None else control.reached.value

    return max(controls, key=strength)


@dataclass(frozen=True)
class Finding:
    """One statement about a run.

    Attributes
    ----------
    name
        What was measured, as the head of a line.
    estimate
        None where a finding is words alone, or nothing could be measured.
    spec, unit
        How the number is written: a format of Python's, and what follows it.
    n
        How many of what: ``24 emotions``.
    control
        The strongest of those tried.
    p
        Corrected for whatever was searched; `n_null` draws cannot give less than 1 / (n_null + 1).
    note
        What has to stand beside the number and is none of these.
    rule
        What it means to a reader who has not seen the method, and when it is called shown.
    headline
        Whether the report opens with it.
    statistic, section
        Of the null ladder, whose rungs the report sets beside it; id of the section that shows
        more.
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
    headline: bool = False
    statistic: str = ""
    section: str = ""

    @property
    def number(self) -> str:
        """The number with its unit, without its interval; nothing where there is none."""
        if self.estimate is None:
            return ""
        return f"{self.estimate.value:{self.spec}} {self.unit}".strip()

    @property
    def detail(self) -> str:
        """Interval, n, strongest control and p, where they are known."""
        parts = []
        if self.estimate is not None and self.estimate.low is not None:
            parts.append(
                f"95% interval {self.estimate.low:{self.spec}} to {self.estimate.high:{self.spec}}"
            )
        parts += [self.n] if self.n else []
        parts += [f"strongest control: {self.control.said(self.spec)}"] if self.control else []
        parts += [self.p_value] if self.p is not None else []
        return "; ".join([*parts, *([self.note] if self.note else [])])

    @property
    def p_value(self) -> str:
        """The p-value; where it is the least that so many permutations can give, it says so."""
        if self.p is None:
            return ""
        floor = None if self.n_null is None else 1 / (self.n_null + 1)
        if floor is not None and self.p <= floor * (1 + 1e-9):
            return f"p <= {self.p:.2g} (the floor of {self.n_null} permutations)"
        return f"p = {self.p:.2g}"

    @property
    def line(self) -> str:
        """Number, interval, n, strongest control, p and verdict, for a table."""
        whole = "" if self.estimate is None else f"{self.estimate:{self.spec}} {self.unit}".strip()
        beside = [self.n] if self.n else []
        beside += [f"strongest control: {self.control.said(self.spec)}"] if self.control else []
        beside += [self.p_value] if self.p is not None else []
        inside = f" ({'; '.join(beside)})" if beside and whole else "; ".join(beside)
        said = "; ".join(part for part in (f"{whole}{inside}", self.note) if part)
        if self.verdict == "described":
            return said
        return f"{self.verdict}: {said}" if said else self.verdict

    @property
    def limit(self) -> str | None:
        """The sentence for a run's limits, where the finding is not shown in full."""
        if self.verdict in ("shown", "described"):
            return None
        said = "; ".join(part for part in (self.number, self.detail) if part)
        return f"{self.name}: {self.verdict}{f' ({said})' if said else ''}."


@dataclass(frozen=True)
class RunNumber:
    """A number of this run beside one of the paper's; `note` says how it differs from it."""

    value: float
    interval: tuple[float, float] | None = None
    n: int | None = None
    note: str = ""
    comparable: bool = True
