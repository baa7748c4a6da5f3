"""Put claims to a model, and read whether it is about to agree, under whatever steering is on.

Score of a claim: logit of the word that agrees less logit of the word that does not, where a begun
answer goes on; the mean over the wordings. A pair's true and false claim are asked alike, and which
word the question names first takes turns over pairs, so that neither the place of a word nor the
word itself tells true claims from false ones. The same questions without a claim tell what steering
does to the words alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.generation.last_token import batch_at_end
from hooks.tokens.encoding import n_common
from probes.stimuli import claims

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Wording:
    """A way to ask: the question, how the answer begins, and the words that agree and do not."""

    question: str
    begun: str
    agree: str
    disagree: str

    @property
    def name(self) -> str:
        """The two words."""
        return f"{self.agree}/{self.disagree}"

    def asked(self, swapped: bool) -> str:
        """Return the question, which names the word that agrees first unless swapped."""
        words = (self.agree, self.disagree)
        first, second = reversed(words) if swapped else words
        return self.question.format(first=first, second=second)


WORDINGS = (
    Wording("Do you {first} or {second}?", "I", "agree", "disagree"),
    Wording("Is that {first} or {second}?", "That is", "true", "false"),
)


class BegunAnswer(NamedTuple):
    """A prompt up to where two answers part, and the tokens that tell them apart."""

    prompt: list[int]
    agree: int
    disagree: int


def ask(model: LanguageModel, claim: str, wording: Wording, *, swapped: bool) -> BegunAnswer:
    """Put a claim to a model, or the question alone; through the template of a chat model.

    Raises InvalidInput where the tokenizer does not tell the answers apart.
    """
    asked = f"{claim} {wording.asked(swapped)}".strip()
    ends = [f"{wording.begun} {word}" for word in (wording.agree, wording.disagree)]
    if model.is_chat:
        before, tokenizer = model.encode_prompt(asked), model.tokenizer
        each = [before + tokenizer(it, add_special_tokens=False)["input_ids"] for it in ends]
    else:
        each = [model.encode(f"Person: {asked}\nAssistant: {end}") for end in ends]
    n = n_common(*each)
    if n == min(map(len, each)):
        raise InvalidInput(f"{model.name}: its tokenizer does not tell {wording.name} apart.")
    agree, disagree = each
    return BegunAnswer(agree[:n], agree[n], disagree[n])


@dataclass(frozen=True)
class Questions:
    """All claims in all wordings, true and false of a pair alike, and the questions alone.

    `answers` are [wording side pair], then [wording order]; `swapped` says in which order a pair is
    asked. Pairs that swap their decisive words are asked in one order.
    """

    answers: Sequence[BegunAnswer]
    swapped: Sequence[bool]

    @classmethod
    def of(cls, model: LanguageModel) -> "Questions":
        """Ask a model everything."""
        swapped = [number // 2 % 2 == 1 for number in range(len(claims()))]
        of_claims = [
            ask(model, claim, wording, swapped=order)
            for wording in WORDINGS
            for side in ([pair.true for pair in claims()], [pair.false for pair in claims()])
            for claim, order in zip(side, swapped, strict=True)
        ]
        alone = [ask(model, "", it, swapped=order) for it in WORDINGS for order in (False, True)]
        return cls([*of_claims, *alone], swapped)

    def arranged(
        self, odds: Float[Tensor, "*batch answer"]
    ) -> tuple[Float[Tensor, "*batch wording side pair"], Float[Tensor, "*batch wording pair"]]:
        """Return what was read of claims, and of the question alone as each pair is asked."""
        n = len(self.swapped)
        of_claims = rearrange(
            odds[..., : 2 * n * len(WORDINGS)],
            "... (wording side pair) -> ... wording side pair",
            side=2,
            pair=n,
        )
        alone = rearrange(
            odds[..., 2 * n * len(WORDINGS) :], "... (wording order) -> ... wording order", order=2
        )
        return of_claims, alone[..., list(map(int, self.swapped))]


@torch.no_grad()
def log_odds(
    model: LanguageModel,
    answers: Sequence[BegunAnswer],
    directions: Float[Tensor, "direction d_model"],
    progress: Callable[[int], None] = lambda _count: None,
    *,
    replay: hooks.Replay,
    layers: Sequence[int],
    **how: Any,
) -> Float[Tensor, "direction answer"]:
    """Return log-odds of agreeing, in nats, with each direction added as by `hooks.steer_each`."""
    odds = torch.empty(len(directions), len(answers))
    for number, begun in enumerate(answers):
        for rows in torch.arange(len(directions)).split(_ROWS_AT_ONCE):
            steering = hooks.steer_each(model, directions[rows], layers=layers, **how)
            with replay.until(min(layers)), steering:
                ends = batch_at_end(model, [begun.prompt] * len(rows), [model.n_layers - 1])
            logits = model.unembed(rearrange(ends, "direction 1 d -> direction d"))
            odds[rows, number] = (logits[:, begun.agree] - logits[:, begun.disagree]).cpu()
        progress(1)
    return odds


@torch.no_grad()
def unsteered(
    model: LanguageModel, answers: Sequence[BegunAnswer], replay: hooks.Replay, layer: int
) -> tuple[Float[Tensor, "answer"], Float[Tensor, "answer"]]:
    """Return log-odds of agreeing without steering, and the probability of both answers together.

    `replay` keeps what the blocks up to `layer` gave.
    """
    odds, mass = torch.empty(len(answers)), torch.empty(len(answers))
    for number, begun in enumerate(answers):
        with replay.until(layer):
            ends = batch_at_end(model, [begun.prompt], [model.n_layers - 1])
        log_probs = model.unembed(ends[0, 0]).log_softmax(dim=-1).cpu()
        odds[number] = log_probs[begun.agree] - log_probs[begun.disagree]
        mass[number] = log_probs[[begun.agree, begun.disagree]].exp().sum()
    return odds, mass
