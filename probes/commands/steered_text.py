"""One prompt continued without steering and under several vectors and doses, with what it cost.

For each condition:

* the continuation, drawn with the same seed;
* change of the log-probability of the emotions' words, averaged over `steering_words.CARRIERS`;
* perplexity of the continuation under the *unsteered* model: how strange it finds it;
* repetition: share of the continuation's word triples that occurred in it before;
* KL and perplexity on neutral text (`probes.dosing`), and whether that is within the budget.

Contract: runs models, writes nothing. Requests are checked before (`commands.steer`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import LanguageModel
from hooks.scoring import next_tokens
from hooks.selection import Rule, Where
from hooks.steering import Operation
from probes.dosing import Budget, Cost, Gauge
from probes.experiments.steering_words import CARRIERS, first_tokens, last_residuals, log_probs
from probes.vectors import EmotionVectors


@dataclass(frozen=True)
class Request:
    """What was asked for; see `commands.steer`."""

    prompt: str
    emotions: list[str]
    doses: list[float]
    """Empty for `project`, and with `auto`."""
    layers: list[int]
    operation: Operation = "add"
    positions: Where | Rule = "all"
    auto: bool = False
    split: bool = False
    max_new_tokens: int = 40
    temperature: float = 0.8
    top_k: int = 50
    seed: int = 0

    @property
    def n_conditions(self) -> int:
        """Continuations that are written, the unsteered one among them."""
        return 1 + len(self.emotions) * max(1, len(self.doses))


@dataclass(frozen=True)
class Steered:
    """One condition.

    Attributes
    ----------
    emotion
        None without steering.
    word_changes
        Emotion to the change of its word's log-probability, in nats; of the unsteered condition,
        the log-probability itself.
    perplexity
        Of the continuation under the unsteered model; None when it has no token.
    """

    emotion: str | None
    dose: float | None
    text: str
    word_changes: dict[str, float]
    perplexity: float | None
    repetition: float
    cost: Cost | None = None
    within_budget: bool = True
    coefficients: dict[int, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How the condition is called."""
        if self.emotion is None:
            return "unsteered"
        return self.emotion if self.dose is None else f"{self.emotion} {self.dose:.3g}"


def repetition(text: str) -> float:
    """Share of word triples that occurred before in the text; 0 for fewer than four words."""
    words = text.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if len(triples) > 1 else 0.0


def write_conditions(
    model: LanguageModel,
    vectors: EmotionVectors,
    neutral_texts: Sequence[str],
    budget: Budget,
    request: Request,
    progress: Callable[[int], None] = lambda _count: None,
) -> list[Steered]:
    """Continue the prompt under every condition; the unsteered one is first."""
    words = first_tokens(model, request.emotions)
    heads = torch.tensor([ids[0] for ids in words])
    prompt = model.encode_prompt(request.prompt)
    gauge = Gauge(model, neutral_texts)
    places = [vectors.layer_index(layer) for layer in request.layers]
    norms = vectors.residual_norm[places]

    def word_log_probs() -> Float[Tensor, "word"]:
        found = log_probs(model, last_residuals(model, CARRIERS))[:, heads]
        return reduce(found, "carrier word -> word", "mean")

    def write() -> tuple[str, list[int]]:
        [written] = model.generate(
            [prompt],
            max_new_tokens=request.max_new_tokens,
            temperature=request.temperature,
            top_k=request.top_k,
            seed=request.seed,
        )
        return written.text, written.tokens

    baseline = word_log_probs()
    text, tokens = write()
    conditions = [
        Steered(
            None,
            None,
            text,
            dict(zip(request.emotions, baseline.tolist(), strict=True)),
            perplexity(model, prompt, tokens),
            repetition(text),
        )
    ]
    progress(1)
    shared: dict[str, Any] = {
        "layers": request.layers,
        "residual_norm": norms,
        "operation": request.operation,
        "split": request.split,
    }
    for emotion in request.emotions:
        direction = vectors[emotion][places]
        doses: list[float | None] = list(request.doses) or [None]
        if request.auto:
            doses = [gauge.largest(direction, budget, **shared).cost.dose]
        for dose in doses:
            cost = gauge.cost(direction, dose or 0.0, **shared)
            with hooks.steer(model, direction, dose=dose, **shared):
                changes = word_log_probs() - baseline
            with hooks.steer(
                model, direction, dose=dose, positions=request.positions, **shared
            ) as record:
                text, tokens = write()
            conditions.append(
                Steered(
                    emotion,
                    dose,
                    text,
                    dict(zip(request.emotions, changes.tolist(), strict=True)),
                    perplexity(model, prompt, tokens),
                    repetition(text),
                    cost,
                    cost.within(budget),
                    record.coefficients,
                )
            )
            progress(1)
    return conditions


def perplexity(model: LanguageModel, prompt: list[int], tokens: list[int]) -> float | None:
    """Perplexity of a continuation after its prompt, under the model as it is now."""
    n_content = sum(token not in model.special_ids for token in prompt)
    if not tokens or n_content == 0:
        return None
    # Each token is predicted at the one before it: the first at the prompt's last.
    scored = next_tokens(model, [[*prompt, *tokens]], hooks.FromToken(n_content - 1))
    return math.exp(scored.loss)
