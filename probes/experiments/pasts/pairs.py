"""What pairs of texts differ by on the words that both end in, along valence and each emotion.

Pairs are the good and the bad turn of an event; and, as controls, two neutral turns of one, two
names in the same text, and two events in either order.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.experiments.pasts.axes import axis_without, place_among, ratings_of, valence_axes
from probes.experiments.pasts.reading import Pair, differences, n_shared
from probes.runs.materials import Materials
from probes.stimuli.pasts import SameWords
from probes.vectors.normalize import normalize

GOOD_BAD, NEUTRAL, NAMES, ORDER = "good and bad", "neutral turns", "other names", "order"


class LabeledPair(NamedTuple):
    """A pair, of which kind it is, and which of its kind."""

    kind: str
    number: int
    pair: Pair


class PairReading:
    """All pairs after all suffixes, read at every layer that has vectors."""

    def __init__(
        self, materials: Materials, stimuli: SameWords, advance: Callable[[int], None]
    ) -> None:
        """Read everything; `advance` is told how many texts."""
        bundle, emotions = materials.vectors, materials.emotions
        self.stimuli, self._emotions, self._vectors = stimuli, emotions, bundle.vectors
        self._axis = valence_axes(self._vectors, ratings_of(emotions))
        self._axes = [axis_without(self._vectors, emotions, pair.implied) for pair in stimuli.pairs]
        self._effects: dict[tuple[str, int], list[Float[Tensor, "token layer"]]] = {}
        before = [pairs_before(stimuli, number) for number in range(len(stimuli.suffixes))]
        self.n_tokens: list[int] = [
            n_shared(materials.subject(), [text for it in labeled for text in it.pair], suffix)
            for labeled, suffix in zip(before, stimuli.suffixes, strict=True)
        ]
        counted = zip(before, self.n_tokens, strict=True)
        each = [(it, n) for labeled, n in counted for it in labeled]
        each.sort(key=lambda one: one[0].number)  # a past stands beside itself before other words
        pairs, n_tokens = [it.pair for it, _ in each], [n for _, n in each]
        read = differences(materials, pairs, n_tokens, bundle.layers, advance)
        ends: dict[int, list[Float[Tensor, "layer d_model"]]] = {}
        for (it, _), apart in zip(each, read, strict=True):
            self._add(it, apart)
            if it.kind == GOOD_BAD:
                ends.setdefault(it.number, []).append(apart.mean(dim=0))
        of_pairs = [torch.stack(of_pair).mean(dim=0) for of_pair in ends.values()]
        self.end: Float[Tensor, "pair layer d_model"] = torch.stack(of_pairs)
        """Good less bad, over tokens and suffixes."""

    def _add(self, it: LabeledPair, apart: Float[Tensor, "token layer d_model"]) -> None:
        axis = self._axes[it.number] if it.kind in (GOOD_BAD, ORDER) else self._axis
        effect = einsum(apart, axis, "token layer d, layer d -> token layer")
        self._effects.setdefault((it.kind, it.number), []).append(effect)

    def effects(self, kind: str) -> Float[Tensor, "pair layer"]:
        """Return what each pair of a kind differs by on the valence axis, in float64."""
        by_pair = [
            torch.stack([effect.double().mean(dim=0) for effect in effects]).mean(dim=0)
            for (its, _), effects in sorted(self._effects.items(), key=lambda item: item[0])
            if its == kind
        ]
        return torch.stack(by_pair)

    def by_token(self) -> Float[Tensor, "layer token"]:
        """Return good less bad at the tokens that all suffixes have, counted from the first."""
        n = min(self.n_tokens)
        every = [
            effect[:n]
            for (kind, _), effects in self._effects.items()
            if kind == GOOD_BAD
            for effect in effects
        ]
        return reduce(torch.stack(every), "text token layer -> layer token", "mean")

    def own_emotions(self, at: int) -> tuple[list[float], list[float]]:
        """Return how far implied emotions rise above others, and their places within their side.

        One number for each pair, of both turns, at position `at` of the layers; a turn whose
        emotions the run lacks is left out.
        """
        side = EmotionGroups.of(self._emotions).side
        unit = normalize(self._vectors[at])
        scores = einsum(self.end[:, at], unit, "pair d, emotion d -> pair emotion").double()
        rises, places = [], []
        for row, pair in zip(scores, self.stimuli.pairs, strict=True):
            of_turns = []
            for turn, sign in (("good", 1), ("bad", -1)):
                known = [name for name in pair.implies[turn] if name in self._emotions]
                own = [self._emotions.index(name) for name in known]
                among = (side == sign).nonzero()[:, 0].tolist()
                place = place_among(sign * row, own, among)
                if place is not None:
                    others = [number for number in range(len(row)) if number not in own]
                    rise = sign * float(row[own].mean() - row[others].mean())
                    of_turns.append((rise, place))
            if of_turns:
                rises.append(sum(rise for rise, _ in of_turns) / len(of_turns))
                places.append(sum(place for _, place in of_turns) / len(of_turns))
        return rises, places


def pairs_before(stimuli: SameWords, number: int) -> list[LabeledPair]:
    """Return what one suffix follows; other names and either order before one suffix each."""
    suffix, n = stimuli.suffixes[number], len(stimuli.suffixes)

    def ends(*prefixes: str) -> str:
        return " ".join([*prefixes, suffix])

    labeled = []
    for index, it in enumerate(stimuli.pairs):
        good, bad = (text.replace("{name}", it.names[0]) for text in (it.good, it.bad))
        labeled.append(LabeledPair(GOOD_BAD, index, Pair(ends(good), ends(bad))))
        if index % n != number:
            continue
        renamed = it.good.replace("{name}", it.names[1])
        labeled.append(LabeledPair(NAMES, index, Pair(ends(good), ends(renamed))))
        after = stimuli.pairs[(index + 1) % len(stimuli.pairs)]
        other = after.bad.replace("{name}", after.names[0])
        labeled.append(LabeledPair(ORDER, index, Pair(ends(other, good), ends(good, other))))
    for index, it in enumerate(stimuli.neutral):
        one, other = (text.replace("{name}", it.names[0]) for text in (it.one, it.other))
        labeled.append(LabeledPair(NEUTRAL, index, Pair(ends(one), ends(other))))
    return labeled
