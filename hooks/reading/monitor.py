"""Read each token's residual in the pass that computes it: while a model writes, at no other pass.

1. Before a pass: which of its tokens are new, and which prompt each row serves.
2. A hook at each layer keeps the residual as it leaves the layer.
3. After the last of these layers, `tell` gets each prompt's new tokens.

* Steering entered before `monitor` is in what is read; steering entered after it is not.
* A token is read in the pass after the one that drew it: the last one drawn never is.
* A text may be ended with the token that was just read: what was written so far is what
  `LanguageModel.generate` returns, not finished. The other texts of its batch go on as they would.
* It watches what `LanguageModel.generate` writes with, not the hook points of TransformerLens.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.backends import plain_layers
from hooks.models.model import LanguageModel
from hooks.models.phases import current_announcement, no_prefix_sharing, served_prompts
from hooks.models.watching import Inputs


@dataclass(frozen=True)
class NewTokens:
    """Tokens of one prompt that one pass computed."""

    prompt: int
    """Place of the prompt among those of the call."""
    ids: list[int]
    resid: Float[Tensor, "layer position d_model"]
    """Float32, on the CPU; layers in the order asked for."""
    drawn: bool
    """Whether the model drew them; else they are the prompt's own."""
    generating: bool
    """Whether a text is being written; else the prompt is only read."""


Tell = Callable[[NewTokens], bool | None]
"""Is told of new tokens; returns True to end the text with one that was drawn."""


@contextlib.contextmanager
def monitor(model: LanguageModel, layers: Sequence[int], tell: Tell) -> Iterator[None]:
    """Call `tell` with every token that is computed while the context is open.

    ``with monitor(model, [12], print): model.generate(...)``

    Parameters
    ----------
    layers
        Layers to read, 0-based.
    tell
        Called once per pass and prompt, within the pass. Where it returns True for a token that was
        drawn, that prompt's text ends with it; what it raises ends the whole generation.

    Raises
    ------
    InvalidInput
        Without a layer, or for one that the model does not have; where `tell` returns True and
        `LanguageModel.generate` is not writing a text.
    """
    chosen = plain_layers(layers)
    if not chosen:
        raise InvalidInput("monitor: expected at least one layer, got none.")
    passing: list[Inputs] = []
    kept: dict[int, Tensor] = {}

    def see(inputs: Inputs) -> None:
        passing[:] = [inputs]

    def keep(residual: Tensor, layer: int) -> None:
        kept[layer] = residual
        if layer == max(chosen):
            on_one_device = [kept[each].to(residual.device).float() for each in chosen]
            for row, new in _new_tokens(passing[0], torch.stack(on_one_device).cpu()):
                if tell(new):
                    _end(row)
            kept.clear()

    with (
        no_prefix_sharing(),
        model.bulk.watched(see),
        model.bulk.hooked(dict.fromkeys(chosen, keep)),
    ):
        yield


def _end(row: int) -> None:
    announced = current_announcement()
    if announced is None or announced.end is None:
        raise InvalidInput(
            "monitor: expected to end a text that model.generate is writing, got True for tokens "
            "of a prompt, or of another library's generation. Return it for drawn tokens alone "
            "(NewTokens.drawn), and write with model.generate."
        )
    announced.end(row)


def _new_tokens(
    inputs: Inputs, resid: Float[Tensor, "layer row position d_model"]
) -> Iterator[tuple[int, NewTokens]]:
    """Yield what is new of each row; nothing of padding and of texts that have ended."""
    announced, served = current_announcement(), served_prompts()
    histories = announced.histories() if announced and announced.histories else None
    n_drawn = inputs.ids.shape[1] - inputs.n_prompt
    drawn = n_drawn > 0 or (not inputs.generating and inputs.n_cached > 0)
    if announced is not None:
        drawn = announced.phase == "generated"
    elif inputs.ids.shape[1] > 1 and n_drawn:
        raise InvalidInput(
            f"monitor: expected passes over a prompt or over one token that was drawn, got one "
            f"over {n_drawn} of a library's generation, which proposes several at once or keeps no "
            "cache. Write with model.generate."
        )
    for row, present in enumerate(_present(inputs)):
        if histories is None or histories[row] is not None:
            prompt = row if served is None else served.prompts[row]
            ids = inputs.ids[row].cpu()[present].tolist()
            generating = inputs.generating or announced is not None
            yield row, NewTokens(prompt, ids, resid[:, row, present], drawn, generating)


def _present(inputs: Inputs) -> Bool[Tensor, "row position"]:
    """Tell the new tokens of a pass from its padding and, without a cache, from those before."""
    width = inputs.ids.shape[1]
    mask = torch.ones_like(inputs.ids) if inputs.mask is None else inputs.mask[:, -width:]
    present = mask.bool().cpu()
    if inputs.n_prompt < width:
        present[:, :-1] = False
    return present
