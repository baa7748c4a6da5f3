"""Speakers: whose emotion is in whose words, and is the other's kept apart from the speaker's own.

Dialogues cross twelve emotions of A with twelve of B, each with a cause of its own. The words of
each are read apart; what A says before B has spoken holds nothing of B and is not read. Whose words
are read and whose emotion labels them make four sets of directions: *present* is the emotion of
whoever speaks, *other* that of the other one. Dialogues in which both feel the same are left out of
what is said of the other. Names and colons are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Estimate, Finding, RunNumber
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.dialogues.alignment import (
    DirectionSet,
    PairCosine,
    SetCosines,
    compare_sets,
    kept_outside,
)
from probes.experiments.dialogues.arousal import ArousalLink, link_arousal
from probes.experiments.dialogues.crossing import crossing_of
from probes.experiments.dialogues.figures import figures_of_speakers
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
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli import crossed_dialogues
from probes.vectors.neutral import project_out

_NAME = "speakers"
READ = ((2, 4), (1, 3, 5))
"""Turns that are read of A and of B: those after the other has spoken."""
PRESENT, OTHER = 0, 1
"""Factors: the emotion of whoever speaks, and of the other."""
OWN_PAIR, OTHER_PAIR, WITHIN, ACROSS = "own", "other's", "within", "across"
_PAIRS: Mapping[str, Sequence[tuple[int, int]]] = {
    OWN_PAIR: [(0, 1)],
    OTHER_PAIR: [(2, 3)],
    WITHIN: [(0, 1), (2, 3)],
    ACROSS: [(0, 2), (0, 3), (1, 2), (1, 3)],
}
"""Of four sets: A's own and B's own, then the other's in A's words and in B's."""
_SAID_OF_PAIRS = {
    OWN_PAIR: "own emotion, A's words with B's",
    OTHER_PAIR: "other's emotion, A's words with B's",
    ACROSS: "own emotion with the other's",
}


_APART = (
    "The same among the emotions that the speaker does not feel, with what the speaker's own adds "
    "subtracted. Called shown when it is shown as above, and directions of speakers' own emotions "
    "name fewer: were the other's emotion in these, they would name it as well."
)


