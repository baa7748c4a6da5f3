"""The dose that a run is judged by, and the paper's: fractions of the mean residual norm."""

import math
from collections.abc import Sequence

JUDGED_DOSE = 0.1
PAPER_DOSE = 0.5


def judged_dose(doses: Sequence[float]) -> float:
    """Return the dose that the project promises to judge, where it was tried, or the middle one."""
    return JUDGED_DOSE if JUDGED_DOSE in doses else doses[len(doses) // 2]


def compare_with_paper(dose: float, note: str = "") -> tuple[str, bool]:
    """Return a note that begins with our dose where it is not the paper's, and whether it is."""
    same = math.isclose(dose, PAPER_DOSE)
    ours = "" if same else f"ours at dose {dose:g}, the paper's at {PAPER_DOSE:g}"
    return "; ".join(filter(None, [ours, note])), same
