"""What a figure says, apart from how it is drawn: frozen dataclasses of tuples, of five kinds.

Contract
--------
* Every figure has a `title` (what it shows), a `subtitle` (model, layer, n) and a `caption` (how
  to read it). Axis labels carry their units.
* Numbers are finite floats; a gap in a line or an unknown shade is `None`, never NaN. Lengths
  agree. Both are checked when the description is made.
* Labels are raw text as the data has it. Escaping belongs to the two drawing modules.
"""

import math
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from typing import Literal

from hooks.errors import DataError, InvalidInput


def _require_finite(values: Iterable[float | None], what: str) -> None:
    for index, value in enumerate(values):
        if value is not None and not math.isfinite(value):
            raise DataError(
                f"{what}: expected finite numbers, entry {index} is {value}. "
                "Find the text or layer that produced it and repeat the analysis."
            )


def _require_length(values: Sized, expected: int, what: str) -> None:
    if len(values) != expected:
        raise InvalidInput(f"{what}: expected {expected} entries, got {len(values)}.")


def _require_numbers(values: tuple[float | None, ...] | None, expected: int, what: str) -> None:
    if values is not None:
        _require_length(values, expected, what)
        _require_finite(values, what)


def _require_distinct(labels: tuple[str, ...], what: str) -> None:
    if len(set(labels)) != len(labels):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        raise InvalidInput(f"{what}: expected distinct labels, these occur twice: {twice}.")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What all figures have in common: what is shown, where it comes from, how to read it.

    Every kind raises InvalidInput when lengths differ, labels that share an axis repeat, limits do
    not increase, a logarithmic axis is asked for what is not above 0, or a part is missing;
    DataError when a number is not finite.
    """

    title: str
    subtitle: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Heatmap(Figure):
    """A matrix of numbers as colors, one tuple per row, the first row at the top.

    `limits` are the values at the two ends of the color scale; a diverging palette is for a scale
    whose middle means "none". A line is drawn before each row of `boundaries` (and column, when
    square). With a format in `written`, such as ``.0%``, each number stands in its cell.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    value_label: str
    x_label: str
    y_label: str
    limits: tuple[float, float]
    palette: Literal["diverging", "sequential"] = "diverging"
    boundaries: tuple[int, ...] = ()
    written: str = ""

    def __post_init__(self) -> None:
        _require_length(self.values, len(self.rows), f"{self.title}: rows")
        _require_distinct(self.rows, f"{self.title}: rows")
        _require_distinct(self.columns, f"{self.title}: columns")
        for label, row in zip(self.rows, self.values, strict=True):
            _require_numbers(row, len(self.columns), f"{self.title}: row {label!r}")
        _require_finite(self.limits, f"{self.title}: limits")
        if self.limits[0] >= self.limits[1]:
            raise InvalidInput(f"{self.title}: expected increasing limits, got {self.limits}.")


