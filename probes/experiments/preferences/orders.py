"""Whether answers to both orders of a pair agree: without that, there is no preference to speak of.

A model that leans to one letter makes opposite choices of the same pair, one that leans to
activities the same; so the chance of the same choice is what orders of different pairs give.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import pearson


@dataclass(frozen=True)
class OrderAgreement:
    """How far the two orders of a pair agree, in correlation and share of one choice.

    Beside it the share that a lean to a letter alone would reach, with a permutation test; `says_a`
    and `spread` (standard deviation of preferences) are in nats.
    """

    r: float | None
    low: float | None
    high: float | None
    same_choice: float
    same_choice_by_chance: float
    same_choice_p: float
    says_a: float
    spread: float

    @property
    def beyond_chance(self) -> bool:
        """Whether answers to both orders go together: if not, no preference was met."""
        return self.r is not None and self.low is not None and self.low > 0

    @property
    def leans(self) -> bool:
        """Whether the model leans to a letter by more than its preferences differ."""
        return abs(self.says_a) > self.spread


def compare_orders(
    answers: Float[Tensor, "order pair"], *, n_permutations: int, seed: int
) -> OrderAgreement:
    """Compare log-odds for the first of each pair, as `forced_choice.preferences` gives them."""
    as_a, as_b = answers.double()
    varies = len(as_a) >= 3 and as_a.std() > 0 and as_b.std() > 0
    agree = pearson(as_a, as_b) if varies else None
    first, second = (as_a > 0).double(), (as_b > 0).double()
    permuted = permute_within(second, None, n_permutations, seed, keys=torch.float32)
    null = (first == permuted).double().mean(dim=1)
    same = float((first == second).double().mean())
    share = first.mean(), second.mean()
    return OrderAgreement(
        **{name: getattr(agree, name, None) for name in ("r", "low", "high")},
        same_choice=same,
        same_choice_by_chance=float(share[0] * share[1] + (1 - share[0]) * (1 - share[1])),
        same_choice_p=permutation_p_value(same, null, "greater"),
        says_a=float((as_a - as_b).mean() / 2),
        spread=float(answers.double().mean(dim=0).std(correction=0)),
    )
