"""What a dose costs, and the largest dose that a budget allows.

On neutral texts, with P the unsteered and Q the steered distribution of the next token:

* KL = mean over tokens of KL(Q || P), in nats: how far the model is from itself.
* perplexity ratio = exp(steered loss - unsteered loss) on what the texts really say: how much
  worse it has become at language.

A dose is *usable* when it and every smaller dose tried stay within both limits.

Contract: the model is run, nothing is written. Distributions are compared at tokens spread evenly
over each text; every token is steered.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.scoring import next_tokens
from hooks.steering import Operation

SKIPPED_TOKENS = 8
"""The first tokens of a text are hard for any model, steered or not."""
_FIRST_GUESS = 0.05
_LARGEST_DOSE = 2.0
_STEPS = 5


@dataclass(frozen=True)
class Budget:
    """What steering may cost."""

    max_kl: float
    max_perplexity_ratio: float

    def __str__(self) -> str:
        return (
            f"KL of at most {self.max_kl:g} nats and perplexity of at most "
            f"{self.max_perplexity_ratio:g} times the unsteered"
        )


@dataclass(frozen=True)
class Cost:
    """What one dose costs."""

    dose: float
    kl: float
    perplexity_ratio: float

    def within(self, budget: Budget) -> bool:
        """Whether both limits are kept."""
        return self.kl <= budget.max_kl and self.perplexity_ratio <= budget.max_perplexity_ratio


class Gauge:
    """Measures what steering at some layers costs on neutral texts."""

    def __init__(
        self, model: LanguageModel, texts: Sequence[str], *, tokens_per_text: int = 8
    ) -> None:
        if not texts:
            raise InvalidInput("a budget is measured on neutral texts; expected at least one.")
        self.model = model
        self.texts = list(texts)
        self._positions = hooks.Spaced(SKIPPED_TOKENS, tokens_per_text)
        self._baseline = next_tokens(model, self.texts, self._positions)

    @property
    def n_tokens(self) -> int:
        """Tokens at which distributions are compared."""
        return len(self._baseline.next_ids)

    def cost(
        self,
        vector: Float[Tensor, "d_model"] | Float[Tensor, "layer d_model"],
        dose: float,
        *,
        layers: Sequence[int],
        residual_norm: Float[Tensor, "layer"],
        operation: Operation = "add",
        split: bool = False,
    ) -> Cost:
        """Measure one dose; `project`, which has none, is measured whatever the dose."""
        with hooks.steer(
            self.model,
            vector,
            layers=layers,
            dose=None if operation == "project" else dose,
            residual_norm=residual_norm,
            operation=operation,
            split=split,
        ):
            steered = next_tokens(self.model, self.texts, self._positions)
        before, after = self._baseline.log_probs, steered.log_probs
        kl = reduce(after.exp() * (after - before), "token d_vocab -> token", "sum")
        ratio = math.exp(steered.loss - self._baseline.loss)
        return Cost(dose, max(float(kl.mean()), 0.0), ratio)

    def largest(
        self,
        vector: Float[Tensor, "d_model"] | Float[Tensor, "layer d_model"],
        budget: Budget,
        *,
        layers: Sequence[int],
        residual_norm: Float[Tensor, "layer"],
        operation: Operation = "add",
        split: bool = False,
    ) -> Cost:
        """Find the largest dose within a budget: doubling until it is past, then halving steps.

        Raises
        ------
        InvalidInput
            When even a small dose is past it.
        """

        def measured(dose: float) -> Cost:
            return self.cost(
                vector,
                dose,
                layers=layers,
                residual_norm=residual_norm,
                operation=operation,
                split=split,
            )

        best: Cost | None = None
        dose = _FIRST_GUESS
        while dose <= _LARGEST_DOSE:
            cost = measured(dose)
            if not cost.within(budget):
                break
            best, dose = cost, dose * 2
        if best is not None and dose > _LARGEST_DOSE:
            return best
        low, high = (best.dose if best else 0.0), dose
        for _ in range(_STEPS):
            middle = measured((low + high) / 2)
            if middle.within(budget):
                best, low = middle, middle.dose
            else:
                high = middle.dose
        if best is None:
            raise InvalidInput(
                f"no dose above {high:.2g} stays within the budget ({budget}); raise "
                "validation.max_kl or validation.max_perplexity_ratio."
            )
        return best


def usable_dose(costs: Sequence[Cost], budget: Budget) -> float | None:
    """Return the largest dose that stays, with every smaller one, within the budget, or None."""
    largest = None
    for cost in sorted(costs, key=lambda cost: cost.dose):
        if not cost.within(budget):
            break
        largest = cost.dose
    return largest


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """Average the costs of several directions at one dose (perplexities as their logarithms)."""
    ratios = torch.tensor([cost.perplexity_ratio for cost in costs], dtype=torch.float64)
    kl = sum(cost.kl for cost in costs) / len(costs)
    return Cost(costs[0].dose, kl, float(ratios.log().mean().exp()))
