"""The emotions that a training shifts most, in the band of random directions."""

from typing import TYPE_CHECKING

from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind

if TYPE_CHECKING:
    from probes.experiments.training.emotion_shift import EmotionShift

_MOVED, _OTHER = "beyond random directions (q < .05)", "not beyond"
_EACH_WAY = 15


def shifted_emotions(result: "EmotionShift") -> Bars:
    """Describe the farthest shifts up and down on challenging prompts, from highest to lowest."""
    shift, neutral = result.shifts["challenging"], result.shifts["neutral"]
    order = sorted(range(len(result.emotions)), key=lambda number: -shift.shift[number].value)
    shown = order
    if len(order) > 2 * _EACH_WAY:
        shown = [*order[:_EACH_WAY], *order[-_EACH_WAY:]]
    bars = [
        bar_of(
            result.emotions[number],
            _MOVED if shift.moved(number) else _OTHER,
            shift.shift[number],
        )
        for number in shown
    ]
    which = "All emotions" if shown is order else f"The {_EACH_WAY} highest and lowest emotions"
    n_moved = sum(map(shift.moved, range(len(order))))
    return Bars(
        title="What training does to emotions where a reply begins",
        subtitle=f"{result.other} less {result.model}, layer {result.layer}, {result.n_pairs} "
        "challenging prompts",
        caption=f"{which}: how much farther the other model's residual reaches along this run's "
        "vector, at the last token before the reply. Line: 95% interval over prompts. Shade: 95% "
        f"of {result.n_directions} random directions with the stories' covariance. {n_moved} of "
        f"{len(order)} emotions shift beyond them. Root mean square over emotions "
        f"{shift.size.value:.4f}, over random directions {shift.random_size.value:.4f}; on neutral "
        f"prompts {neutral.size.value:.4f} and {neutral.random_size.value:.4f}.",
        value_label="shift (mean residual norms)",
        band=(-shift.band, shift.band),
        band_name="95% of random directions",
        **bars_by_kind(bars, (_MOVED, _OTHER), muted=(_OTHER,)),
    )
