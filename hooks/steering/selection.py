"""Which tokens of the pass that runs now are to be changed.

Generation announces each pass as a prompt or as tokens just drawn. A library's own generation has
drawn what lies after its prompt, or proposes it: all of that is chosen alike, kept or not, and
again at each step where there is no cache. A pass of nobody adds tokens when it brings one token to
a cache. Padding is never selected, nor a row of a batch whose text has already ended.
"""

from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.model import LanguageModel
from hooks.models.phases import Announcement, Phase, current_announcement, generation_phase
from hooks.models.watching import Inputs
from hooks.tokens.encoding import content_mask
from hooks.tokens.positions import Positions
from hooks.tokens.text_positions import TextPositions, last_token_in, tokens_in

Where = Literal["all", "prompt", "generated", "last"]
"""``last`` is each prompt's last token, a special one where the chat template ends with one."""
Rule = Positions | TextPositions
Mask = Bool[Tensor, "text position"]


def check_positions(positions: Any) -> None:
    """Refuse what is neither a phase nor a rule."""
    known = isinstance(positions, Positions | TextPositions)
    if not (positions in get_args(Where) if isinstance(positions, str) else known):
        raise InvalidInput(
            f"positions: expected one of {', '.join(get_args(Where))}, or a rule such as "
            "hooks.Last(), hooks.Speaker('assistant') or hooks.TextSpan('some words'); got "
            f"{positions!r}."
        )


def waits_for_drawn(positions: Where | Rule) -> bool:
    """Whether tokens may be chosen only once some were drawn."""
    return positions == "generated" or (
        isinstance(positions, TextPositions) and positions.while_generating
    )


def select(model: LanguageModel, positions: Where | Rule, inputs: Inputs) -> Mask:
    """Return which tokens of this pass are chosen; InvalidInput where a rule matches nothing."""
    ids, width = inputs.ids, inputs.ids.shape[1]
    present = torch.ones_like(ids) if inputs.mask is None else inputs.mask
    here = present[:, -width:].bool()
    if inputs.n_prompt < width:
        return _with_drawn(model, positions, inputs, here)
    announced = current_announcement()
    adds = inputs.n_cached and width == 1 and not inputs.generating
    guessed: Phase = "generated" if adds else "prompt"
    phase = announced.phase if announced else guessed
    nothing = torch.zeros_like(here)
    if phase == "generated" and announced is not None and announced.histories is not None:
        ended = [history is None for history in announced.histories()]
        here = here & ~torch.tensor(ended, device=here.device)[:, None]
    if isinstance(positions, str) and positions != "last":
        return here if positions in ("all", phase) else nothing
    if phase == "generated":
        if isinstance(positions, TextPositions) and positions.while_generating:
            return here & _being_written(model, positions, announced, here)
        return nothing
    if inputs.n_cached:
        raise InvalidInput(
            f"steer: {positions} needs the whole prompt in one pass, and a part of it is cached."
        )
    if positions == "last":
        return here & (here.cumsum(dim=1) == here.sum(dim=1, keepdim=True))
    content = content_mask(ids, here, model.special_ids)
    if isinstance(positions, TextPositions):
        chosen = content & tokens_of_prompt(model, positions, ids, here)
        if positions.while_generating and announced is not None:
            return chosen
    else:
        chosen = positions.select(content)
    empty = (~chosen.any(dim=1)).nonzero()[:, 0].tolist()
    if empty:
        raise InvalidInput(f"steer: {positions} matches no content token of text {empty[0]}.")
    return chosen


def _with_drawn(model: LanguageModel, positions: Where | Rule, inputs: Inputs, here: Mask) -> Mask:
    """Choose among tokens of a library's generation: first the prompt's, then those drawn since."""
    drawn = torch.arange(here.shape[1], device=here.device) >= inputs.n_prompt
    if isinstance(positions, TextPositions) and positions.while_generating:
        if inputs.n_cached:
            return _being_written(model, positions, None, here)
        content = content_mask(inputs.ids, here, model.special_ids)
        return content & tokens_of_prompt(model, positions, inputs.ids, here)
    if positions in ("all", "generated"):
        return here if positions == "all" else here & drawn
    chosen = here & ~drawn
    if n_prompt := inputs.n_prompt:
        ids, mask = inputs.ids[:, :n_prompt], here[:, :n_prompt].long()
        of_prompt = Inputs(ids, mask, inputs.n_cached, n_prompt, generating=True)
        with generation_phase("prompt"):
            chosen[:, :n_prompt] = select(model, positions, of_prompt)
    return chosen


def tokens_of_prompt(model: LanguageModel, rule: TextPositions, ids: Tensor, here: Tensor) -> Mask:
    """Return which tokens of each prompt lie in a rule's stretches."""
    chosen = torch.zeros_like(here)
    for row, (text, present) in enumerate(zip(ids.tolist(), here.tolist(), strict=True)):
        places = [place for place, real in enumerate(present) if real]
        picked = tokens_in(rule, model.tokenizer, [text[place] for place in places])
        chosen[row, places] = torch.tensor(picked, device=chosen.device)
    return chosen


def _being_written(
    model: LanguageModel, rule: TextPositions, announced: Announcement | None, here: Tensor
) -> Tensor:
    if announced is None or announced.histories is None:
        raise InvalidInput(f"steer: {rule} needs the whole text so far. Write with model.generate.")
    picked = [
        history is not None and last_token_in(rule, model.tokenizer, history)
        for history in announced.histories()
    ]
    return torch.tensor(picked, device=here.device)[:, None].expand_as(here)
