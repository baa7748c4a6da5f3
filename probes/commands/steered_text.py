"""One prompt continued without steering and under vectors and doses, with what it cost.

All are drawn with one seed; words are those of `word_effects`, costs those of `dose_cost`. Watched
emotions are scored in the passes that write.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import Generation, LanguageModel, Last
from hooks.reading.scoring import continuation_tokens
from hooks.steering.directions import Operation
from hooks.steering.selection import Rule, Where
from probes.experiments.steering import word_effects
from probes.experiments.steering.dose_cost import Budget, Cost, SteeringCost, on_texts
from probes.experiments.steering.word_effects import first_tokens
from probes.vectors.emotion_vectors import EmotionVectors

WATCHED = (
    "Cosine of each written token but the last, as the model writes it, with what is pushed in it."
)


@dataclass(frozen=True)
class SteeringRequest:
    """What was asked for; see `commands.steer`."""

    prompt: str
    emotions: list[str]
    doses: list[float]  # empty for `project`, and with `auto`
    layers: list[int]
    operation: Operation = "add"
    positions: Where | Rule = "all"
    auto: bool = False
    split: bool = False
    max_new_tokens: int = 40
    temperature: float = 0.8
    top_k: int = 50
    seed: int = 0
    watch: Sequence[str] = ()

    @property
    def n_conditions(self) -> int:
        """Continuations that are written, the unsteered one among them."""
        return 1 + len(self.emotions) * max(1, len(self.doses))


@dataclass(frozen=True)
class Steered:
    """One condition; `emotion` is None without steering.

    `word_changes` are in nats (unsteered: the log-probability itself); `perplexity` is under the
    unsteered model; `coefficients` are added along the unit vector at each layer; `capped`: the
    search ended at the largest dose that it tries. `watched` holds the scores of `watched_tokens`
    by emotion.
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
    capped: bool = False
    watched: dict[str, list[float]] = field(default_factory=dict)
    watched_tokens: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How the condition is called."""
        dose = "" if self.dose is None else f" {self.dose:.3g}"
        return "unsteered" if self.emotion is None else f"{self.emotion}{dose}"

    def shown_words(self, requested: Sequence[str], n: int = 3) -> dict[str, float]:
        """Return the words asked for, then the `n` others that rise most."""
        others = [name for name in self.word_changes if name not in requested]
        most = sorted(others, key=lambda name: -self.word_changes[name])[:n]
        return {name: self.word_changes[name] for name in [*requested, *most]}

    def watched_words(self) -> dict[str, str]:
        """Say mean and peak of each watched emotion, and the token of the peak."""
        return {name: self._spelled(scores) for name, scores in self.watched.items()}

    def _spelled(self, scores: Sequence[float]) -> str:
        if not scores:
            return "no token was read"
        peak = max(range(len(scores)), key=scores.__getitem__)
        mean, token = sum(scores) / len(scores), self.watched_tokens[peak]
        return (
            f"mean {mean:+.2f}, peak {scores[peak]:+.2f} at {json.dumps(token, ensure_ascii=False)}"
        )


def repetition(text: str) -> float:
    """Return the share of word triples that occurred before; 0 for fewer than four words."""
    words = text.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if len(triples) > 1 else 0.0


def write_conditions(
    model: LanguageModel,
    vectors: EmotionVectors,
    gauge: SteeringCost,
    budget: Budget,
    request: SteeringRequest,
    progress: Callable[[int], None] = lambda _count: None,
) -> list[Steered]:
    """Continue the prompt under every condition; the unsteered one is first."""
    heads = torch.tensor([ids[0] for ids in first_tokens(model, vectors.emotions)])
    steer_carriers, _ = on_carriers(request.positions)
    steer_texts, _ = on_texts(request.positions)
    prompt = model.encode_prompt(request.prompt)
    asked = vars(request)
    sampling = {name: asked[name] for name in ("max_new_tokens", "temperature", "top_k", "seed")}
    shared: dict[str, Any] = {name: asked[name] for name in ("layers", "operation", "split")}
    shared["residual_norm"] = vectors.norm_by_layer

    def word_log_probs() -> Float[Tensor, "word"]:
        residuals = word_effects.last_residuals(model, word_effects.CARRIERS)
        each = word_effects.log_probs(model, residuals)[:, heads]
        return reduce(each, "carrier word -> word", "mean")

    def write() -> tuple[Generation, dict[str, Any]]:
        if not request.watch:
            return model.generate([prompt], **sampling)[0], {}
        with vectors.monitor(model, request.watch) as seen:
            [written] = model.generate([prompt], **sampling)
        scores = dict(zip(request.watch, seen[0].scores.T.tolist(), strict=True))
        return written, {"watched": scores, "watched_tokens": seen[0].tokens}

    def condition(
        emotion: str | None, dose: float | None, written: Generation, words: Tensor, **about: Any
    ) -> Steered:
        # Judged by the model as it is now: unsteered.
        changes = dict(zip(vectors.emotions, words.tolist(), strict=True))
        surprise = perplexity(model, prompt, written.tokens)
        progress(1)
        text = written.text
        return Steered(emotion, dose, text, changes, surprise, repetition(text), **about)

    baseline = word_log_probs()
    written, watched = write()
    conditions = [condition(None, None, written, baseline, **watched)]
    for emotion in request.emotions:
        direction = vectors.by_layer(emotion)
        doses, capped = request.doses or [None], False
        if request.auto:
            search = gauge.largest(direction, budget, positions=steer_texts, **shared)
            doses, capped = [search.cost.dose], search.capped
        for dose in doses:
            cost = gauge.cost(direction, dose or 0.0, positions=steer_texts, **shared)
            with hooks.steer(model, direction, dose=dose, positions=steer_carriers, **shared):
                changes = word_log_probs() - baseline
            where = request.positions
            with hooks.steer(model, direction, dose=dose, positions=where, **shared) as record:
                written, watched = write()
            about = {"cost": cost, "within_budget": cost.within(budget), "capped": capped}
            about |= {"coefficients": record.coefficients, **watched}
            conditions.append(condition(emotion, dose, written, changes, **about))
    return conditions


def on_carriers(positions: Where | Rule) -> tuple[Where | Rule, str]:
    """Return which tokens of a carrier sentence stand for a prompt's positions, and a phrase."""
    if positions in ("all", "prompt", "last") or positions == Last(1):
        return positions, f"positions {positions}"
    return "all", "every token steered"


def shared_first_tokens(model: LanguageModel, emotions: Sequence[str]) -> list[str]:
    """Emotions whose word begins with the token that another's begins with."""
    heads = [ids[0] for ids in first_tokens(model, emotions)]
    return [name for name, head in zip(emotions, heads, strict=True) if heads.count(head) > 1]


def explained(request: SteeringRequest, shared: Sequence[str]) -> str:
    """Say what the words and the cost stand for, and which words cannot be told apart."""
    carriers, texts = on_carriers(request.positions)[1], on_texts(request.positions)[1]
    words = (
        f"Words: after sentences that end before a feeling is named, {carriers}; those asked for "
        f"and the three others that rise most. Cost: on neutral text, {texts}."
    )
    if shared:
        words += f" * First token shared with another emotion's word: {', '.join(shared)}."
    return words


def perplexity(model: LanguageModel, prompt: list[int], tokens: list[int]) -> float | None:
    """Return the perplexity of a continuation after its prompt, under the model as it is now."""
    return math.exp(continuation_tokens(model, prompt, tokens).loss) if tokens else None
