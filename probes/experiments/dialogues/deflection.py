"""Deflection: is a feeling that a speaker hides read in words that show another.

A few narrated sentences tell what one speaker feels, and that nobody is to see it; in the turns the
speaker shows another emotion. Twelve emotions are hidden in each setting, each behind one of four.
The hider's words are read after those sentences and, the same words, without them: what is named
without them the words give away. What words know is counted of the hider's turns and of the
sentences themselves.

What of the hidden emotion's directions lies outside the space of the run's stories is measured with
the leading components of all the run's story vectors projected out, as many as hold 90% of their
variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Finding, RunNumber
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.dialogues.alignment import (
    DirectionSet,
    KeptNorm,
    compare_sets,
    kept_norm,
)
from probes.experiments.dialogues.crossing import crossing_of
from probes.experiments.dialogues.figures import figures_of_deflection
from probes.experiments.dialogues.left_out import Learned, Naming, name_left_out
from probes.experiments.dialogues.reading import (
    MODEL,
    Gram,
    gram_of,
    grams_of_words,
    read_turns,
    shown_vectors,
    why_too_long,
)
from probes.experiments.dialogues.stories import (
    SPAN_SHARE,
    StoryCosines,
    StoryReader,
    leading_components,
    name_by_stories,
    story_cosines,
)
from probes.experiments.words import WORD_COUNTS
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli import deflected_dialogues
from probes.vectors.neutral import project_out

_NAME = "deflection"
HIDER = (1, 3, 5)
"""Turns of the one who hides."""
FELT, SHOWN_ONE = 0, 1
"""Factors."""
_RULE = (
    "How often the emotion that a speaker hides is named from this speaker's words, by directions "
    "learned in other settings. Called shown when p < .05 by labels dealt anew within settings, "
    "and the interval over settings lies above chance, above the same words read without the "
    "sentences that tell it, and above what words of the turns and of those sentences name; in "
    "part when one of these does as well: it may be words that are carried along."
)
WITHOUT, OF_SETUP = "the same words without the setup", "word counts of the setup"


@dataclass(frozen=True, kw_only=True)
class DeflectionResult(Result):
    """Readings of left-out settings, and the hidden emotion's directions beside the run's stories.

    `hidden` has among its other readers the model itself `WITHOUT` the setup; `alone` is that one
    by itself, and `displayed` the emotion that is shown. `reliability` is that of the hidden
    emotion's directions. `cosines` and `stories` are None where the run lacks the emotions.
    """

    model: str
    layer: int
    n_dialogues: int
    felt: Sequence[str]
    shown: Sequence[str]
    hidden: Naming
    alone: Naming
    displayed: Naming
    stories: Mapping[str, StoryReader]
    cosines: StoryCosines | None
    displayed_cosines: StoryCosines | None
    reliability: float
    kept: KeptNorm
    n_components: int
    n_vectors: int

    def findings(self) -> list[Finding]:
        """Say whether the hidden emotion is read, and where its directions lie."""
        alone = f"without the setup {self.alone.share:.1%} (p = {self.alone.p:.2g})"
        cosines, displayed = self.cosines, self.displayed_cosines
        note = f"reliability of the hidden directions {self.reliability:.2f}"
        if displayed is not None:
            note += f"; cosine of the shown emotions {displayed.own.value:+.3f}"
        return [
            self.hidden.finding(
                "a hidden emotion in words that show another",
                "; ".join([alone, *self._by_stories("hidden")]),
                rule=_RULE,
            ),
            self.displayed.finding(
                "the emotion that is shown instead", "; ".join(self._by_stories("displayed"))
            ),
            *([] if cosines is None else [cosines.finding(note)]),
            self._outside(),
        ]

    def _by_stories(self, name: str) -> list[str]:
        reader = self.stories.get(name)
        if reader is None:
            return []
        return [f"the run's story vectors {reader.share:.1%} of {reader.n_levels}"]

    def _outside(self) -> Finding:
        clean = self.kept.without_noise
        without = "unknown without noise" if clean is None else f"{clean:.2f} without noise"
        return Finding(
            "hidden emotion, length outside the stories' space",
            self.kept.kept,
            "described",
            n=f"{len(self.felt)} emotions",
            note=f"{without}; directions of labels dealt anew {self.kept.dealt:.2f}; "
            f"{self._span_words} projected out",
            rule="Share of the hidden directions' length that is left when the space of the run's "
            "stories is projected out.",
        )

    @property
    def _span_words(self) -> str:
        return (
            f"{self.n_components} components with {SPAN_SHARE:.0%} of the variance of "
            f"{self.n_vectors} story vectors"
        )

    def paragraph(self) -> str:
        """Tell what was read and how it could have failed."""
        hidden, alone = self.hidden, self.alone
        text = (
            f"In {self.n_dialogues} dialogues one speaker feels one of {len(self.felt)} emotions "
            f"and shows one of {len(self.shown)} others; only a few sentences before tell what is "
            f"felt. From this speaker's words in settings that were left out, layer {self.layer} "
            f"names the hidden emotion in {hidden.share:.1%} (chance {hidden.chance:.1%}; "
            f"{hidden.by_others(WITHOUT)}), "
            f"and in {alone.share:.1%} when the same words are read without those sentences. "
        )
        if self.cosines is not None:
            text += (
                "Its direction has a cosine of "
                f"{self.cosines.own:+.3f} with the story vector of its emotion "
                f"({self.cosines.others:+.3f} with others'). "
            )
        return text + (
            f"{self.kept.kept.value:.2f} of its length is left with {self._span_words} projected "
            f"out ({self.kept.dealt.value:.2f} of directions of labels dealt anew)."
        )

    def limits(self) -> list[str]:
        """Say whether the words give away what they hide, and what the run lacks."""
        limits = []
        if self.alone.verdict != "not shown":
            limits.append(
                "Deflection: the hider's words give the hidden emotion away: without the setup the "
                f"model names {self.alone.share.value:.1%} of them."
            )
        if self.cosines is None:
            limits.append(
                "Deflection: this run has vectors of fewer than three of the hidden emotions."
            )
        if self.kept.without_noise is None:
            limits.append(
                "Deflection: directions of the hidden emotions do not repeat between halves of the "
                "settings; what is left of their length is left of noise."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe what is named, by whom."""
        return figures_of_deflection(self)

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return the cosine with story vectors, and what lies outside their space."""
        kept, n = self.kept, len(self.felt)
        clean = kept.without_noise or kept.kept
        how = "without noise" if kept.without_noise else "with its noise"
        number = RunNumber(
            clean.value,
            None if clean.low is None else clean.ends,
            n,
            f"our own dialogues, {how} (labels dealt anew {kept.dealt.value:.2f}); "
            f"{self._span_words} projected out",
        )
        cosine: RunNumber | str = "this run lacks the hidden emotions"
        if self.cosines is not None:
            own = self.cosines.own
            note = f"our own dialogues; reliability {self.reliability:.2f}"
            cosine = RunNumber(own.value, own.ends, len(self.cosines.by_emotion), note)
        return {
            "deflection.cosine_to_story_vector": cosine,
            "deflection.norm_kept_after_projection": number,
        }


def measure(materials: Materials) -> DeflectionResult | NotMeasured:
    """Read all dialogues after their setup and without it."""
    dialogues, model = deflected_dialogues(), materials.subject()
    scripts = [it.script for it in dialogues]
    if why := why_too_long(model, scripts):
        return NotMeasured("Deflection", why)
    with materials.reporter.task(_NAME, 2 * len(scripts), "dialogues") as advance:
        told = read_turns(materials, scripts, advance)
        untold = read_turns(materials, [it.without_setup for it in dialogues], advance)
    words = grams_of_words(model, [" ".join(it.turns[turn] for turn in HIDER) for it in dialogues])
    of_setup = grams_of_words(model, [it.setup for it in dialogues])[WORD_COUNTS]
    return judge(materials, told.over(HIDER), untold.over(HIDER), words, of_setup)


def judge(
    materials: Materials,
    told: Float[Tensor, "dialogue d_model"],
    untold: Float[Tensor, "dialogue d_model"],
    words: Mapping[str, Gram],
    of_setup: Gram,
) -> DeflectionResult:
    """Compare what is hidden and what is shown in the hider's words, after the setup and without.

    Both are in mean residual norms; the others are dot products by readers of words.
    """
    dialogues, settings, seed = deflected_dialogues(), materials.config.validation, materials.seed
    basis = materials.neutral_components()
    rows, alone = (project_out(each.double(), basis) for each in (told, untold))
    gram, of_alone = gram_of(rows), gram_of(alone)
    labels = [[getattr(it, each) for it in dialogues] for each in ("felt", "shown")]
    felt, shown = names = [list(dict.fromkeys(each)) for each in labels]
    crossing = crossing_of(labels, names, [it.setting for it in dialogues])
    everything = torch.ones(len(rows), dtype=torch.bool)
    learned = [
        Learned.of(
            crossing,
            factor,
            n_refits=settings.n_refits,
            n_dealt=settings.n_permutations,
            seed=seed,
        )
        for factor in (FELT, SHOWN_ONE)
    ]
    vectors, emotions = shown_vectors(materials), materials.emotions
    directions = [crossing.effects(each, everything.double()) @ rows for each in (FELT, SHOWN_ONE)]
    components = leading_components(vectors)
    hidden = DirectionSet(FELT, everything)
    table, _ = compare_sets(gram, crossing, {"hidden": hidden}, {}, seed)
    outside = gram_of(project_out(rows, components))
    by_stories = {
        name: name_by_stories(
            rows, crossing.levels[factor], crossing.unit, names[factor], vectors, emotions
        )
        for name, factor in (("hidden", FELT), ("displayed", SHOWN_ONE))
    }
    return DeflectionResult(
        model=materials.index["model"],
        layer=materials.layer,
        n_dialogues=len(dialogues),
        felt=felt,
        shown=shown,
        hidden=name_left_out(
            {MODEL: gram, WITHOUT: of_alone, **words, OF_SETUP: of_setup},
            crossing,
            FELT,
            learned[FELT],
        ),
        alone=name_left_out({WITHOUT: of_alone, **words}, crossing, FELT, learned[FELT]),
        displayed=name_left_out({MODEL: gram, **words}, crossing, SHOWN_ONE, learned[SHOWN_ONE]),
        stories={name: reader for name, reader in by_stories.items() if reader is not None},
        cosines=story_cosines(directions[FELT], felt, vectors, emotions, seed),
        displayed_cosines=story_cosines(directions[SHOWN_ONE], shown, vectors, emotions, seed),
        reliability=table.reliability[0],
        kept=kept_norm(gram, outside, crossing, hidden, settings.n_permutations, seed),
        n_components=len(components),
        n_vectors=len(vectors),
    )


EXPERIMENT = Experiment(DeflectionResult, measure)
