"""Colors shared by both drawings, as hexadecimal strings.

Contract
--------
* A color scale is a tuple of evenly spaced stops from low to high; every scale stays readable for
  color-blind readers. Categories never rely on color alone: markers and order change with them.

Source: scales `RdBu`, `PuOr` and `YlGnBu` of colorbrewer2.org (C. Brewer); categories of Okabe &
Ito (2008), "Color Universal Design", with yellow and black moved to the end and darkened for
white paper.
"""

# Blue is negative and red is positive.
DIVERGING = (
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
    "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
)  # fmt: skip
# Purple is unpleasant and orange is pleasant: another pair, so a shade is not read as a cosine.
PLEASANTNESS = (
    "#2d004b", "#542788", "#8073ac", "#b2abd2", "#d8daeb", "#f7f7f7",
    "#fee0b6", "#fdb863", "#e08214", "#b35806", "#7f3b08",
)  # fmt: skip
SEQUENTIAL = (
    "#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4",
    "#1d91c0", "#225ea8", "#253494", "#081d58",
)  # fmt: skip
CATEGORIES = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8ab00", "#555555",
)  # fmt: skip

SCALES = {"diverging": DIVERGING, "sequential": SEQUENTIAL}

INK = "#1f2328"
SOFT_INK = "#57606a"
RULE = "#d0d7de"
MUTED = "#c9ced4"
UP_TINT = "#fbe3d6"
DOWN_TINT = "#dceaf4"


def category_color(index: int) -> str:
    """Color of a category; colors repeat after the eighth."""
    return CATEGORIES[index % len(CATEGORIES)]
