"""Let a model answer messages, and read its stream at the end of each and while it answers.

Of a message and the model's own greedy reply, at one layer:

* user end: the last token of the message that is no blank,
* reply start: the last token of the prompt, from which the reply is written,
* reply mean: the mean over the reply's tokens.

A base model is given the message as a Person's line before "Assistant:"; its reply ends where it
begins another speaker's line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel, Last, Speaker, pooled_resid_post
from hooks.generation.last_token import at_end
from hooks.tokens.encoding import content_places
from hooks.tokens.text_positions import Stretch, tokens_in
from probes.experiments.messages.reading import answer_prompt

USER_END, REPLY_START, REPLY_MEAN = "user_end", "reply_start", "reply_mean"
POSITIONS = (USER_END, REPLY_START, REPLY_MEAN)
N_TOKENS = 30
"""Of a reply, at most."""


@dataclass(frozen=True)
class Answered:
    """The stream at each of `POSITIONS`, and what the model replied.

    A reply without a word is "", its mean NaN.
    """

    residual: Float[Tensor, "position message d_model"]
    replies: list[str]


def read_answers(
    model: LanguageModel,
    messages: Sequence[str],
    layer: int,
    progress: Callable[[int, int], None] = lambda _messages, _tokens: None,
) -> Answered:
    """Answer all messages and read each with its reply, float32 on the CPU.

    `progress` is called with how many messages were read, and how many tokens written.
    """
    prompts = [answer_prompt(model, message) for message in messages]
    written = model.generate(
        prompts,
        max_new_tokens=N_TOKENS,
        temperature=0.0,
        progress=lambda n_tokens: progress(0, n_tokens),
    )
    tokens = [[*prompt, *reply.tokens] for prompt, reply in zip(prompts, written, strict=True)]
    said = [
        _reply_tokens(model, ids, len(prompt)) for ids, prompt in zip(tokens, prompts, strict=True)
    ]
    ends = [prompt[: _user_end(model, prompt) + 1] for prompt in prompts]
    at_ends = rearrange(
        at_end(model, [*ends, *prompts], [layer]),
        "(position message) 1 d_model -> position message d_model",
        position=2,
    )
    # What follows the reply's last token is not read, so that its tokens are the last.
    whole = [ids[: max(places, default=0) + 1] for ids, places in zip(tokens, said, strict=True)]
    rules = [Last(len(places)) if places else None for places in said]
    mean = pooled_resid_post(
        model, whole, rules, layers=[layer], progress=lambda n_texts: progress(n_texts, 0)
    ).mean
    replies = [
        model.tokenizer.decode([ids[place] for place in places]).strip()
        for ids, places in zip(tokens, said, strict=True)
    ]
    return Answered(torch.cat([at_ends, rearrange(mean, "m 1 d -> 1 m d")]), replies)


@dataclass(frozen=True)
class _FirstTurn:
    """What a speaker says first, without the blanks around it."""

    speaker: Speaker
    while_generating = False

    def stretches(self, text: str, tokenizer: Any) -> list[Stretch]:
        (start, stop), *_ = self.speaker.stretches(text, tokenizer)
        words = text[start:stop]
        return [(stop - len(words.lstrip()), start + len(words.rstrip()))]


def _user_end(model: LanguageModel, prompt: Sequence[int]) -> int:
    turn = _FirstTurn(Speaker("user" if model.is_chat else "Person"))
    inside = tokens_in(turn, model.tokenizer, prompt)
    return max(place for place, said in enumerate(inside) if said)


def _reply_tokens(model: LanguageModel, ids: Sequence[int], start: int) -> list[int]:
    """Return the places of a reply's content tokens, from `start` on; none of a blank reply."""
    if not model.tokenizer.decode(ids[start:]).strip():
        return []
    inside = [True] * len(ids)
    if not model.is_chat:
        inside = tokens_in(_FirstTurn(Speaker("Assistant")), model.tokenizer, ids)
    content = content_places(ids, model.special_ids)
    return [place for place in content if place >= start and inside[place]]
