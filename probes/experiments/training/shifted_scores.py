"""How far two models lie apart along emotions, at one place of the same texts.

h is the residual of a text, u a direction of length one:

1. score = (h - center) . u / norm. Center and norm are the same for both models.
2. shift of a text = the other model's score less the first one's, so the center is gone.
3. Of an emotion: the mean shift over texts. p: how many random directions shift as far, either
   way; q: p corrected for the number of emotions (Benjamini & Hochberg).
4. Of all emotions: the root mean square of these, beside that of the random directions.
5. Of two sets of means: r over emotions, beside r over the random directions.

Emotions' vectors are alike, so that whatever is added to the stream lies along many of them or
along few: the p of 4 and 5 is of sets of random directions that are as alike (`random_sets`).

Intervals are over texts, those of 4 and 5 by drawing them again. The n-th text of one set and of
another are a pair, so one drawing serves both.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from scipy.stats import false_discovery_control
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate
from probes.analysis.intervals import estimate_from_spread, mean_over
from probes.analysis.resampling import permutation_p_value, topic_counts
from probes.analysis.statistics import correlate
from probes.experiments.training.random_sets import RandomSets
from probes.vectors.normalize import normalize

RANDOM = "random directions"
_N_DRAWS = 400
_BAND = 0.95
_TIE = 1e-12


@dataclass(frozen=True)
class Along:
    """Scores of texts along emotions' vectors and along random directions, in float64."""

    emotions: Float[Tensor, "text emotion"]
    random: Float[Tensor, "text direction"]

    def less(self, other: "Along") -> "Along":
        """Subtract the scores of other texts, one by one."""
        return Along(self.emotions - other.emotions, self.random - other.random)


@dataclass(frozen=True)
class SetShift:
    """Shifts on one set of texts, in mean residual norms; lists are by emotion.

    `size` is the root mean square over emotions, `random_size` over random directions, of which
    95% shift by less than `band`. `excess` is size less random size, `p` of sets as alike.
    """

    shift: list[Estimate]
    q: list[float]
    size: Estimate
    random_size: Estimate
    excess: Estimate
    p: float
    band: float

    @property
    def control(self) -> Control:
        """The random directions."""
        return Control(RANDOM, self.random_size, self.excess)

    @property
    def is_zero(self) -> bool:
        """Whether no emotion shifts on any text, to the last bit."""
        return all(it.value == it.low == it.high == 0 for it in self.shift)

    def moved(self, number: int) -> bool:
        """Whether an emotion shifts beyond random directions, and by its whole interval."""
        low, high = self.shift[number].ends
        return self.q[number] < SIGNIFICANT and (low > 0 or high < 0)


@dataclass(frozen=True)
class Alike:
    """r over emotions and over random directions, the excess of the first, p of sets as alike."""

    r: Estimate
    random: Estimate
    excess: Estimate
    p: float

    @property
    def control(self) -> Control:
        """The random directions."""
        return Control(RANDOM, self.random, self.excess)


def project(
    residual: Float[Tensor, "text d_model"],
    center: Float[Tensor, "d_model"],
    norm: float,
    directions: Float[Tensor, "direction d_model"],
) -> Float[Tensor, "text direction"]:
    """Return how far centered residuals reach along each direction, in units of `norm`."""
    apart, unit = residual.double() - center.double(), normalize(directions.double())
    return einsum(apart, unit, "text d_model, direction d_model -> text direction") / norm


def draw_texts(n_texts: int, seed: int) -> Float[Tensor, "draw text"]:
    """Draw texts again and again; returns the weight of each text in each draw's mean."""
    return topic_counts(torch.arange(n_texts), _N_DRAWS, seed) / n_texts


def set_shift(shift: Along, draws: Float[Tensor, "draw text"], sets: RandomSets) -> SetShift:
    """Judge the shifts of a set of two texts or more; `draws` are of `draw_texts`."""
    mean, random = _mean(shift.emotions), _mean(shift.random)
    as_far = random.abs() >= rearrange(mean.abs(), "emotion -> emotion 1") * (1 - _TIE)
    p = (1 + reduce(as_far.double(), "emotion direction -> emotion", "sum")) / (1 + len(random))
    size, of_random = _size(mean), _size(random)
    drawn, drawn_random = _size(draws @ shift.emotions), _size(draws @ shift.random)
    return SetShift(
        shift=[mean_over(column) for column in shift.emotions.T],
        q=false_discovery_control(p.tolist()).tolist(),
        size=_estimate(size, drawn, draws, least=0.0),
        random_size=_estimate(of_random, drawn_random, draws, least=0.0),
        excess=_estimate(size - of_random, drawn - drawn_random, draws),
        p=permutation_p_value(float(size), _size(sets.along(random)), "greater"),
        band=float(random.abs().quantile(_BAND)),
    )


def alike(
    one: Along, two: Along, draws: Float[Tensor, "draw text"], sets: RandomSets
) -> Alike | None:
    """Correlate two sets' means over emotions; None where one of them is the same for all."""
    r = _correlation(one.emotions, two.emotions, draws)
    random = _correlation(one.random, two.random, draws)
    if r is None or random is None:
        return None
    of_sets = correlate(*(sets.along(_mean(it.random)) for it in (one, two)))
    return Alike(
        _estimate(*r, draws, least=-1.0, most=1.0),
        _estimate(*random, draws, least=-1.0, most=1.0),
        _estimate(r[0] - random[0], r[1] - random[1], draws),
        permutation_p_value(float(r[0]), of_sets, "greater"),
    )


def correlate_means(
    one: Float[Tensor, "text emotion"],
    two: Float[Tensor, "text emotion"],
    draws: Float[Tensor, "draw text"],
) -> Estimate | None:
    """Correlate two means over emotions; None where one of them is the same for all."""
    r = _correlation(one, two, draws)
    return None if r is None else _estimate(*r, draws, least=-1.0, most=1.0)


_Drawn = tuple[Float[Tensor, ""], Float[Tensor, "draw"]]
"""A statistic, and what it is in each draw of texts."""


def _correlation(
    one: Float[Tensor, "text direction"],
    two: Float[Tensor, "text direction"],
    draws: Float[Tensor, "draw text"],
) -> _Drawn | None:
    r, drawn = correlate(_mean(one), _mean(two)), correlate(draws @ one, draws @ two)
    is_number = bool(r.isfinite()) and bool(drawn.isfinite().all())
    return (r, drawn) if is_number else None


def _mean(scores: Float[Tensor, "text direction"]) -> Float[Tensor, "direction"]:
    return reduce(scores, "text direction -> direction", "mean")


def _size(means: Float[Tensor, "*draw direction"]) -> Float[Tensor, "*draw"]:
    return reduce(means.square(), "... direction -> ...", "mean").sqrt()


def _estimate(
    value: Float[Tensor, ""],
    drawn: Float[Tensor, "draw"],
    draws: Float[Tensor, "draw text"],
    **ends: float,
) -> Estimate:
    estimate = estimate_from_spread(float(value), drawn, draws.shape[1], **ends)
    return Estimate(float(value)) if estimate is None else estimate
