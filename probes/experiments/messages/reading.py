"""Put a message to a model, and read an emotion at the last token, where the reply would begin.

A chat model gets the message through its template, a base model as plain text, or as a Person's
line before the Assistant's (`answering`). What is subtracted before the cosine is the caller's
choice.
"""

from collections.abc import Callable, Sequence

from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel
from hooks.generation.last_token import at_end
from probes.vectors.normalize import normalize

N_PERMUTATIONS = 2000
"""Behind every p-value over messages: they cost nothing."""


def read_messages(
    model: LanguageModel,
    messages: Sequence[str],
    layer: int,
    progress: Callable[[int], None] = lambda _count: None,
    *,
    answering: bool = False,
) -> Float[Tensor, "message d_model"]:
    """Residual stream at the last token of each message, as the model is given it.

    `answering` lets a base model begin an answer, as a chat model does by its template.
    """
    encode = answer_prompt if answering else LanguageModel.encode_prompt
    prompts = [encode(model, message) for message in messages]
    residual = at_end(model, prompts, [layer], progress=progress)
    return rearrange(residual, "message 1 d_model -> message d_model")


def answer_prompt(model: LanguageModel, message: str) -> list[int]:
    """Return the ids of a message after which an answer begins, also of a base model."""
    return model.encode_prompt(message if model.is_chat else answer_begun(message))


def answer_begun(message: str) -> str:
    """Write a message as a Person's line before the Assistant's, which begins."""
    return f"Person: {message}\nAssistant:"


def where_read(model: LanguageModel, *, answering: bool = False) -> str:
    """Say where `read_messages` reads."""
    if answering and not model.is_chat:
        return 'at the colon after "Assistant" (a base model)'
    where = "before the reply" if model.is_chat else "of the text (a base model)"
    return f"at the last token {where}"


def cosines(
    residual: Float[Tensor, "message d_model"], vectors: Float[Tensor, "emotion d_model"]
) -> Float[Tensor, "message emotion"]:
    """Cosine of every residual with every vector, in float64."""
    residual, vectors = normalize(residual.double()), normalize(vectors.double())
    return einsum(residual, vectors, "message d_model, emotion d_model -> message emotion")
