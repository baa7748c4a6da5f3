"""What the page shows, without the page: scores of every token, turns, replies."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import LanguageModel
from hooks.reading.token_offsets import token_pieces
from hooks.tokens.encoding import content_places
from probes.texts.dialogue import Dialogue, Turn, first_turn_only, lay_out
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.normalize import normalize

Pushes = tuple[tuple[str, float], ...]
_TRIES = 4  # seeds, until a model that may answer nothing says a word


@dataclass(frozen=True)
class Reading:
    """One text: its tokens, their turns (-1: marks and special tokens), and their scores.

    `z` is how far a plain text as a whole lies above neutral text; None where that was not read,
    and for a conversation.
    """

    tokens: list[str]
    turn: list[int]
    scores: Float[Tensor, "layer position emotion"]
    z: Float[Tensor, "layer emotion"] | None = None

    def of_turn(self, number: int, place: int) -> Float[Tensor, "emotion"]:
        """Mean over a turn's tokens at one place of the layer axis; NaN for a turn without one."""
        chosen = torch.tensor([turn == number for turn in self.turn], dtype=torch.bool)
        return self.scores[place][chosen].mean(dim=0)


class Microscope:
    """A model and its emotion vectors, ready to read and to steer."""

    def __init__(self, model: LanguageModel, vectors: EmotionVectors) -> None:
        vectors.check_model(model)
        self.model, self.vectors = model, vectors
        self._one_at_a_time = threading.Lock()
        self._scores = lru_cache(maxsize=64)(self._scores_of)
        self._sampled = lru_cache(maxsize=64)(self._sample)

    def read(self, text: str) -> Reading:
        """Read a plain text; its content is turn 0."""
        return self._read(Dialogue(text, [(0, len(text))]), alone=True)

    def read_conversation(self, turns: Sequence[Turn]) -> Reading:
        """Read a conversation through the chat template, or as lines of a dialogue."""
        return self._read(lay_out(self.model.tokenizer, turns))

    def _read(self, dialogue: Dialogue, *, alone: bool = False) -> Reading:
        ids, pieces = token_pieces(self.model, dialogue.text)
        turn = [-1] * len(ids)
        for place in content_places(ids, self.model.special_ids):
            turn[place] = dialogue.turn_of(*pieces[place])
        tokens = [dialogue.text[start:stop] for start, stop in pieces]
        scores, z = self._scores(tuple(ids))
        return Reading(tokens, turn, scores, z if alone else None)

    def _scores_of(
        self, ids: tuple[int, ...]
    ) -> tuple[Float[Tensor, "layer position emotion"], Float[Tensor, "layer emotion"] | None]:
        with self._one_at_a_time:
            read = hooks.resid_post(self.model, ids, layers=self.vectors.layers)
        mean = rearrange(self.vectors.global_mean, "layer d_model -> layer 1 d_model")
        scores = einsum(
            normalize(read.resid - mean),
            normalize(self.vectors.vectors),
            "layer position d_model, layer emotion d_model -> layer position emotion",
        )
        return scores, self._z_of(ids, read.resid)

    def _z_of(
        self, ids: tuple[int, ...], resid: Float[Tensor, "layer position d_model"]
    ) -> Float[Tensor, "layer emotion"] | None:
        """Return a text's z at every layer, from its mean residual as neutral texts' were."""
        vectors = self.vectors
        if vectors.zero is None:
            return None
        content = content_places(ids, self.model.special_ids)
        means = resid[:, content].mean(dim=1, keepdim=True)  # NaN for a text without a token
        pairs = zip(vectors.layers, means, strict=True)
        return torch.cat([vectors.z(vectors.cosine(mean, layer), layer) for layer, mean in pairs])

    def combined_dose(self, doses: Mapping[str, float], layer: int) -> float:
        """Return the length of all pushes together, in mean residual norms of a layer."""
        return float(self._push(doses, layer).norm())

    def _push(self, doses: Mapping[str, float], layer: int) -> Float[Tensor, "d_model"]:
        """Sum of all pushes, in mean residual norms of a layer."""
        units = normalize(self.vectors.vectors[self.vectors.layer_index(layer)])
        weights = torch.tensor([doses.get(emotion, 0.0) for emotion in self.vectors.emotions])
        return einsum(weights, units, "emotion, emotion d_model -> d_model")

    def reply(
        self,
        prompt: str | Sequence[Turn],
        *,
        doses: Mapping[str, float] | None = None,
        layer: int | None = None,
        max_new_tokens: int = 40,
        seed: int = 0,
    ) -> str:
        """Continue a text or answer a conversation, steered toward emotions where some are given.

        `doses` are fractions of the mean residual norm at `layer` (None: the target layer). Returns
        one turn of a conversation; empty when no seed of a few brings a word.
        """
        chosen = self.vectors.provenance.target_layer if layer is None else layer
        pushes = tuple((emotion, dose) for emotion, dose in (doses or {}).items() if dose != 0)
        where = chosen if pushes else None  # without a push, every layer's reply is the same
        if isinstance(prompt, str):
            ids = tuple(self.model.encode_prompt(prompt))
            return self._sampled(ids, pushes, where, max_new_tokens, seed)
        ids = tuple(self.model.encode(lay_out(self.model.tokenizer, prompt, answering=True).text))
        for attempt in range(_TRIES):
            reply = self._sampled(ids, pushes, where, max_new_tokens, seed + attempt)
            if turn := reply if self.model.is_chat else first_turn_only(reply):
                return turn
        return ""

    def _sample(
        self, ids: tuple[int, ...], pushes: Pushes, layer: int | None, length: int, seed: int
    ) -> str:
        steering = contextlib.nullcontext()
        if layer is not None:
            push = self._push(dict(pushes), layer)
            norm = self.vectors.norm_by_layer[layer]
            steering = hooks.steer(
                self.model, push, layers=[layer], dose=float(push.norm()), residual_norm=norm
            )
        with self._one_at_a_time, steering:
            [written] = self.model.generate(
                [list(ids)], max_new_tokens=length, temperature=0.8, top_k=50, seed=seed
            )
        return written.text.strip()
