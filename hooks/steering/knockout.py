"""Attention knock-out: keep some tokens from attending to others, and see what is lost.

What a token knows of an earlier one came along one of two ways: it looked there itself, or a token
between had looked and wrote down what it saw. Blocking the first leaves the second.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from hooks.errors import InvalidInput, ModelError
from hooks.models.backends import Backend, check_layers, plain_layers
from hooks.models.model import LanguageModel
from hooks.models.phases import served_prompts
from hooks.models.watching import Inputs
from hooks.steering.selection import tokens_of_prompt
from hooks.tokens.encoding import content_mask
from hooks.tokens.positions import Positions, select
from hooks.tokens.text_positions import TextPositions

Rule = Positions | TextPositions | Sequence[Positions | None]


@dataclass
class Knockout:
    """What a `block_attention` context did: pairs of tokens kept apart in a layer, and passes."""

    n_pairs: int = 0
    n_passes: int = 0


@contextlib.contextmanager
def block_attention(
    model: LanguageModel, *, queries: Rule, keys: Rule, layers: Sequence[int] | None = None
) -> Iterator[Knockout]:
    """Keep the tokens that `queries` picks from attending to those that `keys` picks.

    ``with block_attention(model, queries=TextSpan("the end"), keys=TextSpan("the start")): ...``

    Parameters
    ----------
    queries, keys
        A rule for all texts, or one for each in their order. A text's first token, which no rule
        picks, goes with the content token after it unless it is a special one. No token is kept
        from itself.
    layers
        Decoder blocks, 0-based, in which they are kept apart; None is all.

    Yields
    ------
    Knockout
        How many pairs of tokens were kept apart. Where a pass has none it is the model's own, bit
        for bit.

    Raises
    ------
    InvalidInput
        For a layer that the model does not have, and for a pass that goes on from cached tokens:
        read whole texts.
    ModelError
        Where blocking leaves a way from key to query (tried on three tokens): recurrent blocks,
        and attention that takes no mask.
    """
    chosen = list(range(model.n_layers)) if layers is None else plain_layers(layers)
    check_layers(chosen, model.n_layers)
    trees = {id(model.bulk): model.bulk, id(model.reader): model.reader}.values()
    for tree in trees:
        _check_blocks(model, tree)
    record, edges = Knockout(), [torch.zeros(1, 1, 1, dtype=torch.bool)]

    def see(inputs: Inputs) -> None:
        edges[0] = _edges(model, queries, keys, inputs)
        record.n_passes += 1
        record.n_pairs += int(edges[0].sum())

    with contextlib.ExitStack() as stack:
        for tree in trees:
            stack.enter_context(tree.watched(see))
            stack.enter_context(tree.blocking(chosen, lambda: edges[0]))
        yield record


def _edges(
    model: LanguageModel, queries: Rule, keys: Rule, inputs: Inputs
) -> Bool[Tensor, "text query key"]:
    """Return which earlier tokens each token must not see."""
    ids = inputs.ids
    if inputs.n_cached:
        raise InvalidInput(
            f"block_attention: expected whole texts, got a pass that goes on from "
            f"{inputs.n_cached} cached tokens; read texts (hooks.pooled_resid_post) instead of "
            "writing them."
        )
    here = torch.ones_like(ids).bool() if inputs.mask is None else inputs.mask.bool()
    asking, asked = (_chosen(model, rule, ids, here) for rule in (queries, keys))
    pairs = rearrange(asking, "text query -> text query 1") & rearrange(
        asked, "text key -> text 1 key"
    )
    return pairs.tril(diagonal=-1)


def _chosen(
    model: LanguageModel,
    rule: Rule,
    ids: Int[Tensor, "text position"],
    here: Bool[Tensor, "text position"],
) -> Bool[Tensor, "text position"]:
    content = content_mask(ids, here, model.special_ids)
    if isinstance(rule, TextPositions):
        return here & tokens_of_prompt(model, rule, ids, here)
    served = served_prompts()
    chosen = select(rule, content, range(len(ids)) if served is None else served.prompts)
    real = here & ~torch.isin(ids, ids.new_tensor(sorted(model.special_ids)))
    is_first = here & (here.cumsum(dim=1) == 1)
    # Without a special token before it, the first token is a word like the next.
    return chosen | (is_first & real & chosen.roll(-1, dims=1))


@torch.no_grad()
def _check_blocks(model: LanguageModel, tree: Backend) -> None:
    """Try whether a token that may not be seen by the next two changes nothing in them."""
    last, outputs = tree.n_layers - 1, []
    edges = torch.zeros(1, 3, 3, dtype=torch.bool)
    edges[:, 1:, 0] = True

    def read(first: int) -> None:
        ids = torch.tensor([[first, 2, 3]]) % model.d_vocab
        with (
            tree.blocking(list(range(tree.n_layers)), lambda: edges),
            tree.hooked({last: lambda residual, _layer: outputs.append(residual[:, 1:].clone())}),
        ):
            tree.run(ids, torch.ones_like(ids), last)

    try:
        read(0)
        read(1)
        seen = not torch.equal(*outputs)
    except Exception as error:  # a block of another kind may fail in any way
        raise _cannot_block(model) from error
    if seen:
        raise _cannot_block(model)


def _cannot_block(model: LanguageModel) -> ModelError:
    return ModelError(
        f"{model.name}: attention cannot be blocked: its blocks see earlier tokens in another way "
        "than by attention under a mask (recurrent blocks, convolutions)."
    )
