"""Binding: whether a neutral mention of one of two people carries that one's fate.

24 scenes tell of two people with opposite fates and then mention one of them. Either has either
fate, either fate is told last, and either is mentioned: eight texts, in which the words after the
name are the same. What these words differ by is set down to three causes that are crossed:

* binding: the lucky one is mentioned, less the unlucky one;
* recency: the lucky fate is told last, less the unlucky one, whoever is mentioned;
* names: one name is mentioned, less the other, whatever its fate.

Texts with the same name at the end hold the same words, so no count of them can tell whose fate it
was. Read along a valence axis learned without the emotions in play, and along these emotions'
vectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.pasts.axes import (
    axis_without,
    has_axis,
    limits_in_play,
    permuted_effects,
    ratings_of,
)
from probes.experiments.pasts.crossed import (
    N_PERMUTATIONS,
    SHAPE,
    Effects,
    OwnEmotion,
    own_emotion,
    versions,
)
from probes.experiments.pasts.figures import curves_over_layers, estimates_line
from probes.experiments.pasts.reading import THOUSANDTHS, mean_ends, n_shared
from probes.experiments.steering.controls import matched_random
from probes.figures import Figure
from probes.figures.description import Line
from probes.runs.materials import Materials
from probes.stimuli.pasts import binding_scenes
from probes.vectors.normalize import normalize

_NAME, _LABEL = "binding", "Binding"


@dataclass(frozen=True, kw_only=True)
class BindingLayer:
    """Effects at one layer; 95% of shuffled ratings give a binding below `null_upper`."""

    layer: int
    binding: Estimate
    recency: Estimate
    null_upper: float


@dataclass(frozen=True, kw_only=True)
class BindingResult(Result):
    """Effects along valence, in mean residual norms; `effects` are scenes' binding.

    `names` is unsigned: the mean distance of two names in the same text.
    """

    model: str
    layer: int
    n_tokens: int
    effects: Mapping[str, float]
    binding: Estimate
    recency: Estimate
    over_recency: Estimate
    names: Estimate
    p_shuffled: float
    n_shuffled: int
    p_random: float | None
    n_random: int
    by_layer: Sequence[BindingLayer]
    emotion: OwnEmotion | None
    axis_limits: Sequence[str] = ()

    @property
    def n_scenes(self) -> int:
        """How many scenes."""
        return len(self.effects)

    @property
    def n_positive(self) -> int:
        """How many are read pleasanter where the lucky one is mentioned."""
        return sum(effect > 0 for effect in self.effects.values())

    @property
    def p(self) -> float:
        """The larger of both p-values."""
        return max(self.p_shuffled, self.p_random or 0.0)

    def findings(self) -> list[Finding]:
        """Say whether the mention carries the own fate, and the own emotion, beside recency."""
        shown = self.binding.above_zero and self.p < SIGNIFICANT
        names = self.names.times(THOUSANDTHS)
        valence = Finding(
            f"{_LABEL}: a mention carries its own person's fate",
            self.binding.times(THOUSANDTHS),
            "shown" if shown else "not shown",
            spec="+.2f",
            unit="thousandths of the residual norm",
            n=f"{self.n_positive} of {self.n_scenes} scenes, {self.n_tokens} identical tokens",
            control=_recency(self.recency, self.over_recency),
            p=self.p,
            n_null=self.n_shuffled,
            note=f"two names in the same text lie {names:.2f} apart",
            margins=[self.binding],
            rule="How much pleasanter the same neutral words are read after the name of the one "
            "who was lucky than after the name of the one who was not; both fates come before, in "
            "either order, with either name. Called shown when the interval over scenes lies above "
            "zero and p < .05 against shuffled ratings and random directions.",
        )
        return [valence, *self._own_emotion()]

    def _own_emotion(self) -> list[Finding]:
        it = self.emotion
        if it is None:
            return []
        shown = it.own.above_zero and it.p < SIGNIFICANT
        findings = [
            Finding(
                f"{_LABEL}: the own emotion above the other person's",
                it.own.times(THOUSANDTHS),
                "shown" if shown else "not shown",
                spec="+.2f",
                unit="thousandths of the residual norm",
                n=f"{it.n_scenes} scenes",
                control=_recency(it.recency, it.over_recency),
                p=it.p,
                n_null=N_PERMUTATIONS,
                margins=[it.own],
                rule="How far the words after a name lie toward the emotions of that person's "
                "fate, less toward those of the other's. Called shown when the interval over "
                "scenes lies above zero and p < .05 against permuted names of emotions.",
            )
        ]
        if it.place is not None:
            above = it.place.less(0.5)
            findings.append(
                Finding(
                    f"{_LABEL}: the own emotion among those of its side",
                    it.place,
                    "shown" if above.above_zero else "not shown",
                    spec=".2f",
                    unit="of the others lie below it",
                    n=f"{it.n_scenes} scenes",
                    control=Control("chance", Estimate(0.5), above),
                    margins=[above],
                    rule="Whether a person's own emotion rises more where that person is mentioned "
                    "than other emotions of its side of valence do. Called shown when the interval "
                    "over scenes lies above one half.",
                )
            )
        return findings

    def paragraph(self) -> str:
        """Tell what was read, and what else could have moved it."""
        binding, recency, names = (
            it.times(THOUSANDTHS) for it in (self.binding, self.recency, self.names)
        )
        text = (
            f"{self.n_scenes} scenes tell of two people with opposite fates and then mention one "
            "of them; either has either fate, in either order. On the words after the name, which "
            f"are the same, the stream at layer {self.layer} lies {binding:+.2f} thousandths of "
            "its mean norm farther on the pleasant side where the lucky one is mentioned "
            f"({self.n_positive} of {self.n_scenes} scenes; p = {self.p_shuffled:.2g} by shuffled "
            f"ratings). Whoever is mentioned, it lies {recency:+.2f} farther there where the lucky "
            f"fate was told last. Two names lie {names:.2f} apart."
        )
        if self.emotion is not None:
            own, last = (it.times(THOUSANDTHS) for it in (self.emotion.own, self.emotion.recency))
            text += (
                f" The mentioned person's emotions lie {own:+.2f} above the other person's, those "
                f"of the fate told last {last:+.2f} above those of the first."
            )
        return text

    def limits(self) -> Sequence[str]:
        """Say where the axis holds the emotions in play."""
        return self.axis_limits

    def figures(self) -> dict[str, Figure]:
        """Describe binding and recency over layers."""
        layers = [it.layer for it in self.by_layer]
        null = tuple(THOUSANDTHS * it.null_upper for it in self.by_layer)
        lines = [
            estimates_line("binding", layers, [it.binding for it in self.by_layer]),
            estimates_line("recency", layers, [it.recency for it in self.by_layer]),
            Line(name="95% of shuffled ratings below", x=tuple(map(float, layers)), y=null),
        ]
        return {
            "binding": curves_over_layers(
                "Whose fate a neutral mention carries",
                f"{self.model}, {self.n_scenes} scenes x 8 versions",
                "Words after the name, which are the same in all versions of a scene, along the "
                "valence axis. Binding: the lucky one is mentioned, less the unlucky one. Recency: "
                "the lucky fate is told last, less the unlucky one, whoever is mentioned. Bands: "
                "95% intervals over scenes; shuffled ratings are those of binding.",
                lines,
                self.layer,
            )
        }


def _recency(recency: Estimate, excess: Estimate) -> Control:
    return Control(
        "the fate told last, whoever is mentioned",
        recency.times(THOUSANDTHS),
        excess.times(THOUSANDTHS),
    )


def measure(materials: Materials) -> BindingResult | NotMeasured:
    """Read all versions of all scenes."""
    ratings = ratings_of(materials.emotions)
    if not has_axis(ratings):
        return NotMeasured(_LABEL, "needs five rated emotions, pleasant and unpleasant ones")
    scenes, bundle, model = binding_scenes(), materials.vectors, materials.subject()
    texts = [versions(scene) for scene in scenes]
    n_tokens = [
        n_shared(model, of_scene, scene.mention.partition("{name} ")[2])
        for scene, of_scene in zip(scenes, texts, strict=True)
    ]
    flat = [text for of_scene in texts for text in of_scene]
    with materials.reporter.task(_NAME, len(flat), "texts") as advance:
        read = mean_ends(materials, flat, [n for n in n_tokens for _ in texts[0]], advance)
    streams = rearrange(
        read,
        "(scene lucky last mentioned) layer d -> scene lucky last mentioned layer d",
        **SHAPE,
    )
    effects, at = Effects.of(streams), bundle.layer_index(materials.layer)
    axes = torch.stack(
        [axis_without(bundle.vectors, materials.emotions, scene.implied) for scene in scenes]
    )
    binding, recency, names = (
        einsum(effect, axes, "scene layer d, scene layer d -> scene layer").double()
        for effect in effects
    )
    end = effects.binding.mean(dim=0)
    null = permuted_effects(end, bundle.vectors, ratings, N_PERMUTATIONS, materials.seed)
    random = matched_random(materials, materials.config.validation.n_random, materials.seed)
    along_random = einsum(end[at], normalize(random.float()), "d, draw d -> draw")
    value = float(binding[:, at].mean())
    return BindingResult(
        model=materials.index["model"],
        layer=materials.layer,
        n_tokens=sum(n_tokens),
        effects=dict(zip([it.id for it in scenes], binding[:, at].tolist(), strict=True)),
        binding=mean_over(binding[:, at]),
        recency=mean_over(recency[:, at]),
        over_recency=mean_over((binding - recency)[:, at]),
        names=mean_over(names[:, at].abs()),
        p_shuffled=permutation_p_value(value, null[at], "greater"),
        n_shuffled=N_PERMUTATIONS,
        p_random=permutation_p_value(value, along_random, "greater") if len(random) else None,
        n_random=len(random),
        axis_limits=limits_in_play(_LABEL, materials.emotions, [it.implied for it in scenes]),
        by_layer=[
            BindingLayer(
                layer=layer,
                binding=mean_over(binding[:, number]),
                recency=mean_over(recency[:, number]),
                null_upper=float(null[number].quantile(0.95)),
            )
            for number, layer in enumerate(bundle.layers)
        ],
        emotion=own_emotion(
            scenes,
            materials.emotions,
            *(
                einsum(
                    effect[:, at],
                    normalize(bundle.vectors[at]),
                    "scene d, emotion d -> scene emotion",
                ).double()
                for effect in (effects.binding, effects.recency)
            ),
            seed=materials.seed,
        ),
    )


EXPERIMENT = Experiment(BindingResult, measure)
