"""What a dose costs on neutral texts, and the largest dose that a budget allows.

With P the unsteered and Q the steered distribution of the next token, at tokens spread evenly over
the beginning of each text: KL = mean of KL(Q || P), in nats, and perplexity ratio = exp(steered
loss - unsteered loss) on what the texts really say. 95% intervals are over texts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.reading.scoring import next_tokens
from hooks.steering.directions import Directions, Operation
from hooks.steering.selection import Rule, Where
from probes.analysis.findings import Estimate
from probes.analysis.intervals import mean_over

SKIPPED_TOKENS = 8
"""The first tokens of a text are hard for any model, steered or not."""
_READ_TOKENS = 64
"""Of each text; what comes later would only take longer."""
_DOUBLINGS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_STEPS = 5
_ROWS_AT_ONCE = 64


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
    kl_interval: tuple[float, float] | None = None
    perplexity_interval: tuple[float, float] | None = None

    def within(self, budget: Budget) -> bool:
        """Whether both limits are kept."""
        return self.kl <= budget.max_kl and self.perplexity_ratio <= budget.max_perplexity_ratio


@dataclass(frozen=True)
class DoseSearch:
    """The largest dose within a budget; `capped` where no larger one is tried and more may do."""

    cost: Cost
    capped: bool


class SteeringCost:
    """Measures what steering at some layers costs on the beginnings of neutral texts."""

    def __init__(
        self,
        model: LanguageModel,
        texts: Sequence[str],
        *,
        tokens_per_text: int = 24,
    ) -> None:
        if not texts:
            raise InvalidInput("a budget is measured on neutral texts; expected at least one.")
        self.model = model
        self.texts = [model.encode(text)[:_READ_TOKENS] for text in texts]
        self._positions = hooks.Spaced(SKIPPED_TOKENS, tokens_per_text)
        self._baseline = next_tokens(model, self.texts, self._positions)
        self._replay = hooks.Replay(model)

    @property
    def n_tokens(self) -> int:
        """Tokens at which distributions are compared."""
        return len(self._baseline.next_ids)

    def cost(
        self,
        vector: Directions,
        dose: float,
        *,
        layers: Sequence[int],
        operation: Operation = "add",
        **how: Any,
    ) -> Cost:
        """Measure one dose, at the tokens of `on_texts`; `project` has none."""
        given = None if operation == "project" else dose
        steering = hooks.steer(
            self.model, vector, layers=layers, dose=given, operation=operation, **how
        )
        with self._replay.until(min(layers)), steering:
            return self._compared(dose)

    def mean_cost(
        self,
        vectors: Float[Tensor, "direction d_model"],
        dose: float,
        *,
        layers: Sequence[int],
        **how: Any,
    ) -> Cost:
        """Measure one dose of several directions in one pass: they take turns over the texts.

        `how` are the layers' residual norms, as in `hooks.steer_each`.
        """
        turns = torch.arange(len(self.texts)) % len(vectors)
        steering = hooks.steer_each(self.model, vectors[turns], layers=layers, dose=dose, **how)
        with self._replay.until(min(layers)), steering:
            return self._compared(dose)

    def _compared(self, dose: float) -> Cost:
        """Compare the model as it is now with the unsteered one."""
        steered = next_tokens(self.model, self.texts, self._positions)
        kl, extra = [], []
        for rows in torch.arange(self.n_tokens).split(_ROWS_AT_ONCE):
            before, after = self._baseline.log_probs[rows], steered.log_probs[rows]
            kl.append(reduce(after.exp() * (after - before), "token d_vocab -> token", "sum"))
            true_next = rearrange(steered.next_ids[rows], "token -> token 1")
            extra.append(rearrange((before - after).gather(1, true_next), "token 1 -> token"))
        divergence, loss = self._over_texts(torch.cat(kl)), self._over_texts(torch.cat(extra))
        return Cost(
            dose,
            max(divergence.value, 0.0),
            math.exp(loss.value),
            _ends(divergence, lambda kl: max(kl, 0.0)),
            _ends(loss, math.exp),
        )

    def _over_texts(self, values: Float[Tensor, "token"]) -> Estimate:
        """Mean over tokens, with an interval over texts."""
        return mean_over(values, self._baseline.text)

    def largest(self, vector: Directions, budget: Budget, **how: Any) -> DoseSearch:
        """Find the largest dose within a budget: doubling until it is past, then halving steps.

        `clamp` may cost less at a larger dose, nearer to what the stream holds: there every
        doubling is tried. Raises InvalidInput when even a small dose is past the budget.
        """
        measured = partial(self.cost, vector, **how)
        best: Cost | None = None
        high = _DOUBLINGS[0]
        for dose, larger in zip(_DOUBLINGS, (*_DOUBLINGS[1:], math.inf), strict=True):
            cost = measured(dose)
            if cost.within(budget):
                best, high = cost, larger
            elif how.get("operation") != "clamp":
                break
        if best is not None and high == math.inf:
            return DoseSearch(best, capped=True)
        low = best.dose if best else 0.0
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
        return DoseSearch(best, capped=False)


def _ends(estimate: Estimate, change: Callable[[float], float]) -> tuple[float, float] | None:
    """Change both ends of an interval; one text has none."""
    if estimate.low is None:
        return None
    low, high = estimate.ends
    return change(low), change(high)


def on_texts(positions: Where | Rule) -> tuple[Where | Rule, str]:
    """Return the tokens of a text that stand for a prompt's positions, and how to say so.

    A text's first `SKIPPED_TOKENS` stand for the prompt, the compared ones for what is generated.
    What has no counterpart (a speaker, some words): all tokens are steered.
    """
    if positions == "prompt":
        return hooks.Span(0, SKIPPED_TOKENS), f"the first {SKIPPED_TOKENS} tokens steered"
    if positions == "last" or isinstance(positions, hooks.Last):
        n = min(getattr(positions, "n", 1), SKIPPED_TOKENS)
        last = hooks.Span(SKIPPED_TOKENS - n, SKIPPED_TOKENS)
        return last, f"{n} token{'' if n == 1 else 's'} before the compared ones steered"
    return "all", "every token steered"


def usable_dose(costs: Sequence[Cost], budget: Budget) -> float | None:
    """Return the largest dose that stays, with every smaller one, within the budget, or None."""
    largest = None
    for cost in sorted(costs, key=lambda cost: cost.dose):
        if not cost.within(budget):
            break
        largest = cost.dose
    return largest
