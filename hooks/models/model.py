"""`LanguageModel`: the one interface to a model, whichever backend reads it.

A model may hold two module trees over the same tensors: on `hf` generation and bulk reading run,
and through the hook points of `hooked` single texts are read.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput, ModelError
from hooks.generation.in_parts import write_in_parts
from hooks.generation.sampling import Generation, sample
from hooks.models.backends import Backend, HuggingFaceBackend, TransformerLensBackend
from hooks.models.conventions import Conventions
from hooks.models.fingerprint import fingerprint_of
from hooks.tokens import encoding

BackendName = Literal["transformerlens", "huggingface"]


class Booted(NamedTuple):
    """The `TransformerBridge` / `HookedTransformer`, or None; which backend that is, and why."""

    hooked: Any | None
    backend: BackendName
    reason: str


@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModel(encoding.Encoder):
    """A causal language model whose residual stream can be read and written; built by `hooks.load`.

    Attributes
    ----------
    hf
        The plain Hugging Face module; None for a `HookedTransformer` and for processed weights.
    boot
        Gives the tree of TransformerLens, once, when its hook points are first used.
    weight_processing
        ``"none"``, or what TransformerLens did to the weights (this changes the stream's basis).
    """

    name: str
    tokenizer: Any
    hf: Any | None
    boot: Callable[[], Booted]
    revision: str | None = None
    quantize: str | None = None
    weight_processing: str = "none"

    def __post_init__(self) -> None:
        if self.tokenizer is None:
            raise InvalidInput(
                f"{self.name}: expected a tokenizer; pass tokenizer=... to hooks.load."
            )
        if self.hf is None and self.hooked is None:
            raise InvalidInput(f"{self.name}: expected a Hugging Face or a TransformerLens model.")

    def __repr__(self) -> str:
        return (
            f"LanguageModel({self.name!r}, n_layers={self.n_layers}, d_model={self.d_model}, "
            f"dtype={self.dtype}, quantize={self.quantize!r})"
        )

    @functools.cached_property
    def _booted(self) -> Booted:
        return self.boot()

    @property
    def hooked(self) -> Any | None:
        """The `TransformerBridge` / `HookedTransformer`, or None."""
        return self._booted.hooked

    @property
    def backend(self) -> BackendName:
        """``"transformerlens"`` or ``"huggingface"``."""
        return self._booted.backend

    @property
    def backend_reason(self) -> str:
        """Why it is that backend."""
        return self._booted.reason

    @functools.cached_property
    def reader(self) -> Backend:
        """The backend's own hook points."""
        return self.bulk if self.hooked is None else TransformerLensBackend(self.hooked)

    @property
    def conventions(self) -> Conventions:
        """How the model may be called, as it was found out by trying."""
        bulk = self.bulk
        return bulk.conventions if isinstance(bulk, HuggingFaceBackend) else Conventions()

    @functools.cached_property
    def bulk(self) -> Backend:
        """The fastest tree over the same tensors."""
        return self.reader if self.hf is None else HuggingFaceBackend(self.hf)

    @property
    def n_layers(self) -> int:
        """Number of decoder blocks."""
        return self.bulk.n_layers

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:  # noqa: N802 - the field's name
        """The unembedding matrix."""
        if self.hf is not None:
            return self.hf.get_output_embeddings().weight.T
        return self._hooked.W_U

    @property
    def d_model(self) -> int:
        """Width of the residual stream, of several streams together (see `structure`)."""
        return self.bulk.d_model

    @property
    def d_vocab(self) -> int:
        """Number of the model's logits, which may leave out padding of the unembedding matrix."""
        return self.bulk.d_vocab

    @property
    def n_positions(self) -> int | None:
        """Longest sequence the model takes, where it says so."""
        if self.hf is not None:
            config = self.hf.config.get_text_config(decoder=True)
            return getattr(config, "max_position_embeddings", None)
        return int(self._hooked.cfg.n_ctx)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type the model computes in."""
        return self.hf.dtype if self.hf is not None else self._hooked.cfg.dtype

    @property
    def device(self) -> torch.device:
        """Device of the embedding; a sharded model's later blocks may be elsewhere."""
        if self.hf is not None:
            return self.hf.get_input_embeddings().weight.device
        return torch.device(self._hooked.cfg.device)

    @property
    def _hooked(self) -> Any:
        if self.hooked is None:
            raise ModelError(f"{self.name} has no TransformerLens model.")
        return self.hooked

    @property
    def is_chat(self) -> bool:
        """Whether prompts go through a chat template."""
        return encoding.is_chat(self.tokenizer)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that tell one set of weights from another."""
        return fingerprint_of(self.hf if self.hf is not None else self._hooked)

    def encode_prompt(
        self,
        prompt: str | Sequence[Mapping[str, str]],
        *,
        system: str | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Return the ids of a prompt, through the chat template if the model has one.

        `template` holds arguments of the template, such as ``{"enable_thinking": False}``.
        """
        return encoding.encode_prompt(self.tokenizer, prompt, system=system, template=template)

    def token_strings(self) -> list[str]:
        """Return the text of every token id of the unembedding, in order."""
        return list(self._token_strings)

    @functools.cached_property
    def _token_strings(self) -> list[str]:
        known = range(min(len(self.tokenizer), self.d_vocab))
        decoded = self.tokenizer.batch_decode([[index] for index in known])
        # Rows past the tokenizer's end are padding of the matrix.
        return decoded + [""] * (self.d_vocab - len(decoded))

    @torch.no_grad()
    def unembed(self, residual: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_vocab"]:
        """Turn residuals after the last block into the model's own logits, in float32."""
        flat = residual.reshape(-1, residual.shape[-1])
        return self.bulk.unembed(flat).reshape(*residual.shape[:-1], -1)

    @torch.no_grad()
    def direction_logits(
        self, vectors: Float[Tensor, "... d_model"]
    ) -> Float[Tensor, "... d_vocab"]:
        """Logit lens of directions: `unembed(vector) - unembed(0)`, free of biases."""
        return self.unembed(vectors) - self.unembed(torch.zeros(1, vectors.shape[-1]))[0]

    def generate(
        self,
        prompts: Sequence[str | Sequence[Mapping[str, str]] | Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | Sequence[int] = 0,
        system: str | None = None,
        suppress: Sequence[Collection[int]] | None = None,
        progress: Callable[[int], None] = lambda _tokens: None,
    ) -> list[Generation]:
        """Write a continuation of each prompt, in one batch, or in parts where memory runs out.

        Parameters
        ----------
        prompts
            Texts (through the chat template if the model has one), lists of messages, or token ids.
        max_new_tokens
            Limit per prompt; `Generation.finished` tells whether the model stopped by itself.
        temperature, top_p, top_k
            Sampling; temperature 0 is greedy, top_k 0 keeps the whole vocabulary.
        seed
            Decides every draw; global random state is neither read nor changed. A seed for each
            prompt makes its draws the same in any batch.
        system
            System message for chat models.
        suppress
            Token ids that must not be drawn, for each prompt.
        progress
            Called with how many tokens each step wrote.
        """
        if self.hf is None:
            raise ModelError(
                f"{self.name}: no plain Hugging Face model, which writes, is behind this "
                f"{type(self.hooked).__name__} (weight processing: {self.weight_processing}). "
                "Load the model by name, or use model.hooked.generate."
            )
        encoded = [
            self.encode_prompt(prompt, system=system)  # type: ignore[arg-type]
            if isinstance(prompt, str) or any(isinstance(part, Mapping) for part in prompt)
            else encoding.plain_ids(prompt, self.d_vocab, f"prompt {index}")
            for index, prompt in enumerate(encoding.several(prompts, "prompts"))
        ]
        longest = max(map(len, encoded), default=0)
        if self.n_positions is not None and longest + max_new_tokens > self.n_positions:
            raise InvalidInput(
                f"a prompt of {longest} tokens and {max_new_tokens} new ones: {self.name} has at "
                f"most {self.n_positions} positions; shorten the prompt or lower max_new_tokens."
            )
        write = functools.partial(
            sample,
            self.hf,
            self.tokenizer,
            encoded,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            suppress=suppress,
            progress=progress,
            conventions=self.conventions,
        )
        tokens_per_prompt = longest + max_new_tokens
        if self.conventions.pads_left:
            return write_in_parts(self, len(encoded), tokens_per_prompt, write)
        written: dict[int, Generation] = {}
        for length in {len(ids) for ids in encoded}:  # of one length they need no padding
            places = [place for place, ids in enumerate(encoded) if len(ids) == length]
            done = write_in_parts(
                self,
                len(places),
                tokens_per_prompt,
                lambda part, places=places: write([places[row] for row in part]),
            )
            written |= zip(places, done, strict=True)
        return [written[place] for place in range(len(encoded))]