@dataclass(frozen=True, kw_only=True)
class Speakers(Result):
    """Readings of left-out settings, and cosines of four sets of directions.

    `apart` is the other's emotion given the speaker's own, beside directions of own emotions;
    `pairs` are mean cosines by `OWN_PAIR`, `OTHER_PAIR`, `WITHIN` and `ACROSS`; `kept` is what of
    the other's directions lies outside the span of own ones, and `kept_own` what noise leaves of
    own ones themselves. `arousal` is None where the run has too few rated emotions for an axis.
    """

    model: str
    layer: int
    n_dialogues: int
    n_different: int
    emotions: Sequence[str]
    own: Naming
    other: Naming
    apart: Naming
    cosines: SetCosines
    pairs: Mapping[str, PairCosine]
    kept: Estimate | None
    kept_own: Estimate | None
    arousal: ArousalLink | None

    def findings(self) -> list[Finding]:
        """Say whose emotion is read, where its direction lies, and what arousal does."""
        arousal = [] if self.arousal is None else [self.arousal.finding()]
        return [
            self.other.finding("the other's emotion in a speaker's words"),
            self.apart.finding("the same, in directions of its own", self._kept_words, _APART),
            self.own.finding("the speaker's own emotion"),
            *(self._cosine(name, said) for name, said in _SAID_OF_PAIRS.items()),
            *arousal,
        ]

    @property
    def _kept_words(self) -> str:
        if self.kept is None:
            return ""
        own = "" if self.kept_own is None else f" (of own ones themselves {self.kept_own:.2f})"
        return f"{self.kept:.2f} of their length lies outside the span of own ones{own}"

    def _cosine(self, name: str, said: str) -> Finding:
        pair = self.pairs[name]
        clean, as_it_is = pair.without_noise, f"{pair.cosine:+.2f} as they are"
        return Finding(
            f"cosine, {said}",
            clean or pair.cosine,
            "described",
            spec="+.2f",
            unit="without noise" if clean else "",
            n=f"{len(self.emotions)} emotions",
            note=as_it_is if clean else "too unreliable to say what it would be without noise",
            rule="Mean cosine of two directions of the same emotion, from opposite halves of the "
            "settings and divided by their reliability.",
        )

    def paragraph(self) -> str:
        """Tell what was read and how it could have failed."""
        other, apart = self.other, self.apart
        text = (
            f"{self.n_dialogues} dialogues cross {len(self.emotions)} emotions of one speaker with "
            "as many of the other, each with a cause of its own. From the words of one speaker in "
            f"settings that were left out, layer {self.layer} names the speaker's own emotion in "
            f"{self.own.share:.1%} and the other's in {other.share:.1%} (chance "
            f"{other.chance:.1%}; {other.by_others()}). With what the own emotion adds subtracted, "
            f"and among the {apart.n_levels} others, the other's is named in {apart.share:.1%} "
            f"({apart.by_others()}). "
        )
        cosines = [
            f"{it.without_noise or it.cosine:+.2f} ({said})"
            for name, said in _SAID_OF_PAIRS.items()
            if (it := self.pairs[name])
        ]
        text += f"Cosines of the same emotion's directions: {', '.join(cosines)}."
        if self.arousal is not None:
            text += (
                " How arousing the other's emotion is goes with the arousal that is read in a "
                f"speaker's words by r = {self.arousal.other_r:+.2f} over "
                f"{len(self.arousal.emotions)} emotions, p = {self.arousal.p:.2g}."
            )
        return text

    def limits(self) -> list[str]:
        """Say what could not be measured."""
        limits = []
        if self.other.verdict != "not shown":
            limits.append(
                "Speakers: the other's words stand before those that are read; that their emotion "
                "is carried along does not say that the model keeps whose it is."
            )
        if self.arousal is None:
            limits.append(
                "Speakers: this run has too few rated emotions, beside those of the dialogues, for "
                "an arousal axis."
            )
        if self.pairs[OTHER_PAIR].without_noise is None:
            limits.append(
                "Speakers: directions of the other's emotion do not repeat between halves of the "
                "settings; their cosines are those of noise."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe who is read from whose words, the cosines of the sets, and arousal."""
        return figures_of_speakers(self)

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return cosines within and across roles, and how arousal answers arousal."""
        within, across = self.pairs[WITHIN], self.pairs[ACROSS]
        numbers: dict[str, RunNumber | str] = {
            "speakers.within_role_cosine": self._number(within),
            "speakers.across_role_cosine": self._number(across),
        }
        if self.arousal is None:
            numbers["speakers.other_to_present_arousal_r"] = (
                "this run has too few rated emotions for an arousal axis"
            )
            return numbers
        r = self.arousal.other_r
        numbers["speakers.other_to_present_arousal_r"] = RunNumber(
            r.value, _ends(r), len(self.arousal.emotions), "our own dialogues"
        )
        return numbers

    def _number(self, pair: PairCosine) -> RunNumber | str:
        clean = pair.without_noise
        if clean is None:
            return (
                "some directions do not repeat between halves of the settings (cosine "
                f"{pair.cosine.value:+.2f} with their noise)"
            )
        note = f"our own dialogues, without noise; {pair.cosine.value:+.2f} as they are"
        return RunNumber(clean.value, _ends(clean), len(self.emotions), note)


def _ends(estimate: Estimate) -> tuple[float, float] | None:
    return None if estimate.low is None else estimate.ends


def measure(materials: Materials) -> Speakers | NotMeasured:
    """Read all dialogues once and compare whose emotion is in whose words."""
    dialogues, model = crossed_dialogues(), materials.subject()
    scripts = [it.script for it in dialogues]
    if why := why_too_long(model, scripts):
        return NotMeasured("Speakers", why)
    with materials.reporter.task(_NAME, len(scripts), "dialogues") as advance:
        turns = read_turns(materials, scripts, advance)
    rows = torch.cat([turns.over(of) for of in READ])
    texts = [" ".join(it.turns[turn] for turn in of) for of in READ for it in dialogues]
    return judge(materials, rows, grams_of_words(model, texts))


def judge(
    materials: Materials, rows: Float[Tensor, "row d_model"], words: Mapping[str, Gram]
) -> Speakers:
    """Compare whose emotion is in which rows: A's words in all dialogues, then B's.

    Rows are in mean residual norms; `words` are their dot products by readers of words.
    """
    dialogues, settings, seed = crossed_dialogues(), materials.config.validation, materials.seed
    rows = project_out(rows.double(), materials.neutral_components())
    gram = gram_of(rows)
    readers = {MODEL: gram, **words}
    emotions = list(dict.fromkeys(it.a for it in dialogues))
    a, b = ([getattr(it, each) for it in dialogues] for each in "ab")
    crossing = crossing_of(
        [a + b, b + a],
        [emotions, emotions],
        [it.setting for it in dialogues] * 2,
        [f"{it.setting}, {role}" for role in "AB" for it in dialogues],
    )
    different = crossing.levels[PRESENT] != crossing.levels[OTHER]
    of_a, everything = torch.arange(len(rows)) < len(dialogues), torch.ones_like(different)
    learned = [
        Learned.of(
            crossing,
            factor,
            chosen,
            n_refits=settings.n_refits,
            n_dealt=settings.n_permutations,
            seed=seed,
        )
        for factor, chosen in ((PRESENT, None), (OTHER, different))
    ]
    sets = {
        "A's own in A's words": DirectionSet(PRESENT, of_a),
        "B's own in B's words": DirectionSet(PRESENT, ~of_a),
        "B's in A's words": DirectionSet(OTHER, of_a & different),
        "A's in B's words": DirectionSet(OTHER, ~of_a & different),
    }
    cosines, pairs = compare_sets(gram, crossing, sets, _PAIRS, seed)
    of_own = crossing.effects(PRESENT, everything.double())
    of_other = crossing.effects(OTHER, different.double())
    own = DirectionSet(PRESENT, everything)
    return Speakers(
        model=materials.index["model"],
        layer=materials.layer,
        n_dialogues=len(dialogues),
        n_different=int(different.sum()) // 2,
        emotions=emotions,
        own=name_left_out(readers, crossing, PRESENT, learned[PRESENT]),
        other=name_left_out(readers, crossing, OTHER, learned[OTHER]),
        apart=name_left_out(readers, crossing, OTHER, learned[OTHER], given=PRESENT),
        cosines=cosines,
        pairs=pairs,
        kept=kept_outside(gram, crossing, own, DirectionSet(OTHER, different), seed),
        kept_own=kept_outside(gram, crossing, own, own, seed),
        arousal=link_arousal(
            of_own @ rows,
            of_other @ rows,
            emotions,
            shown_vectors(materials),
            materials.emotions,
            seed,
        ),
    )


EXPERIMENT = Experiment(Speakers, measure)
