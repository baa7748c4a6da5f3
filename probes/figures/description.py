"""What a figure says, apart from how it is drawn.

Five kinds: `Heatmap`, `Scatter`, `Lines`, `Bars` and `TokenTable`. Each is a frozen dataclass of
tuples.

Contract
--------
* Every figure has a `title` (what it shows), a `subtitle` (model, layer, n) and a `caption` (how
  to read it). Axis labels carry their units.
* Numbers are finite floats; a gap in a line or an unknown shade is `None`, never NaN. Lengths
  agree. Both are checked when the description is made, so no half-drawn file can exist.
* Labels are raw text as the data has it. Escaping belongs to the two drawing modules.
* Nothing here knows matplotlib, plotly, files, or what an emotion is.
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
    """What all figures have in common.

    Attributes
    ----------
    title : str
        One line: what is shown.
    subtitle : str
        Where the numbers come from: model, layer, number of emotions.
    caption : str
        How to read the figure, in a sentence or two.

    Raises
    ------
    InvalidInput
        In every kind: lengths differ, labels that share an axis repeat, limits do not increase, a
        logarithmic axis is asked for a number that is not above 0, or a part is missing.
    DataError
        In every kind: a number is not finite.
    """

    title: str
    subtitle: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Heatmap(Figure):
    """A matrix of numbers as colors.

    Attributes
    ----------
    rows, columns : tuple of str
        Distinct labels; the first row is drawn at the top.
    values : tuple of tuple of float
        One tuple per row.
    value_label, x_label, y_label : str
        Names of the color scale and of the two axes, with units.
    limits : tuple of float
        Values at the two ends of the color scale.
    palette : {"diverging", "sequential"}
        Diverging is for a scale whose middle means "none".
    boundaries : tuple of int
        A line is drawn before each of these rows, and columns when the matrix is square.
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

    Attributes
    ----------
    labels : tuple of str
        Name of each point.
    x, y : tuple of float
        Coordinates of each point.
    x_label, y_label : str
        Names of the axes, with units.
    shades : tuple of (float or None), optional
        A number in [-1, 1] per point that sets its color; None is gray.
    shade_label : str
        What the shade means.
    groups : tuple of int, optional
        A group per point that sets color and marker. Ignored where `shades` is given.
    group_label : str
        What a group is called in the legend, such as "cluster".
    ticks : bool
        False for coordinates without a unit or an origin (UMAP).
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
    ticks: bool = True

    def __post_init__(self) -> None:
        for name, values in (("x", self.x), ("y", self.y), ("shades", self.shades)):
            _require_numbers(values, len(self.labels), f"{self.title}: {name}")
        if self.groups is not None:
            _require_length(self.groups, len(self.labels), f"{self.title}: groups")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel, with an optional band.

    Attributes
    ----------
    name : str
        Name in the legend.
    x : tuple of float
        Positions.
    y : tuple of (float or None)
        Heights; None leaves a gap.
    low, high : tuple of (float or None), optional
        Edges of the band around `y`.
    notes : tuple of str
        One remark per point, shown when the pointer is over it.
    """

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
    """One pair of axes of `Lines`.

    Attributes
    ----------
    y_label : str
        Name of the axis, with its unit.
    lines : tuple of Line
        Drawn in this order.
    y_limits : tuple of float, optional
        Ends of the axis.
    height : float
        Height relative to the other panels.
    logarithmic : bool
        Whether the axis is logarithmic.
    level : float, optional
        Height of a dashed horizontal line.
    level_label : str
        What that line means, written beside it.
    """

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
    """Panels of lines over one shared horizontal axis.

    Attributes
    ----------
    x_label : str
        Name of the shared axis.
    panels : tuple of Panel
        From top to bottom.
    x_ticks : tuple of float, optional
        Increasing positions of the ticks; without them, they are spread evenly.
    mark : float, optional
        Position of a dashed vertical line through all panels.
    mark_label : str
        What the dashed line means.
    """

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
    """One layer of stacked bars.

    Attributes
    ----------
    name : str
        Name in the legend.
    values : tuple of float
        One length per category.
    muted : bool
        Draw in gray: what is absent rather than counted.
    """

    name: str
    values: tuple[float, ...]
    muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Bars(Figure):
    """Stacked bars, one per category, with an optional line over them.

    Attributes
    ----------
    categories : tuple of str
        Distinct labels; horizontal bars start at the top.
    parts : tuple of Part
        Stacked in this order from the axis outward.
    category_label, value_label : str
        Names of the two axes, with units.
    horizontal : bool
        True where labels are words.
    line_name : str
        Name of the line over the bars.
    line : tuple of float, optional
        Height of that line at each category, in the unit of the bars. Vertical bars only.
    intervals : tuple of ((float, float) or None), optional
        Ends of an interval around each whole bar, in the unit of the bars.
    """

    categories: tuple[str, ...]
    parts: tuple[Part, ...]
    category_label: str
    value_label: str
    horizontal: bool = False
    line_name: str = ""
    line: tuple[float, ...] | None = None
    intervals: tuple[tuple[float, float] | None, ...] | None = None

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


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One row of a `TokenTable`.

    Attributes
    ----------
    label : str
        Name of the row.
    up, down : tuple of (str, float)
        Tokens with their values, the strongest first.
    remark : str
        Text of the last column.
    """

    label: str
    up: tuple[tuple[str, float], ...] = ()
    down: tuple[tuple[str, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenTable(Figure):
    """A table of tokens: a label, tokens that go up, tokens that go down, a remark.

    Attributes
    ----------
    header : tuple of str
        Names of the four columns.
    rows : tuple of TokenRow
        From top to bottom.
    """

    header: tuple[str, str, str, str]
    rows: tuple[TokenRow, ...] = field(default=())

    def __post_init__(self) -> None:
        for row in self.rows:
            values = [value for _, value in row.up + row.down]
            _require_finite(values, f"{self.title}: {row.label!r}")
