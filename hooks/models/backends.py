"""Two ways to reach `resid_post`, behind one small interface.

`resid_post[l]` is the output of decoder block `l`, counted from 0, before the final norm. Hooks are
told their layer: a bridge's hook points report other names than they were asked for. `hooked` and
`watched` leave nothing on the model.
"""

import contextlib
import copy
import functools
import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from hooks.errors import InvalidInput
from hooks.models.conventions import Conventions, find_conventions
from hooks.models.structure import Structure, find_structure, first_tensor
from hooks.models.unembedding import Unembedding
from hooks.models.watching import OnInputs, watching

ResidHook = Callable[[Tensor, int], Tensor | None]
"""(residual [batch position d_model], layer) -> None, or the residual to use instead."""
TokenIds = Int[Tensor, "text position"]
Edges = Bool[Tensor, "text query key"]
"""Which key a query must not see."""
_MASKED = ("eager", "sdpa")
"""Kinds of attention that take a mask of queries and keys."""


@runtime_checkable
class Backend(Protocol):
    """What the rest of `hooks` needs from a model's module tree."""

    n_layers: int
    d_model: int
    d_vocab: int
    point: str
    """Where `resid_post` of ``{layer}`` is read, in the words of the library that reads."""

    def hooked(self, functions: Mapping[int, ResidHook]) -> contextlib.AbstractContextManager[None]:
        """Call ``functions[l]`` on the residual stream after block `l` inside the context."""
        ...

    def watched(self, on_inputs: OnInputs) -> contextlib.AbstractContextManager[None]:
        """Call `on_inputs` with what goes into every forward pass, before it runs."""
        ...

    def blocking(
        self, layers: Sequence[int], edges: Callable[[], Edges]
    ) -> contextlib.AbstractContextManager[None]:
        """Keep tokens of every pass from attending as `edges` says, which may differ by pass."""
        ...

    def run(self, tokens: TokenIds, attention_mask: TokenIds, last_layer: int) -> None:
        """Run blocks 0 to `last_layer` and nothing after them."""
        ...

    def unembed(self, residual: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_vocab"]:
        """Do what the model does after its last block: float32 logits."""
        ...


def plain_layers(layers: Any) -> list[int]:
    """Return numbers of layers as Python's own; InvalidInput for what is no sequence of them."""
    try:
        return [operator.index(layer) for layer in layers]
    except TypeError as error:
        raise InvalidInput(
            f"layers: expected a list of whole numbers such as [12], got {layers!r}."
        ) from error


def check_layers(layers: Mapping[int, Any] | list[int], n_layers: int) -> None:
    """Refuse layers that the model does not have."""
    wrong = [layer for layer in layers if not 0 <= layer < n_layers]
    if wrong:
        raise InvalidInput(
            f"layer {wrong[0]} is out of range: expected one of the model's, 0 to {n_layers - 1}."
        )


class _Stop(Exception):
    """Raised by the last hook needed, to skip what nobody reads."""


def _stop(*_: Any) -> None:
    raise _Stop


def for_rows(beginning: DynamicCache, n_rows: int) -> DynamicCache:
    """Return a cache in which each of some rows begins alike; the given one stays as it is."""
    shared = copy.copy(beginning)
    layers: list[Any] = [copy.copy(layer) for layer in beginning.layers]
    for layer in layers:
        if layer.keys is not None:  # views: going on copies anyway
            layer.keys = layer.keys.expand(n_rows, -1, -1, -1)
            layer.values = layer.values.expand(n_rows, -1, -1, -1)
    shared.layers = layers
    return shared


def can_go_on(trunk: nn.Module, config: Any) -> bool:
    """Whether texts can go on from the keys and values of a beginning: nothing is recurrent."""
    layers = DynamicCache(config=config).layers
    kinds = (DynamicLayer, DynamicSlidingWindowLayer)
    takes_cache = "past_key_values" in inspect.signature(trunk.forward).parameters
    return takes_cache and all(type(layer) in kinds for layer in layers)


class HuggingFaceBackend:
    """Plain forward hooks on the decoder blocks of a Hugging Face causal language model."""

    def __init__(self, hf: Any) -> None:
        self.hf = hf
        self.structure = find_structure(hf)
        self.n_layers = len(self.structure.blocks)
        self.d_model = self.structure.d_model
        self.d_vocab = self.structure.logits.shape[-1]
        self._unembedding = Unembedding(hf, self.structure)
        blocks = next(n for n, m in hf.named_modules() if m is self.structure.blocks)
        self.point = f"{blocks}.{{layer}}, output"
        parameters = inspect.signature(self.structure.trunk.forward).parameters
        self._knows_positions = "position_ids" in parameters

    @functools.cached_property
    def conventions(self) -> Conventions:
        """How the model may be called, beyond texts padded on the right."""
        return find_conventions(self.hf, self.structure)

    @contextlib.contextmanager
    def hooked(self, functions: Mapping[int, ResidHook]) -> Iterator[None]:
        """See `Backend.hooked`."""
        check_layers(functions, self.n_layers)
        with contextlib.ExitStack() as stack:
            for layer, function in functions.items():
                hook = functools.partial(_after_block, self.structure, function, layer)
                stack.enter_context(self.structure.blocks[layer].register_forward_hook(hook))
            yield

    @contextlib.contextmanager
    def watched(self, on_inputs: OnInputs) -> Iterator[None]:
        """See `Backend.watched`."""
        _ = self.conventions  # tried before anything is changed
        trunk = self.structure.trunk
        with watching([m for m in self.hf.modules() if trunk in m.modules()], on_inputs):
            yield

    @contextlib.contextmanager
    def blocking(self, layers: Sequence[int], edges: Callable[[], Edges]) -> Iterator[None]:
        """See `Backend.blocking`; attention that takes no such mask is eager meanwhile."""
        kind = self.hf.config._attn_implementation
        if kind not in _MASKED:
            self.hf.set_attn_implementation("eager")
        try:
            with _blocking([self.structure.blocks[layer] for layer in layers], edges):
                yield
        finally:
            if kind not in _MASKED:
                self.hf.set_attn_implementation(kind)

    def run(
        self,
        tokens: TokenIds,
        attention_mask: Int[Tensor, "text whole"],
        last_layer: int,
        beginning: DynamicCache | None = None,
    ) -> None:
        """See `Backend.run`; after a `beginning` (`begin`) that the mask covers and rows share."""
        # Registered last, so it runs after the functions that read this block.
        stopped = self.structure.blocks[last_layer].register_forward_hook(_stop)
        device = self.hf.get_input_embeddings().weight.device
        inputs = {"input_ids": tokens, "attention_mask": attention_mask}
        plain = beginning is None and bool(attention_mask[:, 0].all())
        if not plain and self._knows_positions and self.conventions.takes_positions:
            # Learned positions would otherwise count the padding on the left.
            positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
            inputs["position_ids"] = positions[:, -tokens.shape[1] :]
        cached = {} if beginning is None else {"past_key_values": beginning}
        with stopped, contextlib.suppress(_Stop):
            self.structure.trunk(
                **{name: tensor.to(device) for name, tensor in inputs.items()},
                **cached,
                use_cache=beginning is not None,
            )

    @property
    def can_go_on(self) -> bool:
        """Whether texts can go on from the keys and values of a beginning: nothing is recurrent."""
        plain = can_go_on(self.structure.trunk, self.hf.config)
        return plain and self.conventions.why_no_cache is None

    def begin(self, tokens: Int[Tensor, "position"], last_layer: int) -> DynamicCache:
        """Read a beginning through blocks 0 to `last_layer`; return its keys and values."""
        cache = DynamicCache(config=self.hf.config)
        rows = rearrange(tokens, "position -> 1 position")
        self.run(rows, torch.ones_like(rows), last_layer, cache)
        return cache

    def unembed(self, residual: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_vocab"]:
        """See `Backend.unembed`."""
        return self._unembedding(residual)


@contextlib.contextmanager
def _blocking(blocks: Sequence[nn.Module], edges: Callable[[], Edges]) -> Iterator[None]:
    """Give blocks a narrower attention mask than the model does."""

    def narrow(block: nn.Module, inputs: Any, named: dict[str, Any]) -> Any:
        blocked = edges()
        if not blocked.any():
            return None
        own = getattr(block, "original_component", block)  # a bridge wraps the model's own block
        given = inspect.signature(type(own).forward).bind_partial(own, *inputs, **named)
        mask, residual = (
            given.arguments.get("attention_mask"),
            first_tensor(inputs or [*named.values()]),
        )
        given.arguments["attention_mask"] = _narrowed(mask, blocked, residual)
        return given.args[1:], given.kwargs

    with contextlib.ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block.register_forward_pre_hook(narrow, with_kwargs=True))
        yield


def _narrowed(
    mask: Tensor | None, blocked: Edges, residual: Float[Tensor, "text position d_model"]
) -> Tensor:
    """Take pairs out of a mask [text head query key]: of booleans, or of what scores get added."""
    blocked = rearrange(blocked.to(residual.device), "text query key -> text 1 query key")
    lowest = torch.finfo(residual.dtype).min
    if mask is None:  # causal attention of texts without padding
        seen = torch.ones_like(blocked).tril()
        mask = torch.zeros_like(seen, dtype=residual.dtype).masked_fill(~seen, lowest)
    if mask.ndim != 4:
        raise InvalidInput(
            f"expected an attention mask of queries and keys, got one of {mask.ndim} axes: this "
            "attention cannot be blocked token by token."
        )
    if mask.dtype == torch.bool:
        return mask & ~blocked
    return mask.masked_fill(blocked, lowest)


def _after_block(
    structure: Structure,
    function: ResidHook,
    layer: int,
    _module: nn.Module,
    _inputs: Any,
    output: Any,
) -> Any:
    replaced = function(structure.stream_of(output), layer)
    return None if replaced is None else structure.with_stream(output, replaced)


class TransformerLensBackend:
    """`TransformerBridge` of TransformerLens 4, or `HookedTransformer` of TransformerLens 3.9."""

    point = "blocks.{layer}.hook_resid_post"

    def __init__(self, hooked: Any) -> None:
        self.model = hooked
        self.n_layers = int(hooked.cfg.n_layers)
        self.d_model = int(hooked.cfg.d_model)
        self.d_vocab = int(hooked.W_U.shape[1])

    @contextlib.contextmanager
    def hooked(self, functions: Mapping[int, ResidHook]) -> Iterator[None]:
        """See `Backend.hooked`."""
        check_layers(functions, self.n_layers)
        points = [
            (self.point.format(layer=layer), functools.partial(_at_point, function, layer))
            for layer, function in functions.items()
        ]
        with self.model.hooks(fwd_hooks=points):
            yield

    @contextlib.contextmanager
    def watched(self, on_inputs: OnInputs) -> Iterator[None]:
        """See `Backend.watched`."""
        inner = getattr(self.model, "original_model", None)  # a HookedTransformer has none
        with watching([self.model, inner] if inner is not None else [self.model], on_inputs):
            yield

    @contextlib.contextmanager
    def blocking(self, layers: Sequence[int], edges: Callable[[], Edges]) -> Iterator[None]:
        """See `Backend.blocking`."""
        if getattr(self.model, "original_model", None) is not None:
            with _blocking([self.model.blocks[layer] for layer in layers], edges):
                yield
            return

        def narrow(scores: Tensor, hook: Any) -> Tensor | None:  # noqa: ARG001 - passed by name
            blocked = edges().to(scores.device)
            if not blocked.any():
                return None
            blocked = rearrange(blocked, "text query key -> text 1 query key")
            return scores.masked_fill(blocked, torch.finfo(scores.dtype).min)

        points = [(f"blocks.{layer}.attn.hook_attn_scores", narrow) for layer in layers]
        with self.model.hooks(fwd_hooks=points):
            yield

    def run(self, tokens: TokenIds, attention_mask: TokenIds, last_layer: int) -> None:
        """See `Backend.run`."""
        device = self.model.cfg.device
        # The bridge stops where a block begins: after the last one it would compute all logits.
        with self.model.unembed.register_forward_pre_hook(_stop), contextlib.suppress(_Stop):
            self.model(
                tokens.to(device),
                attention_mask=attention_mask.to(device),
                stop_at_layer=last_layer + 1,
                return_type=None,
            )

    def unembed(self, residual: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_vocab"]:
        """See `Backend.unembed`."""
        weight = self.model.W_U
        residual = residual.to(weight.device, weight.dtype)
        # HookedTransformer's modules expect a batch axis.
        logits = self.model.unembed(self.model.ln_final(residual[None]))[0].float()
        cap = getattr(self.model.cfg, "output_logits_soft_cap", None)
        return cap * torch.tanh(logits / cap) if cap and cap > 0 else logits


def _at_point(function: ResidHook, layer: int, residual: Tensor, hook: Any) -> Tensor | None:  # noqa: ARG001 - passed by name
    return function(residual, layer)
