"""Beginnings that texts share are read once: their keys and values serve every text.

Texts are grouped by a beginning of which nobody wants to see a token. Nothing is shared where the
saving is small, or where others' hooks must see each text whole.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from hooks.memory import WORTH_A_PASS
from hooks.models.backends import Backend, HuggingFaceBackend
from hooks.models.model import LanguageModel
from hooks.reading.side_by_side import keeps_state
from hooks.tokens.encoding import Encoder, n_common, pad
from hooks.tokens.positions import Rule, Spans, select

MIN_SHARED = 4
"""Beginnings shorter than this are not worth a pass of their own."""


@dataclass(frozen=True)
class TextGroup:
    """Texts that begin with the same `n_shared` tokens, none of which is wanted; 0: not shared."""

    texts: list[int]
    n_shared: int

    @property
    def n_saved(self) -> int:
        """Tokens that need not be read, less those that a pass of its own is worth."""
        return (len(self.texts) - 1) * self.n_shared - WORTH_A_PASS

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
    pairs = zip(common, itertools.pairwise(unseen[text] for text in order), strict=True)
    groups = _groups(order, [min(shared, *both) for shared, both in pairs])
    alone = sorted({*order}.difference(*(group.texts for group in groups)))
    return [*groups, *([TextGroup(alone, 0)] if alone else [])]


@dataclass
class _Run:
    """Neighbors in alphabetical order, from `start` on, that share a beginning."""

    n_shared: int
    start: int
    groups: list[TextGroup] = field(default_factory=list)
    """Those inside that share more."""

    def best(self, texts: Sequence[int]) -> list[TextGroup]:
        """Return the groups inside, or one of all `texts` but those that save more as they are."""
        kept = [it for it in self.groups if it.n_saved >= len(it.texts) * self.n_shared]
        elsewhere = {text for group in kept for text in group.texts}
        own = TextGroup([text for text in texts if text not in elsewhere], self.n_shared)
        return max(self.groups, [*kept, own], key=lambda groups: sum(it.n_saved for it in groups))


def _groups(order: Sequence[int], shared: Sequence[int]) -> list[TextGroup]:
    """Choose groups that save tokens, of texts in alphabetical order.

    `shared` are tokens that neighbors share. Runs are closed as the LCP intervals of Abouelhoda et
    al. 2004 (doi:10.1016/S1570-8667(03)00065-0): those inside first.
    """
    runs = [_Run(0, 0)]
    for end, common in enumerate([*shared, 0]):
        n_shared, start, groups = common if common >= MIN_SHARED else 0, end, []
        while runs[-1].n_shared > n_shared:
            run = runs.pop()
            start, groups = run.start, run.best(order[run.start : end + 1])
            if runs[-1].n_shared >= n_shared:
                runs[-1].groups += groups
        if runs[-1].n_shared < n_shared:
            runs.append(_Run(n_shared, start, groups))
    return runs[0].groups


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
