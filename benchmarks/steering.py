"""Steering with many directions: from the steered layer on beside the whole model, same numbers."""

import contextlib
import statistics
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

import hooks
from benchmarks.measure import seconds
from benchmarks.tables import table
from hooks.generation.last_token import batch_at_end
from probes.experiments.steering.word_effects import CARRIERS, log_probs

MODEL = "embedded:gemma-3-270m"
LAYER = 12
"""The one that the demo's run analyzes."""
_PROMPT = (
    "Which of these two would you rather do?\nA: sort the letters of a stranger who has moved away"
    "\nB: walk along the river before anybody else is up\nI would rather do"
)


@dataclass(frozen=True)
class SteeredBatch:
    """Median seconds of the whole model, of the blocks from the steered layer on, of logits."""

    n_directions: int
    n_tokens: dict[str, float]
    whole: dict[str, float]
    replayed: dict[str, float]
    unembedding: float
    largest_difference: float

    def ratio(self, what: str) -> float:
        """How many times faster."""
        return self.whole[what] / self.replayed[what]


def measure(n_directions: int, rounds: int) -> SteeredBatch:
    """Steer one prompt, and the carriers of `steering`, in turn whole and from the layer on."""
    model = hooks.load(MODEL)
    prompts = {
        "a question of 45 tokens": [_PROMPT],
        "the four sentences of `steering`": list(CARRIERS),
    }
    directions = torch.randn(
        n_directions, model.d_model, generator=torch.Generator().manual_seed(0)
    )
    whole, replayed, differences = {}, {}, []
    for what, texts in prompts.items():
        replay = hooks.Replay(model)
        read = [_ends(model, directions, text, replay) for text in texts]  # remembers
        differences += [
            float((_ends(model, directions, text, None) - again).abs().max() / again.abs().max())
            for text, again in zip(texts, read, strict=True)
        ]
        turns = [
            [
                seconds(lambda t=texts, r=how: [_ends(model, directions, text, r) for text in t])
                for how in (None, replay)
            ]
            for _ in range(rounds)
        ]
        whole[what], replayed[what] = map(statistics.median, zip(*turns, strict=True))
    logits = [seconds(lambda: log_probs(model, directions)) for _ in range(rounds)]
    return SteeredBatch(
        n_directions,
        {
            what: sum(len(model.encode(it)) for it in texts) / len(texts)
            for what, texts in prompts.items()
        },
        whole,
        replayed,
        statistics.median(logits),
        max(differences),
    )


def ratios(steered: SteeredBatch) -> list[tuple[str, str, str]]:
    """Return the lines that come first."""
    return [
        (f"steering, {what}: whole model / from the layer on", f"{steered.ratio(what):.1f}x", "")
        for what in steered.whole
    ]


def section(steered: SteeredBatch) -> str:
    """Return the table."""
    rows = [
        (
            what,
            f"{steered.n_tokens[what]:.0f}",
            f"{steered.whole[what]:.2f}",
            f"{steered.replayed[what]:.2f}",
            f"{steered.ratio(what):.1f}x",
        )
        for what in steered.whole
    ]
    times = table(("read to the last block", "tokens", "whole", "from the layer on", "ratio"), rows)
    return f"""## Steering: {MODEL}

Seconds of {steered.n_directions} directions at layer {LAYER}. Largest difference at the last \
token, beside the largest number there: {steered.largest_difference:.1e}. Logits of as many last \
tokens take {steered.unembedding:.2f} s more, which nothing saves.

{times}"""


def _ends(
    model: hooks.LanguageModel,
    directions: Float[Tensor, "direction d_model"],
    text: str,
    replay: hooks.Replay | None,
) -> Float[Tensor, "direction layer d_model"]:
    """Return the residual after the last block where a text ends, under each direction."""
    skipping = replay.until(LAYER) if replay else contextlib.nullcontext()
    how = {"layers": [LAYER], "dose": 0.1, "residual_norm": 1000.0}
    with skipping, hooks.steer_each(model, directions, **how):
        return batch_at_end(model, [model.encode(text)] * len(directions), [model.n_layers - 1])
