"""One path from text to token ids, for plain text and for chat alike.

*Content* are the tokens that are neither padding nor special (flagged so by the tokenizer), nor the
first of a sequence: where there is no beginning-of-sequence token, a text's own first token is the
attention sink, whose residual norm is many times the others'.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hooks.errors import InvalidInput

Mask = Bool[Tensor, "text position"]


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of several texts, padded to one length."""

    ids: Int[Tensor, "text position"]
    attention_mask: Int[Tensor, "text position"]
    content: Mask
    """True for content tokens."""


class Encoder:
    """A tokenizer that turns texts into ids, whether or not its model is loaded."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of special tokens, which never count as content."""
        return special_ids(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a plain text, with exactly one BOS where the model has one."""
        return encode_text(self.tokenizer, text)


def puts_beginning(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts its BOS before plain text.

    Where it has one for another use (SmolLM2's begins turns of a chat), `encode_text` puts it all
    the same: it takes what a first token draws to itself, and the doctor tells what it costs.
    """
    bos = tokenizer.bos_token_id
    return bos is not None and list(tokenizer("")["input_ids"])[:1] == [bos]


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a plain text, with one BOS where the tokenizer has one."""
    ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    bos = tokenizer.bos_token_id
    if bos is not None and (not ids or ids[0] != bos):
        ids.insert(0, bos)
    return ids


def plain_ids(ids: Any, n_ids: int, what: str) -> list[int]:
    """Return token ids as Python's own integers; InvalidInput for those of no token."""
    try:
        if isinstance(ids, str | bytes):
            raise TypeError
        plain = [operator.index(one) for one in ids]
    except TypeError as error:
        raise InvalidInput(f"{what}: expected a text or its token ids, got {ids!r:.80}.") from error
    if wrong := [one for one in plain if not 0 <= one < n_ids]:
        raise InvalidInput(f"{what}: expected token ids from 0 to {n_ids - 1}, got {wrong[0]}.")
    return plain


def several(texts: Any, what: str) -> list[Any]:
    """Return texts as a list; a single one, which would be read letter by letter, is refused."""
    if isinstance(texts, str | bytes):
        raise InvalidInput(f"{what}: expected a list of texts, got one text; give [text].")
    return list(texts)


def is_chat(tokenizer: Any) -> bool:
    """Whether the tokenizer carries a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def encode_prompt(
    tokenizer: Any,
    prompt: str | Sequence[Mapping[str, str]],
    *,
    system: str | None = None,
    template: Mapping[str, Any] | None = None,
) -> list[int]:
    """Return the ids of a user's message or, for chat models, of messages with a role and content.

    They go through the chat template if there is one, with the arguments of `template`.

    Raises
    ------
    InvalidInput
        For messages that the template refuses, and for a system message to a base model.
    """
    if not is_chat(tokenizer):
        if system is not None or not isinstance(prompt, str):
            raise InvalidInput("a base model has no chat template; expected a plain text prompt.")
        return encode_text(tokenizer, prompt)
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return encode_text(tokenizer, render_chat(tokenizer, messages, asks=True, template=template))


def render_chat(
    tokenizer: Any,
    messages: Sequence[Mapping[str, str]],
    *,
    asks: bool,
    template: Mapping[str, Any] | None = None,
) -> str:
    """Write messages as the chat template does; `asks` for what begins the model's answer.

    InvalidInput names the model and the roles where the template refuses them, by whatever error
    its author chose.
    """
    try:
        return tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=asks, **(template or {})
        )
    except Exception as error:
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise InvalidInput(
            f"the chat template of {tokenizer.name_or_path} refuses messages of {roles}: {error}"
        ) from error


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokens that no text is made of."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    flagged = {index for index, token in added.items() if getattr(token, "special", False)}
    return frozenset(flagged | set(tokenizer.all_special_ids))


def pad(
    sequences: Sequence[Sequence[int]],
    special: frozenset[int],
    *,
    side: Literal["right", "left"] = "right",
) -> TokenBatch:
    """Pad token sequences to the longest and mark which positions hold content."""
    rows = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
    ids = pad_sequence(rows, True, 0, side)
    mask = pad_sequence([torch.ones_like(row) for row in rows], True, 0, side)
    return TokenBatch(ids, mask, content_mask(ids, mask.bool(), special))


def content_mask(ids: Int[Tensor, "text position"], present: Mask, special: frozenset[int]) -> Mask:
    """Mark the content tokens of whole sequences."""
    listed = torch.tensor(sorted(special), dtype=ids.dtype, device=ids.device)
    return present & (present.cumsum(dim=1) > 1) & ~torch.isin(ids, listed)


def content_places(ids: Sequence[int], special: frozenset[int]) -> list[int]:
    """Return the places of the content tokens of one whole sequence."""
    return [place for place, token in enumerate(ids) if place > 0 and token not in special]


def n_common(first: Sequence[int], second: Sequence[int]) -> int:
    """Count the tokens with which both begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))
