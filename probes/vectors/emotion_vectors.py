"""`EmotionVectors`: one direction per emotion and layer, and what they do with their model.

Contract: vectors are used with the model they were made from; another fingerprint is refused,
unless forced.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import (
    FromToken,
    InvalidInput,
    LanguageModel,
    StaleArtifact,
    Steering,
    pooled_resid_post,
    resid_post,
    steer,
)
from hooks.steering.directions import Operation
from hooks.steering.selection import Rule, Where
from probes.vectors.bundle import VectorBundle
from probes.vectors.watched import WatchedText, watching
from probes.vectors.zero import cosines


class EmotionVectors(VectorBundle):
    """Emotion vectors (`VectorBundle`), to score texts, to steer, to watch a model that writes."""

    def check_model(self, model: LanguageModel, *, force: bool = False) -> None:
        """Raise StaleArtifact for another model than these were made from, unless `force`."""
        if model.fingerprint != self.provenance.fingerprint and not force:
            raise StaleArtifact(
                f"these vectors were made from {self.provenance.model} "
                f"(fingerprint {self.provenance.fingerprint}), and the model is {model.name} "
                f"(fingerprint {model.fingerprint}). Load the same model, or pass force=True."
            )

    def score(
        self,
        model: LanguageModel,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        token_offset: int = 0,
        force: bool = False,
    ) -> Float[Tensor, "text emotion"]:
        """Cosine of each text's pooled, centered residual with each emotion's vector.

        Parameters
        ----------
        model
            The model the vectors were made from.
        texts
            Plain texts.
        layer
            Layer of the model; None is the run's target layer.
        token_offset
            Content tokens to skip; 0 since a user's text may be short.

        Returns
        -------
        Tensor
            In -1..1; NaN for a text with no token left.
        """
        self.check_model(model, force=force)
        chosen = self.provenance.target_layer if layer is None else layer
        self.layer_index(chosen)  # refused before anything is read
        pooled = pooled_resid_post(model, texts, FromToken(token_offset), layers=[chosen])
        return self.cosine(rearrange(pooled.mean, "text 1 d_model -> text d_model"), chosen)

    def nearest(
        self,
        model: LanguageModel,
        text: str,
        n: int = 5,
        *,
        layer: int | None = None,
        force: bool = False,
    ) -> list[tuple[str, float]]:
        """Name the `n` emotions that a text lies closest to, the closest first.

        Returns
        -------
        list of (emotion, score)
            The score is the cosine that `score` gives over all tokens, in -1..1.

        Raises
        ------
        InvalidInput
            When the text has no token, or `n` is below one.
        StaleArtifact
            For another model than the one the vectors were made from, unless `force`.
        """
        if n < 1:
            raise InvalidInput(f"n: expected at least one emotion, got {n}.")
        [scores] = self.score(model, [text], layer=layer, force=force)
        if bool(scores.isnan().any()):
            raise InvalidInput(f"text: expected one with a token to read, got {text!r}.")
        best = scores.topk(min(n, len(self.emotions)))
        names = [self.emotions[index] for index in best.indices.tolist()]
        return list(zip(names, best.values.tolist(), strict=True))

    @contextlib.contextmanager
    def steer(
        self,
        model: LanguageModel,
        emotion: str | Mapping[str, float],
        *,
        dose: float | None = None,
        layers: Sequence[int] | None = None,
        positions: Where | Rule = "all",
        operation: Operation = "add",
        force: bool = False,
    ) -> Iterator[dict[str, Steering]]:
        """Steer a model with these vectors while the context is open; see `hooks.steer`.

        ``with vectors.steer(model, "sad", dose=0.1): model.generate(...)``

        Parameters
        ----------
        emotion
            One emotion's name, or several with the dose of each: ``{"sad": 0.1, "calm": -0.05}``.
        dose
            Coefficient as a fraction of the mean residual norm at each steered layer; only of a
            single emotion, and not for ``"project"``.
        layers
            Layers of the model; None is the run's target layer alone.
        positions, operation
            As for `hooks.steer`.

        Yields
        ------
        dict of str to Steering
            By emotion: coefficients, and how many tokens were changed at each layer.

        Raises
        ------
        InvalidInput
            For an emotion or a layer without a vector, a dose beside a mapping, and whatever
            `hooks.steer` refuses.
        StaleArtifact
            For another model than the one the vectors were made from, unless `force`.
        """
        self.check_model(model, force=force)
        if isinstance(emotion, Mapping) and dose is not None:
            raise InvalidInput(
                f"dose: expected the doses in the mapping alone, got dose={dose} as well."
            )
        doses = emotion if isinstance(emotion, Mapping) else {emotion: dose}
        directions = {name: self.by_layer(name) for name in doses}
        with contextlib.ExitStack() as stack:
            yield {
                name: stack.enter_context(
                    steer(
                        model,
                        directions[name],
                        layers=[self.provenance.target_layer] if layers is None else layers,
                        dose=amount,
                        residual_norm=None if amount is None else self.norm_by_layer,
                        operation=operation,
                        positions=positions,
                    )
                )
                for name, amount in doses.items()
            }

    def monitor(
        self,
        model: LanguageModel,
        emotions: str | Sequence[str],
        *,
        layer: int | None = None,
        stop_when: Callable[[dict[str, float]], bool] | None = None,
        force: bool = False,
    ) -> contextlib.AbstractContextManager[list[WatchedText]]:
        """Score each token that `model.generate` writes inside the context, at no extra pass.

        ``with vectors.monitor(model, ["desperate", "calm"]) as seen: model.generate(...)``

        Parameters
        ----------
        emotions
            Which to score.
        layer
            Layer of the model; None is the run's target layer.
        stop_when
            Is given the newest token's score by emotion; where it returns True, that token is the
            last one of its text. `generate` returns what was written, with ``finished=False``; the
            other texts of the batch are written on, the same as without it.

        Yields
        ------
        list of WatchedText
            As `generate` returns its texts, and growing while they are written: `tokens`, and
            `scores` [token emotion], cosines as of `score_tokens`. They hold what steering entered
            before has pushed. The last token of a text has no score, for no pass reads it, unless
            `stop_when` ended the text with it.

        Raises
        ------
        InvalidInput
            For an emotion or a layer without a vector; when a text is to be ended that another
            library's generation writes.
        StaleArtifact
            For another model than the one the vectors were made from, unless `force`.
        """
        self.check_model(model, force=force)
        chosen = self.provenance.target_layer if layer is None else layer
        position = self.layer_index(chosen)
        names = [emotions] if isinstance(emotions, str) else list(emotions)
        if not names:
            raise InvalidInput("emotions: expected at least one to watch, got none.")
        rows = torch.stack([self[name][position] for name in names])

        def score(resid: Float[Tensor, "1 token d_model"]) -> Float[Tensor, "token emotion"]:
            return cosines(resid[0], self.global_mean[position], rows)

        def ends(text: WatchedText) -> bool:
            return stop_when is not None and bool(stop_when(text.newest))

        return watching(model, [chosen], names, score, ends)

    def score_tokens(
        self, model: LanguageModel, text: str, *, layer: int | None = None, force: bool = False
    ) -> tuple[list[str], Float[Tensor, "position emotion"]]:
        """Score one text token by token; returns the tokens and their cosines."""
        self.check_model(model, force=force)
        chosen = self.provenance.target_layer if layer is None else layer
        self.layer_index(chosen)
        read = resid_post(model, text, layers=[chosen])
        return read.token_strings, self.cosine(read.resid[0], chosen)