@dataclass(frozen=True, kw_only=True)
class Scatter(Figure):
    """Named points in a plane.

    `shades` set a point's color by a number in [-1, 1] (None is gray); else `groups` set color and
    marker, each a `group_label` in the legend, or one of `group_names`. Names that come first in
    `order` find room first (None: as they are); a page shows a point's note under the pointer.
    `ticks` is False for coordinates without unit or origin.
    """

    labels: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str
    shades: tuple[float | None, ...] | None = None
    shade_label: str = ""
    groups: tuple[int, ...] | None = None
    group_label: str = "group"
    group_names: tuple[str, ...] | None = None
    order: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    ticks: bool = True

    def __post_init__(self) -> None:
        for name, values in (("x", self.x), ("y", self.y), ("shades", self.shades)):
            _require_numbers(values, len(self.labels), f"{self.title}: {name}")
        if self.groups is not None:
            _require_length(self.groups, len(self.labels), f"{self.title}: groups")
        if self.group_names is not None:
            _require_length(self.group_names, max(self.groups or (-1,)) + 1, f"{self.title}: names")
        if self.notes:
            _require_length(self.notes, len(self.labels), f"{self.title}: notes")
        if self.order is not None and sorted(self.order) != list(range(len(self.labels))):
            raise InvalidInput(f"{self.title}: expected an order of all labels, got {self.order}.")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel, with gaps (None), a band from `low` to `high`, a remark per point."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] | None = None
    high: tuple[float | None, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise InvalidInput(f"{self.name}: a band needs both edges, low and high.")
        for name, values in (("x", self.x), ("y", self.y), ("low", self.low), ("high", self.high)):
            _require_numbers(values, len(self.x), f"{self.name}: {name}")
        if self.notes:
            _require_length(self.notes, len(self.x), f"{self.name}: notes")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes of `Lines`; a dashed horizontal line at `level` means `level_label`."""

    y_label: str
    lines: tuple[Line, ...]
    y_limits: tuple[float, float] | None = None
    height: float = 1.0
    logarithmic: bool = False
    level: float | None = None
    level_label: str = ""

    def __post_init__(self) -> None:
        _require_finite((self.level,), f"{self.y_label}: level")
        if self.logarithmic:
            columns = [it for line in self.lines for it in (line.y, line.low, line.high)]
            for column in (*columns, self.y_limits, (self.level,)):
                if any(value is not None and value <= 0 for value in column or ()):
                    raise InvalidInput(
                        f"{self.y_label}: a logarithmic axis needs numbers above 0; leave a gap "
                        "(None) where there are others."
                    )


@dataclass(frozen=True, kw_only=True)
class Lines(Figure):
    """Panels of lines over one axis; a dashed vertical line at `mark` means `mark_label`."""

    x_label: str
    panels: tuple[Panel, ...]
    x_ticks: tuple[float, ...] | None = None
    mark: float | None = None
    mark_label: str = ""

    def __post_init__(self) -> None:
        if not self.panels:
            raise InvalidInput(f"{self.title}: expected at least one panel.")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One layer of stacked bars; `muted` in gray: absent rather than counted."""

    name: str
    values: tuple[float, ...]
    muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Bars(Figure):
    """Stacked bars, one per category, with an optional line over them.

    Parts are stacked in order from the axis outward. `line`, `intervals` (the ends of one around
    each whole bar) and `band` (the ends of a shade behind all bars) are in the unit of the bars; a
    line needs vertical bars.
    """

    categories: tuple[str, ...]
    parts: tuple[Part, ...]
    category_label: str
    value_label: str
    horizontal: bool = False
    line_name: str = ""
    line: tuple[float, ...] | None = None
    intervals: tuple[tuple[float, float] | None, ...] | None = None
    band: tuple[float, float] | None = None
    band_name: str = ""

    @property
    def totals(self) -> tuple[float, ...]:
        """Length of each whole bar."""
        return tuple(sum(lengths) for lengths in zip(*(p.values for p in self.parts), strict=True))

    def __post_init__(self) -> None:
        _require_distinct(self.categories, f"{self.title}: categories")
        for part in self.parts:
            _require_numbers(part.values, len(self.categories), f"{self.title}: {part.name}")
        if self.line is not None and self.horizontal:
            raise InvalidInput(f"{self.title}: a line needs vertical bars.")
        _require_numbers(self.line, len(self.categories), f"{self.title}: {self.line_name}")
        if self.intervals is not None:
            _require_length(self.intervals, len(self.categories), f"{self.title}: intervals")
            ends = [end for interval in self.intervals if interval for end in interval]
            _require_finite(ends, f"{self.title}: intervals")
        _require_finite(self.band or (), f"{self.title}: {self.band_name}")


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One row of a `TokenTable`: tokens with their values, the strongest first, and a remark."""

    label: str
    up: tuple[tuple[str, float], ...] = ()
    down: tuple[tuple[str, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenTable(Figure):
    """A table of tokens: a label, tokens that go up, tokens that go down, a remark."""

    header: tuple[str, str, str, str]
    rows: tuple[TokenRow, ...] = field(default=())

    def __post_init__(self) -> None:
        for row in self.rows:
            values = [value for _, value in row.up + row.down]
            _require_finite(values, f"{self.title}: {row.label!r}")
