"""Naming an emotion in settings that were left out, by the model and by readers of words.

1. Effects of a factor's levels are fitted (`crossing`) on all settings but one.
2. A row of that setting, less the mean of its block, is named after the effect with the largest
   cosine. Ties go to the first.
3. Interval: over settings, wider by what changes when it is learned from settings drawn again.
   Null: the factor's levels are dealt anew among the rows of each block that is learned from.
4. `given` another factor, rows are read less the effect of their own level of it, learned in the
   same settings, and are not named after that level. Beside stands how often effects of that factor
   name them: as often or more, if both factors have the same directions. To project its span out
   would not do: what noise leaves of it names as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, Verdict, strongest
from probes.analysis.resampling import permutation_p_value, topic_counts
from probes.experiments.dialogues.crossing import CrossedRows, inner
from probes.experiments.dialogues.reading import Gram
from probes.experiments.expression.transfer import ReadShare

OWN_DIRECTIONS = "directions of the speakers' own emotions"
_TINY = torch.finfo(torch.float64).tiny
RULE = (
    "How often the emotion is named, from a speaker's words alone, by directions learned in other "
    "settings. Called shown when p < .05 by labels dealt anew within settings, and the interval "
    "over settings lies above chance and above every other reader: counts and embeddings of the "
    "same words; in part when another reader does as well."
)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Share of readings whose emotion the model names, and the same by each other reader.

    `excess` is the model's share less another reader's. `dealt` is the mean share when the labels
    that are learned from are dealt anew.
    """

    n: int
    n_settings: int
    n_levels: int
    share: Estimate
    others: Mapping[str, Estimate]
    excess: Mapping[str, Estimate]
    dealt: float
    p: float
    n_dealt: int

    @property
    def chance(self) -> float:
        """Share that a blind reader names."""
        return 1 / self.n_levels

    @property
    def margins(self) -> list[Estimate]:
        """What lies above zero where the model names more than chance and than every reader."""
        return [self.share.less(self.chance), *self.excess.values()]

    @property
    def control(self) -> Control | None:
        """The reader that comes nearest to the model."""
        return strongest(
            [Control(name, self.others[name], self.excess[name]) for name in self.others]
        )

    @property
    def verdict(self) -> Verdict:
        """Shown where it beats chance and every reader; in part where a reader does as well."""
        if not (self.p < SIGNIFICANT and self.share.above(self.chance)):
            return "not shown"
        return "shown" if all(it.above_zero for it in self.margins) else "shown in part"

    def finding(self, name: str, note: str = "", rule: str = RULE) -> Finding:
        """Say how often the emotion is named, beside the strongest reader."""
        return Finding(
            name,
            self.share,
            self.verdict,
            spec=".1%",
            unit=f"of {self.n_levels} named",
            n=f"{self.n} readings in {self.n_settings} settings left out",
            control=self.control,
            p=self.p,
            n_null=self.n_dealt,
            note=f"labels dealt anew {self.dealt:.1%}" + (f"; {note}" if note else ""),
            margins=self.margins,
            rule=rule,
        )

    def by_others(self, *without: str) -> str:
        """Write the shares of the other readers, but for some."""
        shares = [(name, it) for name, it in self.others.items() if name not in without]
        return ", ".join(f"{share.value:.1%} by {name}" for name, share in shares)


@dataclass(frozen=True)
class Learned:
    """How effects are learned: settings drawn again, levels dealt anew; rows that count."""

    draws: Float[Tensor, "draw unit"]
    dealt: Int[Tensor, "deal row"]
    rows: Bool[Tensor, "row"]

    @classmethod
    def of(
        cls,
        crossing: CrossedRows,
        factor: int,
        rows: Bool[Tensor, "row"] | None = None,
        *,
        n_refits: int,
        n_dealt: int,
        seed: int,
    ) -> "Learned":
        """Draw settings and deal levels."""
        chosen = torch.ones_like(crossing.unit, dtype=torch.bool) if rows is None else rows
        draws = topic_counts(crossing.unit, n_refits, seed)
        return cls(draws, crossing.dealt(factor, n_dealt, seed, chosen), chosen)


