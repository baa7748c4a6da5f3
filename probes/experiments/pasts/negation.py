"""Negation: whether "I am not feeling sad" reads less sad than "I am feeling sad", on other words.

Four frames say every emotion, deny it, and say it with an adverb that denies nothing. The words
after the emotion's are the same in all three, and are what is read: own emotion's vector less the
others', by layer. In early layers, which have seen little of what came before, there should be
nothing: a control that is built in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import binomial_interval, mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.corpus.reference import phrase_of
from probes.experiments import Experiment, Result
from probes.experiments.pasts.figures import curves_over_layers, estimates_line
from probes.experiments.pasts.reading import THOUSANDTHS, mean_ends, n_shared
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli.pasts import Negation, negations
from probes.vectors.normalize import normalize

_NAME = "negation"
_N_PERMUTATIONS = 1999
_KINDS = ("affirmed", "negated", "filled")


@dataclass(frozen=True, kw_only=True)
class NegationResult(Result):
    """What saying adds to denying, in mean residual norms: own emotion less the others.

    `by_emotion` is the mean over frames at the target layer; `affirmed`, `negated` and `filled` are
    by layer, the mean over emotions; `drop` is affirmed less negated, `filler_drop` affirmed less
    filled.
    """

    model: str
    layer: int
    layers: Sequence[int]
    n_frames: int
    by_emotion: Mapping[str, float]
    drop: Sequence[Estimate]
    filler_drop: Sequence[Estimate]
    over_filler: Estimate
    affirmed: Sequence[float]
    negated: Sequence[float]
    p: float
    n_permutations: int

    @property
    def _at(self) -> int:
        return list(self.layers).index(self.layer)

    @property
    def n_right(self) -> int:
        """Emotions that are read less where they are denied."""
        return sum(value > 0 for value in self.by_emotion.values())

    @property
    def share_right(self) -> Estimate:
        """Their share."""
        n = len(self.by_emotion)
        return Estimate(self.n_right / n, *binomial_interval(self.n_right, n))

    def findings(self) -> list[Finding]:
        """Say how many emotions are read less where they are denied, more than by a filler."""
        drop, over = self.drop[self._at], self.over_filler
        above = self.share_right.less(0.5)
        beats = above.above_zero and drop.above_zero and self.p < SIGNIFICANT
        verdict = (
            "shown" if beats and over.above_zero else "shown in part" if beats else "not shown"
        )
        return [
            Finding(
                "denied emotions are read less, on the words after them",
                drop.times(THOUSANDTHS),
                verdict,
                spec="+.1f",
                unit="thousandths of the residual norm",
                n=f"{len(self.by_emotion)} emotions in {self.n_frames} frames",
                control=Control(
                    "an adverb that denies nothing",
                    self.filler_drop[self._at].times(THOUSANDTHS),
                    over.times(THOUSANDTHS),
                ),
                p=self.p,
                n_null=self.n_permutations,
                note=f"so it is for {self.share_right:.0%} of emotions; layer {self.layers[0]}: "
                f"{THOUSANDTHS * self.drop[0].value:+.1f}",
                margins=[above, drop, over],
                rule="How much more an emotion's vector, less the other emotions', is read after "
                '"feeling sad" than after "not feeling sad", on the words that follow. Called '
                "shown when the interval lies above zero and above what adverbs that deny nothing "
                "take away, more than half of the emotions are read so (by interval), and p < .05 "
                "against permuted names of emotions.",
            )
        ]

    def paragraph(self) -> str:
        """Tell what was compared."""
        drop = self.drop[self._at].times(THOUSANDTHS)
        filler = self.filler_drop[self._at].times(THOUSANDTHS)
        first = self.drop[0].times(THOUSANDTHS)
        return (
            f"{self.n_frames} frames say each of {len(self.by_emotion)} emotions, deny it, or say "
            "it with an adverb that denies nothing; read are the words after the emotion's, which "
            f"are the same. At layer {self.layer} the own emotion lies {drop:+.1f} thousandths of "
            f"the residual norm higher where it is not denied, {filler:+.1f} higher than with the "
            f"adverb; so it is for {self.n_right} of {len(self.by_emotion)} emotions. At layer "
            f"{self.layers[0]}, which has seen little of the past, it is {first:+.1f}."
        )

    def figures(self) -> dict[str, Figure]:
        """Describe what is taken away by "not" and by another adverb, over layers."""
        lines = (
            estimates_line("affirmed less negated", self.layers, self.drop),
            estimates_line("affirmed less with another adverb", self.layers, self.filler_drop),
        )
        return {
            "negation": curves_over_layers(
                "What denying an emotion takes away on the words after it",
                f"{self.model}, {len(self.by_emotion)} emotions, {self.n_frames} frames",
                "Own emotion's vector less the others' on the same words, by layer. Band: 95% "
                "interval over emotions.",
                lines,
                self.layer,
            )
        }


def measure(materials: Materials) -> NegationResult:
    """Read all frames with all emotions."""
    bundle, emotions = materials.vectors, materials.emotions
    unit, frames = normalize(bundle.vectors), negations()
    n_texts = len(_KINDS) * len(frames) * len(emotions)
    with materials.reporter.task(_NAME, n_texts, "texts") as advance:
        scores = torch.stack([_read(materials, it, unit, advance) for it in frames]).mean(dim=0)
    # [kind layer emotion vector]
    own = torch.diagonal(scores, dim1=2, dim2=3)
    affirmed, negated, filled = (own - (scores.sum(dim=3) - own) / (len(emotions) - 1)).double()
    at = bundle.layer_index(materials.layer)
    drop, filler_drop = affirmed - negated, affirmed - filled
    apart = (scores[0] - scores[1])[at].double()
    names = permute_within(torch.arange(len(emotions)), None, _N_PERMUTATIONS, materials.seed)
    named = apart.gather(1, names.T)
    sums = rearrange(apart.sum(dim=1), "emotion -> emotion 1")
    null = (named - (sums - named) / (len(emotions) - 1)).mean(dim=0)
    return NegationResult(
        model=materials.index["model"],
        layer=materials.layer,
        layers=bundle.layers,
        n_frames=len(frames),
        by_emotion=dict(zip(emotions, drop[at].tolist(), strict=True)),
        drop=[mean_over(each) for each in drop],
        filler_drop=[mean_over(each) for each in filler_drop],
        over_filler=mean_over(drop[at] - filler_drop[at]),
        affirmed=affirmed.mean(dim=1).tolist(),
        negated=negated.mean(dim=1).tolist(),
        p=permutation_p_value(float(drop[at].mean()), null, "greater"),
        n_permutations=_N_PERMUTATIONS,
    )


def _read(
    materials: Materials,
    frame: Negation,
    unit: Float[Tensor, "layer emotion d_model"],
    advance: Callable[[int], None],
) -> Float[Tensor, "kind layer emotion vector"]:
    """Score the words after each emotion's, said, denied and said with another adverb."""
    texts = []
    for number, emotion in enumerate(materials.emotions):
        feel, filler = phrase_of(emotion)["feel"], frame.fillers[number % len(frame.fillers)]
        texts += [frame.affirmed(feel), frame.negated(feel), frame.filled(filler, feel)]
    n = n_shared(materials.subject(), texts, frame.end)
    read = mean_ends(materials, texts, [n] * len(texts), advance)
    scores = einsum(read, unit, "text layer d, layer vector d -> text layer vector")
    return rearrange(scores, "(emotion kind) layer vector -> kind layer emotion vector", kind=3)


EXPERIMENT = Experiment(NegationResult, measure)
