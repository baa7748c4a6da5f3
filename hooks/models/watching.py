"""What goes into a model, told before each forward pass: token ids, mask, what is cached already.

Models are nested, and what is inside may get embeddings instead of ids: of the watched modules the
outermost that is called tells. Modules get a `forward` of their own instead of a hook: a library's
generation goes around hooks, and an interrupt around the hook that would tell that a pass is over.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hooks.errors import InvalidInput


@dataclass(frozen=True)
class Inputs:
    """What one forward pass is given: ids [text position], mask, number of cached tokens.

    An id is -1 where the model was given an embedding instead. `n_prompt` of these tokens are the
    prompt (the others were drawn, and are read again); `generating` is a library's own generation.
    """

    ids: Int[Tensor, "text position"]
    mask: Int[Tensor, "text cached_and_position"] | None
    n_cached: int
    n_prompt: int
    generating: bool = False


OnInputs = Callable[[Inputs], None]


class _Watcher:
    def __init__(self, on_inputs: OnInputs) -> None:
        self.on_inputs = on_inputs
        self.inside = False
        self.generating = False
        self.prompt: Any = None
        """What the library's generation that runs now was given."""
        self.n_prompt: int | None = None
        """Tokens of that prompt, once its first pass has read it."""

    def passing(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        places = _places(forward)

        @functools.wraps(forward)
        def watched(*inputs: Any, **named: Any) -> Any:
            if self.inside:
                return forward(*inputs, **named)
            self.inside = True
            try:
                self.report(_given(inputs, named), _by_name(places, inputs, named))
                return forward(*inputs, **named)
            finally:
                self.inside = False

        return watched

    def writing(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(generate)
        def watched(*inputs: Any, **named: Any) -> Any:
            before = self.generating, self.n_prompt, self.prompt
            self.generating, self.n_prompt, self.prompt = True, None, _given(inputs, named)
            try:
                return generate(*inputs, **named)
            finally:
                self.generating, self.n_prompt, self.prompt = before

        return watched

    def report(self, ids: Any, named: dict[str, Any]) -> None:
        if self.generating and isinstance(ids, Tensor) and ids.is_floating_point():
            ids = self.embedded(ids)
        if not isinstance(ids, Tensor):
            raise InvalidInput(
                f"expected token ids, got {type(ids).__name__}: give the model ids, not text or "
                "embeddings, while hooks choose tokens."
            )
        mask = named.get("attention_mask")
        if mask is not None and not (isinstance(mask, Tensor) and mask.ndim == 2):
            raise InvalidInput(
                "expected an attention mask of one number per token, got "
                f"{tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__}: while "
                "hooks choose tokens, leave the cache to its default (a static one brings masks)."
            )
        width, n_cached = ids.shape[1], _cached(named)
        if self.generating and self.n_prompt is None:
            self.n_prompt = width
        # Without a cache generation reads the whole text anew at each step.
        again = self.generating and not n_cached
        n_prompt = self.n_prompt if again and self.n_prompt is not None else width
        self.on_inputs(Inputs(ids, mask, n_cached, n_prompt, self.generating))

    def embedded(self, embeddings: Float[Tensor, "text position d_model"]) -> Tensor:
        """Return the ids behind embeddings: those generation was given, then unknown ones."""
        shape = embeddings.shape[:2]
        if isinstance(self.prompt, Tensor) and self.prompt.shape == shape:
            return self.prompt.to(embeddings.device)
        return torch.full(shape, -1, device=embeddings.device)


def _given(inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return inputs[0] if inputs else named.get("input_ids", named.get("input"))


def _places(forward: Callable[..., Any]) -> list[str]:
    """Names of the parameters that can be given by place, in order; none where nobody knows."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return []
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in by_place]


def _by_name(
    places: Sequence[str], inputs: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """Return all arguments of a call by name; only the first, the ids, may have none."""
    if len(inputs) > max(1, len(places)):
        raise InvalidInput(
            f"expected at most {max(1, len(places))} arguments without a name, got {len(inputs)}: "
            "give the model attention_mask and past_key_values by name while hooks choose tokens."
        )
    return {**dict(zip(places, inputs, strict=False)), **named}


@contextlib.contextmanager
def watching(modules: Sequence[nn.Module], on_inputs: OnInputs) -> Iterator[None]:
    """Call `on_inputs` before every pass of nested modules, for the outermost one called."""
    watcher = _Watcher(on_inputs)
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(_replaced(module, "forward", watcher.passing))
            if hasattr(module, "generate"):
                stack.enter_context(_replaced(module, "generate", watcher.writing))
        yield


@contextlib.contextmanager
def _replaced(
    module: nn.Module, name: str, made: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Wrap a method of one module, without touching its class."""
    own = vars(module).get(name)
    setattr(module, name, made(getattr(module, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(module, name)
        else:
            setattr(module, name, own)


def _cached(named: dict[str, Any]) -> int:
    """Count the tokens before those of this pass, whichever library's cache holds them."""
    cache = named.get("past_key_values")
    if cache is not None and hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length())
    entries = named.get("past_kv_cache")  # HookedTransformer
    return int(entries[0].past_keys.shape[1]) if entries is not None else 0