def name_left_out(
    readers: Mapping[str, Gram],
    crossing: CrossedRows,
    factor: int,
    learned: Learned,
    given: int | None = None,
) -> Naming:
    """Name a factor's level of every row; the first of `readers` is the model."""
    reading = _Reading(crossing, factor, learned, given)
    (_, gram), *rest = readers.items()
    share, null = reading.share(gram), reading.dealt(gram)
    others = {name: reading.share(of_words) for name, of_words in rest}
    if given is not None:
        others[OWN_DIRECTIONS] = reading.share(gram, by=given)
    return Naming(
        n=int(learned.rows.sum()),
        n_settings=crossing.n_units,
        n_levels=crossing.n_levels[factor] - (given is not None),
        share=share.estimate(),
        others={name: each.estimate() for name, each in others.items()},
        excess={name: share.less(each) for name, each in others.items()},
        dealt=float(null.mean()),
        p=permutation_p_value(share.value, null, "greater"),
        n_dealt=len(null),
    )


@dataclass(frozen=True)
class _Reading:
    """How the rows of each setting are read by what the other settings teach."""

    crossing: CrossedRows
    factor: int
    learned: Learned
    given: int | None

    def share(self, gram: Gram, by: int | None = None) -> ReadShare:
        """Return the share that is named right by effects of the factor, or of another one."""
        n_units, draws = self.crossing.n_units, self.learned.draws
        right, of, refits = torch.zeros(n_units), torch.zeros(n_units), torch.zeros(len(draws))
        for unit in range(n_units):
            train = self._train(unit)
            weight = torch.cat([train[None], draws[:, self.crossing.unit] * train])
            effects = self.crossing.effects(self.factor if by is None else by, weight)
            hits = self._hits(gram, unit, effects)
            right[unit], of[unit], refits = hits[0], self._test(unit).sum(), refits + hits[1:]
        return ReadShare(right, of, refits / of.sum())

    def dealt(self, gram: Gram) -> Float[Tensor, "deal"]:
        """Return the share when the levels that are learned from are dealt anew."""
        null = torch.zeros(len(self.learned.dealt))
        for unit in range(self.crossing.n_units):
            weight = self._train(unit).expand(self.learned.dealt.shape)
            effects = self.crossing.effects(self.factor, weight, self.learned.dealt)
            null += self._hits(gram, unit, effects)
        return null / self.learned.rows.sum()

    def _train(self, unit: int) -> Float[Tensor, "row"]:
        return (self.learned.rows & (self.crossing.unit != unit)).double()

    def _test(self, unit: int) -> Bool[Tensor, "row"]:
        return self.learned.rows & (self.crossing.unit == unit)

    def _hits(
        self, gram: Gram, unit: int, effects: Float[Tensor, "fit level row"]
    ) -> Float[Tensor, "fit"]:
        """Count the rows of a unit that are nearest to the effect of their own level."""
        test = self._test(unit)
        rows, barred = gram[test], torch.zeros(0, 2, dtype=torch.long)
        if self.given is not None:
            known = self.crossing.levels[self.given][test]
            rows = rows - (self.crossing.effects(self.given, self._train(unit)) @ gram)[known]
            barred = torch.stack([known, torch.arange(len(known))], dim=1)
        read = centered(rows, self.crossing.block[test])
        length = inner(effects, gram, effects).clamp(min=_TINY).sqrt()
        scores = effects @ read.T / rearrange(length, "fit level -> fit level 1")
        scores[:, barred[:, 0], barred[:, 1]] = -torch.inf
        own = self.crossing.levels[self.factor][test]
        return (scores.argmax(dim=1) == own).sum(dim=1).float()


def centered(
    rows: Float[Tensor, "row feature"], block: Int[Tensor, "row"]
) -> Float[Tensor, "row feature"]:
    """Subtract the mean row of each block."""
    same = (rearrange(block, "a -> a 1") == rearrange(block, "b -> 1 b")).to(rows)
    return rows - same @ rows / reduce(same, "a b -> a 1", "sum")
