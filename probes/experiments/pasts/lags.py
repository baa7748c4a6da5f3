"""Curves over lags: how long scores along emotions' vectors last, beside those of other directions.

A curve is the mean over directions of their autocorrelation (`analysis.autocorrelation`) along some
texts, step by step. Steps are tokens, or turns of a dialogue. Texts are the units of intervals;
p-values compare the emotions' mean with that of sets of as many other directions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.autocorrelation import BOUND, contributions, first_below, usable_lags
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, strongest
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value
from probes.figures.description import Line, Lines, Panel
from probes.figures.estimates import line_of

RANDOM, SHUFFLED, WORDS = "random directions", "shuffled labels", "words alone"
TOPICS = "directions of topics"
"""Stands beside the others and is no control: what a text is about lasts as long as the text."""
LAGS = {"token": (1, 2, 4, 8, 16, 32), "turn": (1, 2, 3, 4)}
_JUDGED = {"token": 16, "turn": 1}
ALONG = {"token": "stories", "turn": "neutral dialogues"}
FEWEST = 8
"""Texts that must be longer than a lag."""

Steps = Float[Tensor, "_step layer d_model"]
"""Residuals along one text: of tokens, or means over turns."""
Directions = Float[Tensor, "direction d_model"]


@dataclass(frozen=True, kw_only=True)
class LagControl:
    """What other directions reach at each lag, and by how much emotions exceed them.

    `p` is of so high a mean among `n` sets; None where there is but one set.
    """

    r: Sequence[float]
    excess: Sequence[Estimate]
    p: Sequence[float] | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Course:
    """Autocorrelation over lags in steps (``token`` or ``turn``), the mean over emotions.

    Intervals are over texts, of which `n_texts` are longer than each lag.
    """

    step: str
    lags: Sequence[int]
    n_texts: Sequence[int]
    own: Sequence[Estimate]
    controls: Mapping[str, LagControl]

    @property
    def at(self) -> int:
        """The place of the lag that is judged: the longest that is not longer than promised."""
        return max(n for n, lag in enumerate(self.lags) if lag <= _JUDGED[self.step] or n == 0)

    @property
    def over(self) -> dict[str, Control]:
        """Every control at that lag."""
        return {
            name: Control(name, Estimate(it.r[self.at]), it.excess[self.at])
            for name, it in self.controls.items()
            if name != TOPICS
        }

    def lasts_beyond(self, name: str) -> bool:
        """Whether more is left of emotions at that lag than of others."""
        control = self.controls[name]
        likely = control.p is not None and control.p[self.at] >= SIGNIFICANT
        return control.excess[self.at].above_zero and not likely

    @property
    def falls(self) -> str:
        """From which lag on emotions lie below 1/e, and random directions."""
        own, random = [it.value for it in self.own], self.controls[RANDOM].r
        return f"{self._falls(own)} ({RANDOM}: {self._falls(random)})"

    def _falls(self, r: Sequence[float]) -> str:
        lag = first_below(self.lags, r)
        if lag is None:
            return f"above 1/e up to lag {self.lags[-1]}"
        return f"below 1/e from lag {lag} on"

    def finding(self, n_emotions: int) -> Finding:
        """Say how much of a score is left at the lag that is judged."""
        random = self.controls[RANDOM]
        in_part = "shown in part" if self.lasts_beyond(SHUFFLED) else "not shown"
        return Finding(
            f"persistence: scores at lag {self.lags[self.at]} ({self.step}s)",
            self.own[self.at],
            "shown" if all(map(self.lasts_beyond, self.over)) else in_part,
            spec="+.3f",
            unit="r",
            n=f"{self.n_texts[self.at]} texts, {n_emotions} emotions",
            control=strongest([*self.over.values()]),
            p=None if random.p is None else random.p[self.at],
            n_null=random.n,
            note=f"{self.falls}; {SHUFFLED} {self._beside(SHUFFLED)}",
            margins=[it.excess for it in self.over.values() if it.excess is not None],
            rule=f"How much of what is read along emotions' vectors is read again so many "
            f"{self.step}s later. Called shown when the interval over texts of its excess lies "
            "above zero over random directions of the same variance and over shuffled labels (p < "
            ".05 among sets of either) and over the first layer, which knows words alone; in part "
            "when it does over shuffled labels.",
        )

    def sentences(self) -> str:
        """Tell how much is left, and whether it is more than of other directions."""
        at = self.at
        apart = f"{self.lags[at]} {self.step}{'s' if self.lags[at] > 1 else ''} apart"
        first = f" ({self.own[0].value:+.3f} at lag {self.lags[0]})" if at else ""
        others = ", ".join(f"{name} {self._beside(name)}" for name in self.controls)
        exceeded = " and ".join(filter(self.lasts_beyond, self.over)) or "none of the controls"
        return (
            f"Along {self.n_texts[at]} {ALONG[self.step]}, scores {apart} correlate by "
            f"{self.own[at]:+.3f}{first}; the curve is {self.falls}. Beside them {others}. By "
            f"interval and p emotions last longer than {exceeded}."
        )

    def _beside(self, name: str) -> str:
        """Say what a control keeps at that lag, and by how much emotions exceed it."""
        control = self.controls[name]
        p = "" if control.p is None else f", p = {control.p[self.at]:.2g}"
        return f"{control.r[self.at]:+.3f} (exceeded by {control.excess[self.at]:+.3f}{p})"

    def curves(self, subtitle: str, words: str) -> Lines:
        """Describe the curves; `words` says what the control of words alone is."""
        lags, at = tuple(map(float, self.lags)), self.at
        others = [Line(name=name, x=lags, y=tuple(it.r)) for name, it in self.controls.items()]
        return Lines(
            title=f"How long an emotion's score lasts along {ALONG[self.step]}",
            subtitle=f"{subtitle}, {self.n_texts[0]} texts",
            caption=f"Correlation of scores so many {self.step}s apart, the mean over emotions; "
            f"band: 95% interval over texts. At lag {self.lags[at]} it is "
            f"{self.own[at].value:+.3f}, that of random directions with the same variance "
            f"{self.controls[RANDOM].r[at]:+.3f}. Words alone: {words}. Directions of topics lie "
            "where stories on one emotion differ.",
            x_label=f"lag ({self.step}s)",
            panels=(
                Panel(
                    y_label="correlation (r)",
                    lines=(line_of("emotions", lags, self.own), *others),
                    level=BOUND,
                    level_label="1/e",
                ),
            ),
            x_ticks=lags,
        )


def follow(
    step: str,
    texts: Sequence[Steps],
    own: Sequence[Directions],
    sets: Mapping[str, Sequence[Directions]],
) -> Course | None:
    """Correlate scores over lags along texts; None where too few are longer than any.

    `own` are the emotions' vectors at each layer of the texts' steps; those of a second layer are a
    control. `sets` are other directions at the first, by kind. Scores have a mean of zero.
    """
    lags = usable_lags([len(text) for text in texts], LAGS[step], FEWEST)
    if not lags:
        return None

    def kept(directions: Directions, row: int = 0) -> list[Tensor]:
        """Return what every text adds to each lag's correlation, the mean over directions."""
        scores = [text[:, row] @ directions.T for text in texts]
        return [contributions(scores, lag).mean(dim=1) for lag in lags]

    emotions = kept(own[0])
    others = {name: [kept(each) for each in of_kind] for name, of_kind in sets.items()}
    if len(own) > 1:
        others[WORDS] = [kept(own[1], 1)]
    return Course(
        step=step,
        lags=lags,
        n_texts=[len(each) for each in emotions],
        own=[mean_over(each, within=(-1.0, 1.0)) for each in emotions],
        controls={name: _beside(emotions, of_kind) for name, of_kind in others.items()},
    )


def _beside(
    emotions: Sequence[Float[Tensor, "_text"]], others: Sequence[Sequence[Tensor]]
) -> LagControl:
    """Set the emotions' contributions, by lag, beside those of every other set of directions."""
    by_lag = [torch.stack(each) for each in zip(*others, strict=True)]
    pairs = list(zip(emotions, by_lag, strict=True))
    several = len(others) > 1
    return LagControl(
        r=[float(each.mean()) for each in by_lag],
        excess=[mean_over(own - each.mean(dim=0)) for own, each in pairs],
        p=[
            permutation_p_value(float(own.mean()), each.mean(dim=1), "greater")
            for own, each in pairs
        ]
        if several
        else None,
        n=len(others),
    )
