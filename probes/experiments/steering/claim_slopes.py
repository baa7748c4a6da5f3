"""What directions do to agreement with true and false claims: slopes over doses, beside controls.

Slope: least squares through the unsteered model, in nats of log-odds per tenth of the mean residual
norm. Pairs of claims are the units of intervals; p-values are two-sided, of a slope's distance from
the mean of random directions among theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, reduce
from jaxtyping import Float
from scipy.stats import false_discovery_control
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import SIGNIFICANT, Control, Estimate
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value

AXIS, ALONE, OTHERS = (
    "the valence axis",
    "the question without a claim",
    "the other emotions of its side",
)
PER = 0.1
"""Slopes are told per so much of the mean residual norm."""
TRUE, FALSE = 0, 1
"""Sides of a pair."""


@dataclass(frozen=True, kw_only=True)
class AgreementSlope:
    """What one emotion's vector does to agreement, in nats per tenth of the mean residual norm.

    `q` are two-sided among random directions, corrected for the number of emotions (Benjamini &
    Hochberg). At each dose, in nats: `curve` of agreement with false claims, `alone` of the answer
    to the question without a claim.
    """

    false: Estimate
    true: Estimate
    discrimination: Estimate
    q_false: float
    q_discrimination: float
    by_wording: Mapping[str, Estimate]
    controls: Sequence[Control]
    curve: Sequence[Estimate]
    alone: Sequence[float]

    @property
    def moved(self) -> bool:
        """Whether agreement with false claims moves, and more than random directions move it."""
        return turned(self.false).above_zero and self.q_false < SIGNIFICANT

    def margins(self) -> list[Estimate]:
        """Return what must lie above zero for it to be called agreement: its size, and excesses."""
        excess = [it.excess for it in self.controls if it.excess is not None]
        return [turned(self.false), *excess]

    def exceeds(self, name: str) -> bool:
        """Whether it moves farther than a control does, in its own direction; or there is none."""
        excess = [it.excess for it in self.controls if it.name == name]
        return all(it is None or it.above_zero for it in excess)


def turned(estimate: Estimate) -> Estimate:
    """Turn the sign so that the value is not negative."""
    if estimate.value >= 0:
        return estimate
    low, high = estimate.ends
    return Estimate(-estimate.value, -high, -low)


@dataclass(frozen=True)
class ClaimChanges:
    """Changes of log-odds by dose; of the question alone, as each pair's claims were asked.

    Rows are directions: emotions, then the valence axes of some of them, then random ones.
    """

    doses: Sequence[float]
    claims: Float[Tensor, "dose direction wording side pair"]
    alone: Float[Tensor, "dose direction wording pair"]

    def slopes(
        self, changes: Float[Tensor, "dose direction *rest"]
    ) -> Float[Tensor, "direction *rest"]:
        """Fit a line through zero, per `PER` of dose."""
        dose = torch.tensor(self.doses, dtype=torch.float64)
        weight = PER * dose / dose.square().sum()
        return einsum(weight, changes.double(), "dose, dose ... -> ...")

    def false_by_dose(self) -> Float[Tensor, "dose direction pair"]:
        """Return changes of agreement with false claims, the mean over wordings."""
        false = self.claims[:, :, :, FALSE]
        return reduce(false, "dose direction wording pair -> dose direction pair", "mean")


def judge(
    changes: ClaimChanges, names: Sequence[str], with_axis: Sequence[str], wordings: Sequence[str]
) -> dict[str, AgreementSlope]:
    """Judge each emotion's slopes; `with_axis` are the names that have a valence axis, in order."""
    n, first_random = len(names), len(names) + len(with_axis)
    by_wording = changes.slopes(changes.claims)
    slopes = reduce(by_wording, "direction wording side pair -> side direction pair", "mean")
    alone = changes.slopes(changes.alone).mean(dim=1)
    false, apart = slopes[FALSE], slopes[TRUE] - slopes[FALSE]
    q_false, q_apart = (_corrected(of, n, first_random) for of in (false, apart))
    curve, side = changes.false_by_dose(), EmotionGroups.of(names).side.tolist()
    judged = {}
    for row, name in enumerate(names):
        same = [it for it in range(n) if it != row and side[it] == side[row]]
        rivals = {ALONE: alone[row]}
        if name in with_axis:
            rivals[AXIS] = false[n + with_axis.index(name)]
        if same:
            rivals[OTHERS] = false[same].mean(dim=0)
        sign = 1 if float(false[row].mean()) > 0 else -1
        judged[name] = AgreementSlope(
            false=mean_over(false[row]),
            true=mean_over(slopes[TRUE, row]),
            discrimination=mean_over(apart[row]),
            q_false=q_false[row],
            q_discrimination=q_apart[row],
            by_wording={
                wording: mean_over(by_wording[row, number, FALSE])
                for number, wording in enumerate(wordings)
            },
            controls=[
                Control(kind, Estimate(float(it.mean())), mean_over(sign * (false[row] - it)))
                for kind, it in rivals.items()
            ],
            curve=[mean_over(at) for at in curve[:, row]],
            alone=[float(at.mean()) for at in changes.alone[:, row]],
        )
    return judged


def _corrected(slopes: Float[Tensor, "direction pair"], n: int, first_random: int) -> list[float]:
    """Return two-sided p-values of the first `n` slopes among the random ones, corrected."""
    means = slopes.mean(dim=1)
    null = means[first_random:]
    far, null_far = (means[:n] - null.mean()).abs(), (null - null.mean()).abs()
    p = [permutation_p_value(each, null_far, "greater") for each in far.tolist()]
    return list(map(float, false_discovery_control(p)))
