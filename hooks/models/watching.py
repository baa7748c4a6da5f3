"""What goes into a model, told before each forward pass: token ids, mask, what is cached already.

Which tokens a library's generation has drawn follows from the length of its prompt alone: it may
read the prompt in chunks, propose several tokens at once, or read the whole text at each step.

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
from hooks.models.phases import current_announcement


@dataclass(frozen=True)
class Inputs:
    """What one forward pass is given: ids [text position], mask, number of cached tokens.

    An id is -1 where the model was given an embedding instead. The first `n_prompt` of these tokens
    are the prompt's, the others were drawn, or are proposed and may be dropped; nobody knows of any
    outside of `generating`, a library's own generation. `begins`: a call's first pass.
    """

    ids: Int[Tensor, "text position"]
    mask: Int[Tensor, "text cached_and_position"] | None
    n_cached: int
    n_prompt: int
    generating: bool = False
    begins: bool = True


OnInputs = Callable[[Inputs], None]
_NAMES = ("input_ids", "inputs", "input")
"""What the libraries call the ids that a pass or a generation is given."""
_MARK = "tells_emotion_lens"


def is_watched(module: nn.Module) -> bool:
    """Whether somebody is told of what goes into a module."""
    return hasattr(vars(module).get("forward"), _MARK)


class _Watcher:
    def __init__(self, on_inputs: OnInputs) -> None:
        self.on_inputs = on_inputs
        self.inside = False
        self.generating = False
        self.prompt: Any = None
        """What the library's generation that runs now was given."""
        self.n_prompt: int | None = None
        """Tokens of that prompt, where they are known."""
        self.begins = True

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

        setattr(watched, _MARK, True)
        return watched

    def writing(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(generate)
        def watched(*inputs: Any, **named: Any) -> Any:
            before = self.generating, self.n_prompt, self.prompt
            self.generating, self.prompt = True, _given(inputs, named)
            self.n_prompt, self.begins = _length(self.prompt, named), True
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
        width = ids.shape[1]
        # Not all caches count, but the mask is as long as the text.
        n_cached = max(_cached(named), 0 if mask is None else mask.shape[1] - width)
        announced = current_announcement()
        if announced is not None and announced.n_prompt is not None:
            self.on_inputs(Inputs(ids, mask, 0, announced.n_prompt, begins=False))
            return
        if not self.generating:
            self.on_inputs(Inputs(ids, mask, n_cached, width, begins=not n_cached))
            return
        if self.n_prompt is None:
            self.n_prompt = n_cached + width
        n_prompt = min(max(self.n_prompt - n_cached, 0), width)
        begins, self.begins = self.begins, False
        self.on_inputs(Inputs(ids, mask, n_cached, n_prompt, generating=True, begins=begins))

    def embedded(self, embeddings: Float[Tensor, "text position d_model"]) -> Tensor:
        """Return the ids behind embeddings: those generation was given, then unknown ones."""
        shape = embeddings.shape[:2]
        if isinstance(self.prompt, Tensor) and self.prompt.shape == shape:
            return self.prompt.to(embeddings.device)
        return torch.full(shape, -1, device=embeddings.device)


def _given(inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    if inputs:
        return inputs[0]
    return next((named[name] for name in _NAMES if named.get(name) is not None), None)


def _length(prompt: Any, named: dict[str, Any]) -> int | None:
    """Count a prompt's tokens; a part that is cached may be missing, but not in the mask."""
    mask, embedded = named.get("attention_mask"), named.get("inputs_embeds")
    parts = [it for it in (prompt, mask, embedded) if isinstance(it, Tensor) and it.ndim > 1]
    return max((it.shape[1] for it in parts), default=None)


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


def _refusing(_start: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_inputs: Any, **_named: Any) -> Any:
        raise InvalidInput(
            "continuous batching mixes texts in one row: write with model.generate, or with "
            "model.hf.generate, while hooks choose tokens."
        )

    return refuse


@contextlib.contextmanager
def watching(modules: Sequence[nn.Module], on_inputs: OnInputs) -> Iterator[None]:
    """Call `on_inputs` before every pass of nested modules, for the outermost one called."""
    watcher = _Watcher(on_inputs)
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(_replaced(module, "forward", watcher.passing))
            if hasattr(module, "generate"):
                stack.enter_context(_replaced(module, "generate", watcher.writing))
            if hasattr(module, "init_continuous_batching"):
                stack.enter_context(_replaced(module, "init_continuous_batching", _refusing))
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
