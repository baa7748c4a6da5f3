"""What the page shows, without the page: scores of every token, turns, replies with and without.

1. A text, or a conversation as the model itself reads it, passes through the model once; every
   token is scored against every emotion at every layer that has vectors (cosine, centered).
2. Another emotion or layer costs nothing: the scores are there.
3. A reply is sampled twice from one seed, unsteered and steered.

Contract: knows models and vectors, no page. Readings and replies are kept, the last few
dozens of them; calls from several threads take turns.
"""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.text_positions import Speaker, tokens_in
from probes.geometry import unit
from probes.vectors import EmotionVectors

USER, ASSISTANT = "user", "assistant"
_LINES = {USER: "Person", ASSISTANT: "Assistant"}
"""Names of the speakers in a base model's dialogue."""


@dataclass(frozen=True)
class Turn:
    """What one speaker said."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Reading:
    """One text, read.

    Attributes
    ----------
    tokens
        Text of each token.
    turn
        Which turn each token belongs to; -1 for the marks between turns and for special tokens.
    scores
        Cosine of the centered residual with each emotion's vector,
        [layer position emotion], in -1..1.
    """

    tokens: list[str]
    turn: list[int]
    scores: Float[Tensor, "layer position emotion"]

    def of_turn(self, number: int, place: int) -> Float[Tensor, "emotion"]:
        """Mean over a turn's tokens at one place of the layer axis; NaN for a turn without one."""
        chosen = torch.tensor([turn == number for turn in self.turn], dtype=torch.bool)
        scores = self.scores[place][chosen]
        if not len(scores):
            return torch.full((self.scores.shape[2],), float("nan"))
        return reduce(scores, "position emotion -> emotion", "mean")


class Microscope:
    """A model and its emotion vectors, ready to read and to steer."""

    def __init__(self, model: LanguageModel, vectors: EmotionVectors) -> None:
        vectors.check_model(model)
        self.model = model
        self.vectors = vectors
        self._one_at_a_time = threading.Lock()
        self._read = lru_cache(maxsize=64)(self._read_ids)
        self._reply = lru_cache(maxsize=64)(self._sample)

    def read(self, text: str) -> Reading:
        """Read a plain text; its content is turn 0."""
        ids = tuple(self.model.encode(text))
        content = [0 if token not in self.model.special_ids else -1 for token in ids]
        return self._reading(ids, content)

    def read_conversation(self, turns: Sequence[Turn]) -> Reading:
        """Read a conversation: through the chat template, or as lines of a base model's dialogue.

        Raises
        ------
        InvalidInput
            When there is no turn.
        """
        if not turns:
            raise InvalidInput("expected at least one turn, got an empty conversation.")
        ids = tuple(self._conversation_ids(turns))
        owner = [-1] * len(ids)
        for speaker in dict.fromkeys(turn.speaker for turn in turns):
            name = speaker if self.model.is_chat else _LINES[speaker]
            inside = tokens_in(Speaker(name), self.model.tokenizer, ids)
            numbers = iter([i for i, turn in enumerate(turns) if turn.speaker == speaker])
            current, before = -1, False
            for position, here in enumerate(inside):
                if here and not before:
                    current = next(numbers, current)
                if here and ids[position] not in self.model.special_ids:
                    owner[position] = current
                before = here
        return self._reading(ids, owner)

    def _conversation_ids(self, turns: Sequence[Turn]) -> list[int]:
        if self.model.is_chat:
            messages = [{"role": turn.speaker, "content": turn.text} for turn in turns]
            if turns[-1].speaker == USER:
                return self.model.encode_prompt(messages)
            text = self.model.tokenizer.apply_chat_template(messages, tokenize=False)
            return self.model.tokenizer.encode(text, add_special_tokens=False)
        lines = [f"{_LINES[turn.speaker]}: {turn.text}" for turn in turns]
        if turns[-1].speaker == USER:
            lines.append(f"{_LINES[ASSISTANT]}:")
        return self.model.encode("\n".join(lines))

    def _reading(self, ids: tuple[int, ...], turn: list[int]) -> Reading:
        tokens, scores = self._read(ids)
        return Reading(tokens, turn, scores)

    def _read_ids(
        self, ids: tuple[int, ...]
    ) -> tuple[list[str], Float[Tensor, "layer position emotion"]]:
        with self._one_at_a_time:
            read = hooks.resid_post(self.model, ids, layers=self.vectors.layers)
        mean = rearrange(self.vectors.global_mean, "layer d_model -> layer 1 d_model")
        scores = einsum(
            unit(read.resid - mean),
            unit(self.vectors.vectors),
            "layer position d_model, layer emotion d_model -> layer position emotion",
        )
        return read.token_strings, scores

    def reply(
        self,
        prompt: str | Sequence[Turn],
        *,
        emotion: str | None = None,
        dose: float = 0.0,
        layer: int | None = None,
        max_new_tokens: int = 40,
        seed: int = 0,
    ) -> str:
        """Continue a text or answer a conversation, steered toward an emotion where one is named.

        Parameters
        ----------
        dose
            Fraction of the mean residual norm at `layer`.
        layer
            Layer of the model; None is the target layer.
        """
        if isinstance(prompt, str):
            ids = self.model.encode_prompt(prompt)
        else:
            ids = self._conversation_ids(prompt)
        chosen = self.vectors.provenance.target_layer if layer is None else layer
        steered = (emotion, dose, chosen) if emotion is not None and dose != 0 else None
        text = self._reply(tuple(ids), steered, max_new_tokens, seed)
        return text if self.model.is_chat else text.split(f"\n{_LINES[USER]}:")[0]

    def _sample(
        self,
        ids: tuple[int, ...],
        steered: tuple[str, float, int] | None,
        max_new_tokens: int,
        seed: int,
    ) -> str:
        sampling: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": 0.8,
            "top_k": 50,
            "seed": seed,
        }
        with self._one_at_a_time, contextlib.ExitStack() as steering:
            if steered is not None:
                emotion, dose, layer = steered
                place = self.vectors.layer_index(layer)
                steering.enter_context(
                    hooks.steer(
                        self.model,
                        self.vectors[emotion][place],
                        layers=[layer],
                        dose=dose,
                        residual_norm=float(self.vectors.residual_norm[place]),
                    )
                )
            return self.model.generate([list(ids)], **sampling)[0].text.strip()
