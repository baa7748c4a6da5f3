"""What the page shows, without the page: scores of every token, turns, replies."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import LanguageModel
from hooks.reading.token_offsets import token_pieces
from hooks.tokens.encoding import content_places
from probes.texts.app.reading import Reading
from probes.texts.dialogue import Dialogue, Turn, first_turn_only, lay_out
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.normalize import normalize
from probes.vectors.watched import WatchedText, watching

Pushes = tuple[tuple[str, float], ...]
Watch = Callable[[Reading], object]
"""Is told what has been written so far, in the thread that writes."""
_KEPT = 64  # texts read, and replies, that another look finds again
_TRIES = 4  # seeds, until a model that may answer nothing says a word


class Microscope:
    """A model and its emotion vectors, ready to read and to steer."""

    def __init__(self, model: LanguageModel, vectors: EmotionVectors) -> None:
        vectors.check_model(model)
        self.model, self.vectors = model, vectors
        self._units = normalize(vectors.vectors)
        self._one_at_a_time = threading.Lock()
        self._scores = lru_cache(maxsize=_KEPT)(self._scores_of)
        self._replies: dict[tuple[object, ...], Reading] = {}

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
            read = hooks.resid_post(self.model, ids, layers=self.vectors.layers, through="bulk")
        return self._cosines(read.resid), self._z_of(ids, read.resid)

    def _cosines(
        self, resid: Float[Tensor, "layer position d_model"]
    ) -> Float[Tensor, "layer position emotion"]:
        mean = rearrange(self.vectors.global_mean, "layer d_model -> layer 1 d_model")
        return einsum(
            normalize(resid - mean),
            self._units,
            "layer position d_model, layer emotion d_model -> layer position emotion",
        )

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
        units = self._units[self.vectors.layer_index(layer)]
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
        watch: Watch = lambda _written: None,
    ) -> Reading:
        """Continue a text or answer a conversation, steered toward emotions where some are given.

        `doses` are fractions of the mean residual norm at `layer` (None: the target layer). Scores
        are of the passes that wrote, with what was pushed in them; `watch` sees them come. Of a
        conversation one turn is returned; empty when no seed of a few brings a word.
        """
        chosen = self.vectors.provenance.target_layer if layer is None else layer
        pushes = tuple((emotion, dose) for emotion, dose in (doses or {}).items() if dose != 0)
        where = chosen if pushes else None  # without a push, every layer's reply is the same
        if isinstance(prompt, str):
            ids = tuple(self.model.encode_prompt(prompt))
            return self._written(ids, pushes, where, max_new_tokens, seed, watch)
        ids = tuple(self.model.encode(lay_out(self.model.tokenizer, prompt, answering=True).text))

        def own(reply: Reading) -> Reading:
            return reply if self.model.is_chat else reply.cut(first_turn_only(reply.text))

        def one_turn(seed: int) -> Reading:
            def see(part: Reading) -> None:
                watch(own(part))

            return own(self._written(ids, pushes, where, max_new_tokens, seed, see))

        turn = one_turn(seed)
        for another in range(seed + 1, seed + _TRIES):
            turn = turn if turn.text else one_turn(another)
        return turn

    def _written(
        self,
        ids: tuple[int, ...],
        pushes: Pushes,
        layer: int | None,
        length: int,
        seed: int,
        watch: Watch,
    ) -> Reading:
        key = (ids, pushes, layer, length, seed)
        if key not in self._replies:
            self._replies[key] = self._write(
                ids, self._steering(pushes, layer), length, seed, watch
            )
            if len(self._replies) > _KEPT:
                del self._replies[next(iter(self._replies))]
        return self._replies[key]

    def _steering(
        self, pushes: Pushes, layer: int | None
    ) -> contextlib.AbstractContextManager[object]:
        if layer is None:
            return contextlib.nullcontext()
        push, norm = self._push(dict(pushes), layer), self.vectors.norm_by_layer[layer]
        return hooks.steer(
            self.model, push, layers=[layer], dose=float(push.norm()), residual_norm=norm
        )

    def _write(
        self,
        ids: tuple[int, ...],
        steering: contextlib.AbstractContextManager[object],
        length: int,
        seed: int,
        watch: Watch,
    ) -> Reading:
        layers, emotions = self.vectors.layers, self.vectors.emotions

        def heard(text: WatchedText) -> None:
            watch(Reading.of_written(text))

        with (
            self._one_at_a_time,
            steering,
            watching(self.model, layers, emotions, self._cosines, heard) as seen,
        ):
            [written] = self.model.generate(
                [list(ids)], max_new_tokens=length, temperature=0.8, top_k=50, seed=seed
            )
        whole = Reading.of_written(seen[0], written.text)
        return whole.cut(whole.text.strip())
