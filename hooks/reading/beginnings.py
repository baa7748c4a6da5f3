"""Beginnings that texts share are read once: their keys and values serve every text.

Texts are grouped by a beginning of which nobody wants to see a token. Nothing is shared where the
saving is small, or where others' hooks must see each text whole.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hooks.memory import WORTH_A_PASS
from hooks.models.backends import Backend, HuggingFaceBackend
from hooks.models.model import LanguageModel
from hooks.reading.side_by_side import keeps_state
from hooks.tokens.encoding import Encoder, n_common, pad
from hooks.tokens.positions import Rule, Spans, select

MIN_SHARED = 16
"""Beginnings shorter than this are not worth a pass of their own."""


@dataclass(frozen=True)
class TextGroup:
    """Texts that begin with the same `n_shared` tokens, none of which is wanted; 0: not shared."""

    texts: list[int]
    n_shared: int

    def n_tokens(self, encoded: Sequence[Sequence[int]]) -> int:
        """Count the tokens that go through a model, of all texts' ids."""
        return self.n_shared + sum(len(encoded[text]) - self.n_shared for text in self.texts)


def group_texts(
    model: LanguageModel,
    tree: Backend,
    encoded: Sequence[Sequence[int]],
    wanted: Sequence[Rule],
) -> list[TextGroup]:
    """Group texts as `by_beginning`, where the model can go on from a beginning."""
    groups = by_beginning(model, encoded, wanted)
    if not any(group.n_shared for group in groups) or _can_share(tree):
        return groups
    return [TextGroup(list(range(len(encoded))), 0)]


def by_beginning(
    model: Encoder, encoded: Sequence[Sequence[int]], wanted: Sequence[Rule]
) -> list[TextGroup]:
    """Group texts by the beginning that they share before the first token that any rule wants."""
    everything = [TextGroup(list(range(len(encoded))), 0)]
    if any(isinstance(rule, Spans) for rule in wanted):  # which go by place in a pass
        return everything
    order = sorted(range(len(encoded)), key=lambda text: tuple(encoded[text]))
    common = [n_common(encoded[a], encoded[b]) for a, b in itertools.pairwise(order)]
    if max(common, default=0) < MIN_SHARED:
        return everything
    unseen = [_n_unwanted(model, ids, wanted, text) for text, ids in enumerate(encoded)]
    groups: list[TextGroup] = []
    alone: list[int] = []
    for group in _runs(order, common, unseen):
        saved = (len(group.texts) - 1) * group.n_shared
        if group.n_shared >= MIN_SHARED and saved >= WORTH_A_PASS:
            groups.append(group)
        else:
            alone += group.texts
    return [*groups, *([TextGroup(sorted(alone), 0)] if alone else [])]


def _runs(order: Sequence[int], common: Sequence[int], unseen: Sequence[int]) -> list[TextGroup]:
    """Cut texts in alphabetical order wherever the next shares too little with the run."""
    runs = [TextGroup([order[0]], unseen[order[0]])]
    for shared, text in zip(common, order[1:], strict=True):
        n_shared = min(runs[-1].n_shared, shared, unseen[text])
        if n_shared >= MIN_SHARED:
            runs[-1] = TextGroup([*runs[-1].texts, text], n_shared)
        else:
            runs.append(TextGroup([text], unseen[text]))
    return runs


def _n_unwanted(model: Encoder, ids: Sequence[int], wanted: Sequence[Rule], text: int) -> int:
    """Count the tokens before the first that is wanted; the last of a text is always read."""
    content = pad([ids], model.special_ids).content
    chosen = [select(rule, content, [text])[0].nonzero()[:, 0].tolist() for rule in wanted]
    return min([len(ids) - 1, *(places[0] for places in chosen if places)])


def _can_share(tree: Backend) -> bool:
    return (
        isinstance(tree, HuggingFaceBackend)
        and tree.can_go_on
        and not any(map(keeps_state, tree.hf.modules()))
    )
