"""Same words: what a good or a bad past leaves on tokens that are the same after both.

32 events take a good or a bad turn, and four suffixes on things and place follow all of them. At
every token of a suffix and every layer the stream after the good turn, less that after the bad one,
is read along a valence axis that was learned without the emotions which the pair implies, and along
the vectors of these. No count of words, and no input embedding, can tell the two apart. Beside them
stand ratings dealt anew among the words, random directions, 12 events that take one of two neutral
turns, other names in the same text, and the same two events in either order. The closings of the
corpus, which follow 171 emotions, are read in `closings`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import SHARE, mean_over
from probes.analysis.resampling import permutation_p_value
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.pasts.axes import has_axis, limits_in_play, permuted_effects, ratings_of
from probes.experiments.pasts.closings import Carried, read_closings
from probes.experiments.pasts.figures import figures
from probes.experiments.pasts.pairs import (
    GOOD_BAD,
    NAMES,
    NEUTRAL,
    ORDER,
    PairReading,
    pairs_before,
)
from probes.experiments.pasts.reading import THOUSANDTHS
from probes.experiments.steering.controls import matched_random
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli.pasts import same_words
from probes.vectors.normalize import normalize

_NAME, _LABEL = "same-words", "Same words, other past"
_N_PERMUTATIONS = 1999


@dataclass(frozen=True, kw_only=True)
class LayerEffect:
    """Good less bad at one layer, in mean residual norms, and what nothing of it would give.

    95% of shuffled ratings give less than `null_upper`; `neutral` is how far two neutral turns lie
    apart.
    """

    layer: int
    effect: Estimate
    null_upper: float
    neutral: float


@dataclass(frozen=True)
class NullDraws:
    """What 95% of `n` draws lie below, and the share of them that reach the effect."""

    upper: float
    p: float
    n: int


@dataclass(frozen=True, kw_only=True)
class SameWordsResult(Result):
    """Effects in mean residual norms; `tokens` is [layer][token], the mean over pairs and suffixes.

    `unsigned` are mean distances of one pair that should not differ, neutral turns or other names;
    `nulls` say below what 95% of the means of as many such pairs with arbitrary signs lie, or of
    axes of shuffled ratings, or random directions, and how many reach the effect. `order` is the
    last event good less the last one bad, where both were told. `own` is how far the implied
    emotion rises above the others, `place` its place among the others of its side of valence.
    `begins` is the first layer from which on the effect beats shuffled ratings at every layer.
    """

    model: str
    layer: int
    layers: Sequence[int]
    n_suffixes: int
    n_tokens: Sequence[int]
    effects: Mapping[str, float]
    effect: Estimate
    unsigned: Mapping[str, Estimate]
    order: Estimate
    nulls: Mapping[str, NullDraws]
    by_layer: Sequence[LayerEffect]
    tokens: Sequence[Sequence[float]]
    begins: int | None
    own: Estimate | None
    place: Estimate | None
    carried: Carried | None
    axis_limits: Sequence[str] = ()

    @property
    def n_pairs(self) -> int:
        """How many events."""
        return len(self.effects)

    @property
    def n_positive(self) -> int:
        """How many lie on the pleasant side after the good turn."""
        return sum(effect > 0 for effect in self.effects.values())

    @property
    def worst(self) -> str:
        """The null that comes nearest to the effect."""
        return max(self.nulls, key=lambda name: (self.nulls[name].p, self.nulls[name].upper))

    def findings(self) -> list[Finding]:
        """Say what the past leaves on valence, on the own emotion, and on closings."""
        return [*self._valence(), *self._own_emotion(), *self._closings()]

    def _valence(self) -> list[Finding]:
        null = self.nulls[self.worst]
        control = Control(
            f"95% of {self.worst} at most",
            Estimate(THOUSANDTHS * null.upper),
            self.effect.less(null.upper).times(THOUSANDTHS),
        )
        shown = null.p < SIGNIFICANT and self.effect.above_zero
        begins = "nowhere for good" if self.begins is None else f"from layer {self.begins} on"
        return [
            Finding(
                _LABEL,
                self.effect.times(THOUSANDTHS),
                "shown" if shown else "not shown",
                spec="+.1f",
                unit="thousandths of the residual norm",
                n=f"{self.n_positive} of {self.n_pairs} pairs, {sum(self.n_tokens)} identical "
                "tokens",
                control=control,
                p=null.p,
                n_null=null.n,
                note=f"{begins}; of two events the last {THOUSANDTHS * self.order.value:+.1f}",
                rule="How much pleasanter the same words are read after an event that went well "
                "than after the same event gone badly. Called shown when the interval over events "
                "lies above zero and p < .05 against each of shuffled ratings, random directions, "
                "neutral turns and other names (the largest is given).",
                margins=[self.effect],
                headline=True,
                section=_NAME,
            )
        ]

    def _own_emotion(self) -> list[Finding]:
        if self.place is None or self.own is None:
            return []
        above = self.place.less(0.5)
        return [
            Finding(
                "Same words, the implied emotion among those of its side",
                self.place,
                "shown" if above.above_zero else "not shown",
                spec=".2f",
                unit="of the others lie below it",
                n=f"{self.n_pairs} pairs",
                control=Control("chance", Estimate(0.5), above),
                note=f"{THOUSANDTHS * self.own.value:+.1f} thousandths above all others",
                margins=[above],
                rule="Whether the emotion that the event implies rises more on the same words than "
                "other emotions of its side of valence do. Called shown when the interval over "
                "events lies above one half.",
            )
        ]

    def _closings(self) -> list[Finding]:
        return [] if self.carried is None else self.carried.findings()

    def paragraph(self) -> str:
        """Tell what was read and how it could have failed."""
        neutral, names, order = (
            THOUSANDTHS * it.value
            for it in (self.unsigned[NEUTRAL], self.unsigned[NAMES], self.order)
        )
        text = (
            f"{self.n_pairs} events were told with a good and with a bad turn, and "
            f"{self.n_suffixes} suffixes on things and place followed both. On these identical "
            f"tokens, at layer {self.layer}, the stream lies "
            f"{THOUSANDTHS * self.effect.value:+.1f} thousandths of its mean norm farther on the "
            f"pleasant side after the good turn ({self.n_positive} of {self.n_pairs} events), "
            "along an axis learned without the emotions in play. One pair of neutral turns lies "
            f"{neutral:.1f} apart, one of names {names:.1f}, in no direction. Where a good and a "
            f"bad event come before the same words, the last one counts {order:+.1f} more. "
        )
        if self.begins is None:
            text += "At no layer does it stay above what shuffled ratings give."
        else:
            text += f"From layer {self.begins} on it exceeds what shuffled ratings give."
        if self.place is not None:
            text += (
                " Of the other emotions of its side the implied one lies above "
                f"{self.place.value:.0%} (chance 50%)."
            )
        return text + ("" if self.carried is None else f" {self.carried.paragraph()}")

    def limits(self) -> Sequence[str]:
        """Say where the axis holds the emotions in play."""
        return self.axis_limits

    def figures(self) -> dict[str, Figure]:
        """Describe layer by token, and the curve over layers."""
        return figures(self)


def measure(materials: Materials) -> SameWordsResult | NotMeasured:
    """Read all pairs and the closings."""
    ratings = ratings_of(materials.emotions)
    if not has_axis(ratings):
        return NotMeasured(_LABEL, "needs five rated emotions, pleasant and unpleasant ones")
    stimuli, bundle = same_words(), materials.vectors
    n_texts = sum(2 * len(pairs_before(stimuli, n)) for n in range(len(stimuli.suffixes)))
    with materials.reporter.task(_NAME, n_texts, "texts") as advance:
        reading = PairReading(materials, stimuli, advance)
    layers, at = bundle.layers, bundle.layer_index(materials.layer)
    effects, neutral = reading.effects(GOOD_BAD), reading.effects(NEUTRAL).abs()
    names = reading.effects(NAMES)
    end, value, seed = reading.end.mean(dim=0), float(effects[:, at].mean()), materials.seed
    shuffled = permuted_effects(end, bundle.vectors, ratings, _N_PERMUTATIONS, seed)
    random = matched_random(materials, materials.config.validation.n_random, seed)
    n = len(effects)
    nulls = {
        "axes of shuffled ratings": shuffled[at],
        "random directions": einsum(end[at], normalize(random.float()), "d, draw d -> draw"),
        "means of as many neutral turns": _arbitrary_signs(
            reading.effects(NEUTRAL)[:, at], n, seed
        ),
        "means of as many other names": _arbitrary_signs(names[:, at], n, seed + 1),
    }
    rises, places = reading.own_emotions(at)
    return SameWordsResult(
        model=materials.index["model"],
        layer=materials.layer,
        layers=layers,
        n_suffixes=len(stimuli.suffixes),
        n_tokens=reading.n_tokens,
        effects=dict(zip([it.id for it in stimuli.pairs], effects[:, at].tolist(), strict=True)),
        effect=mean_over(effects[:, at]),
        unsigned={
            NEUTRAL: mean_over(neutral[:, at]),
            NAMES: mean_over(names[:, at].abs()),
        },
        order=mean_over(reading.effects(ORDER)[:, at]),
        nulls={name: _null(value, draws) for name, draws in nulls.items() if len(draws)},
        by_layer=[
            LayerEffect(
                layer=layer,
                effect=mean_over(effects[:, number]),
                null_upper=float(shuffled[number].quantile(0.95)),
                neutral=float(neutral[:, number].mean()),
            )
            for number, layer in enumerate(layers)
        ],
        tokens=reading.by_token().tolist(),
        begins=first_lasting(effects.mean(dim=0), shuffled, layers),
        own=mean_over(torch.tensor(rises)) if rises else None,
        place=mean_over(torch.tensor(places), within=SHARE) if places else None,
        carried=read_closings(materials),
        axis_limits=limits_in_play(
            _LABEL, materials.emotions, [it.implied for it in stimuli.pairs]
        ),
    )


def _null(value: float, draws: Float[Tensor, "draw"]) -> NullDraws:
    p = permutation_p_value(value, draws, "greater")
    return NullDraws(float(draws.double().quantile(0.95)), p, len(draws))


def _arbitrary_signs(
    differences: Float[Tensor, "pair"], n: int, seed: int
) -> Float[Tensor, "draw"]:
    """Return means of `n` pairs drawn again, each of which might have been turned around."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(differences), (_N_PERMUTATIONS, n), generator=generator)
    signs = 2 * torch.randint(2, drawn.shape, generator=generator) - 1
    return (differences[drawn] * signs).mean(dim=1)


def first_lasting(
    effect: Float[Tensor, "layer"], null: Float[Tensor, "layer draw"], layers: Sequence[int]
) -> int | None:
    """Return the first layer from which on the effect exceeds its null everywhere.

    In standard deviations of the null, above 95% of the largest that a draw has at any layer.
    """
    center, spread = null.mean(dim=1, keepdim=True), null.std(dim=1, keepdim=True)
    largest = ((null - center) / spread).amax(dim=0).quantile(0.95)
    above = ((rearrange(effect, "layer -> layer 1") - center) / spread)[:, 0] > largest
    lasting = above.flip(0).cumprod(0).flip(0)
    return layers[int(lasting.argmax())] if bool(lasting.any()) else None


EXPERIMENT = Experiment(SameWordsResult, measure)
