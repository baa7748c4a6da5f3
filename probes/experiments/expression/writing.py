"""Expression steering: whether vectors of one way make endings of another way likelier.

A vector that knows the words of its texts and no more can't write others. Vectors of each emotion,
made from frames that *say* it, are added to the stream while the model reads endings that *show*
emotions and do not name them: do those of the vector's own emotion become likelier than others
(`own_endings`)? The same is asked of *narrated* vectors and *voiced* endings, which may share
words. Control directions stand in for the vectors, on the same endings, at the same dose
(`steered_endings`). Effects are slopes times the dose; a few vectors are added in earnest, to see
how near that comes. Nobody judges.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel
from probes.analysis.findings import SIGNIFICANT, Finding, Verdict, strongest
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.expression.own_endings import (
    MIN_EMOTIONS,
    OwnEffects,
    compare_own,
)
from probes.experiments.expression.steered_endings import (
    ControlDirections,
    Endings,
    Steerer,
    choose_endings,
    in_turns,
    valence_directions,
    way_vectors,
)
from probes.experiments.expression.writing_figures import writing_figures
from probes.experiments.steering.controls import matched_random
from probes.experiments.steering.dose_cost import Budget, Cost, SteeringCost, usable_dose
from probes.experiments.steering.dose_response import neutral_texts, spread_over
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.vectors.normalize import normalize

_NAME = "expression-steering"
DOSES = (0.05, 0.1)
_PAIRS = (("said", "shown", 4), ("narrated", "voiced", 2))
"""Learned from, endings of, and topics of these: the second is easier and may be read on fewer."""
_N_GAUGED = 4
"""Vectors on which doses are tried: what a dose costs differs little between them."""
_N_CHECKED = 2
"""Vectors that are added in earnest, on the endings of one topic."""
_FEW_EMOTIONS = 8


@dataclass(frozen=True, kw_only=True)
class InEarnest:
    """How changes of endings under vectors that were added compare with slopes times the dose.

    `r` and `ratio` (of the changes to what slopes say, by least squares) are over all endings,
    after the mean change under each vector is taken out.
    """

    n_vectors: int
    n_endings: int
    r: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class WaySteering:
    """Endings of one way under vectors of another, at the largest dose within the budget.

    `dose`, `effects` and `checked` are None where no dose that was tried is within it.
    """

    learned: str
    written: str
    topics: Sequence[str]
    tokens_per_ending: float
    costs: Sequence[Cost]
    dose: float | None
    effects: OwnEffects | None
    checked: InEarnest | None = None

    @property
    def name(self) -> str:
        """What is steered with, and what is read."""
        return f"{self.learned} vectors -> {self.written} endings"

    @property
    def verdict(self) -> Verdict:
        """Whether own endings rise more than others', and more than under every control."""
        if self.effects is None:
            return "not measured"
        effects = self.effects
        if not effects.own.above_zero or effects.p >= SIGNIFICANT:
            return "not shown"
        excesses = [control.excess.above_zero for control in effects.controls]
        return "shown" if excesses and all(excesses) else "shown in part"


@dataclass(frozen=True, kw_only=True)
class ExpressionSteering(Result):
    """What steering by vectors of one way does to the endings of another."""

    model: str
    layer: int
    emotions: Sequence[str]
    budget: Budget
    n_texts: int
    pairs: Sequence[WaySteering]

    def findings(self) -> list[Finding]:
        """Say of each pair of ways how much likelier own endings become."""
        return [self._finding(pair) for pair in self.pairs]

    def _finding(self, pair: WaySteering) -> Finding:
        if pair.effects is None:
            least = pair.costs[0]
            none = (
                f"no dose tried is within the budget: even {least.dose:g} costs KL {least.kl:.2f} "
                f"nats, perplexity x{least.perplexity_ratio:.2f}"
            )
            return Finding(pair.name, None, "not measured", note=none)
        effects, n = pair.effects, len(self.emotions)
        return Finding(
            pair.name,
            effects.own,
            pair.verdict,
            spec="+.3f",
            unit="nats per token",
            n=f"{n} emotions x {_endings(len(pair.topics))}",
            control=strongest([control.control() for control in effects.controls]),
            p=effects.p,
            n_null=effects.n_permutations,
            note=f"own endings first for {effects.first:.0%} (chance {1 / n:.0%}), mean rank "
            f"{effects.mean_rank:.1f} of 0 to {n - 1}; at dose {pair.dose:g}",
            rule=f"How much likelier {pair.written} endings of an emotion become than those of "
            f"other emotions when its vector, learned from what is {pair.learned}, is added, to "
            "first order in the dose. "
            "Called shown when the interval lies above zero, and so do those of its excess over "
            "every control, and p < .05; in part when only the excess does not.",
            margins=[effects.own, *(control.excess for control in effects.controls)],
            headline=pair.learned == "said",
            section=_NAME,
        )

    def paragraph(self) -> str:
        """Tell what was steered and read, and what could have shown otherwise."""
        return (
            f"What adding the vector of an emotion to the stream of {self.model} at layer "
            f"{self.layer} does to endings, to first order in the dose: of {len(self.emotions)} "
            "emotions the own endings are compared with the others', after what a vector does to "
            "all endings and what any vector does to an ending. "
            f"{' '.join(map(self._told, self.pairs))} Doses are the "
            f"largest of {', '.join(f'{dose:g}' for dose in DOSES)} within the budget "
            f"({self.budget}, on {self.n_texts} neutral texts). Had the vectors been "
            "pleasant or unpleasant and no more, the axis of valence would do as much; had they "
            "been any directions that texts differ in, random and shuffled ones would."
        )

    def _told(self, pair: WaySteering) -> str:
        if pair.effects is None:
            return f"{pair.name.capitalize()}: no dose tried is within the budget."
        effects = pair.effects
        beside = "; ".join(
            f"{control.name} ({control.n_directions}) {control.own:+.3f}"
            for control in effects.controls
        )
        checked = (
            f" Added in earnest, {it.n_vectors} vectors changed {it.n_endings} endings as slopes "
            f"say with r = {it.r:.2f}, {it.ratio:.2f} times as much."
            if (it := pair.checked)
            else ""
        )
        return (
            f"{pair.name.capitalize()}: {effects.own:+.3f} nats per token at dose {pair.dose:g} "
            f"({pair.verdict}). Beside it: {beside or 'no control could be made'}.{checked}"
        )

    def limits(self) -> list[str]:
        """Say what was few, and what intervals do not hold."""
        limits = [
            "Expression steering: the method was chosen after Gemma-3-270m had been seen on the "
            "first four topics of the project's corpus; on those it describes and tests nothing."
        ]
        for pair in filter(lambda pair: pair.effects, self.pairs):
            limits.append(
                f"Expression steering, {pair.name}: {_endings(len(pair.topics))} an emotion of "
                f"{pair.tokens_per_ending:.0f} tokens each; intervals are over emotions, not over "
                "topics."
            )
        if len(self.emotions) < _FEW_EMOTIONS:
            limits.append(
                f"Expression steering: only {len(self.emotions)} emotions, so own effects can "
                "hardly be told from chance."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe own effects beside controls, and what each vector did to all endings."""
        return writing_figures(self)


def measure(materials: Materials) -> ExpressionSteering | NotMeasured:
    """Read endings of one way under vectors of another, and under controls."""
    materials = materials.by_story
    missing = [way for way in ("said", "shown") if way not in materials.ways]
    if missing:
        return NotMeasured(
            _NAME,
            "needs texts that say an emotion beside endings that show it, this run has none that "
            f"are {' or '.join(missing)}",
        )
    if materials.per_cell:
        return NotMeasured(
            _NAME,
            "needs the text of every row, and activations were kept per cell "
            "(activation.keep=story keeps them per story)",
        )
    settings, model = materials.config.validation, materials.subject()
    names = materials.steered_emotions()
    pairs = _pairs_of(materials, model, names)
    if not pairs or len(names) < MIN_EMOTIONS:
        return NotMeasured(
            _NAME,
            f"needs {MIN_EMOTIONS} emotions and a topic with an ending of each, this run has "
            f"{len(names)} emotions and {'such a topic' if pairs else 'no such topic'}",
        )
    texts = neutral_texts(materials.run, settings.n_budget_texts)
    gauge = SteeringCost(model, texts)
    budget = Budget(settings.max_kl, settings.max_perplexity_ratio)
    total = sum(pair.endings.n_endings for pair in pairs)
    with materials.reporter.task(_NAME, total, "endings") as advance:
        measured = [_steer(materials, model, pair, gauge, budget, advance) for pair in pairs]
    return ExpressionSteering(
        model=model.name,
        layer=materials.layer,
        emotions=names,
        budget=budget,
        n_texts=len(texts),
        pairs=measured,
    )


EXPERIMENT = Experiment(ExpressionSteering, measure)


@dataclass(frozen=True)
class _Pair:
    """Vectors of one way, by emotion, what stands in for them, and endings of another way."""

    learned: str
    written: str
    endings: Endings
    vectors: Float[Tensor, "emotion d_model"]
    controls: Mapping[str, ControlDirections]

    @property
    def directions(self) -> Float[Tensor, "direction d_model"]:
        """The vectors, then every control's directions."""
        return torch.cat([self.vectors, *(it.directions for it in self.controls.values())])


def _pairs_of(materials: Materials, model: LanguageModel, names: Sequence[str]) -> list[_Pair]:
    """Make what is steered with; a pair without endings, or without a vector, is left out."""
    chosen = [materials.emotions.index(name) for name in names]
    random = matched_random(materials, len(names), materials.seed + 3)
    pairs = []
    for learned, written, n_topics in _PAIRS:
        if not {learned, written} <= set(materials.ways):
            continue
        texts = materials.placed_texts(written)
        endings = choose_endings(model, texts, chosen, n_topics)
        rows = materials.way(learned)
        if endings is None or not set(chosen) <= set(rows.emotion.tolist()):
            continue
        shape = len(materials.units(learned)), len(materials.emotions)
        basis = materials.neutral_components()
        vectors = way_vectors(rows, basis, shape)
        shuffled = way_vectors(rows, basis, shape, shuffled_by=materials.seed)
        controls = {
            "random directions with the stories' covariance": in_turns(random, len(chosen)),
            "shuffled labels": in_turns(shuffled[chosen], len(chosen)),
            "the valence axis": valence_directions(vectors, materials.emotions, chosen),
        }
        there = {name: control for name, control in controls.items() if control is not None}
        pairs.append(_Pair(learned, written, endings, vectors[chosen], there))
    return pairs


def _steer(
    materials: Materials,
    model: LanguageModel,
    pair: _Pair,
    gauge: SteeringCost,
    budget: Budget,
    advance: Callable[[int], object],
) -> WaySteering:
    """Find the largest dose within the budget, and read the pair's endings at it."""
    layer = materials.layer
    norm = materials.vectors.norm_by_layer[layer]
    tried = pair.vectors[spread_over(range(len(pair.vectors)), _N_GAUGED)]
    costs = [gauge.mean_cost(tried, it, layers=[layer], residual_norm=norm) for it in DOSES]
    dose, effects, checked = usable_dose(costs, budget), None, None
    if dose is not None:
        slopes = pair.endings.slopes(model, layer, advance)
        mean = reduce(slopes, "topic emotion d_model -> emotion d_model", "mean")
        effects = _compare(pair, dose * norm * normalize(pair.directions) @ mean.T, materials)
        on_one = pair.endings.on(pair.endings.topics[0])
        vectors = tried[:_N_CHECKED]
        changed = Steerer(model, layer, norm).changes(on_one, vectors, dose)
        checked = _in_earnest(dose * norm * normalize(vectors) @ slopes[0].T, changed)
    return WaySteering(
        learned=pair.learned,
        written=pair.written,
        topics=list(pair.endings.topics),
        tokens_per_ending=pair.endings.tokens_per_ending,
        costs=costs,
        dose=dose,
        effects=effects,
        checked=checked,
    )


def _in_earnest(
    said: Float[Tensor, "vector ending"], changed: Float[Tensor, "vector ending"]
) -> InEarnest | None:
    """Compare what slopes said with what vectors did; None where nothing changed."""
    said, changed = (it.double() - it.double().mean(dim=1, keepdim=True) for it in (said, changed))
    length = float(said.norm() * changed.norm())
    if not length > 0:
        return None
    dot = float((said * changed).sum())
    ratio = dot / float(said.square().sum())
    n_vectors, n_endings = said.shape
    return InEarnest(n_vectors=n_vectors, n_endings=n_endings, r=dot / length, ratio=ratio)


def _compare(
    pair: _Pair, changes: Float[Tensor, "direction ending"], materials: Materials
) -> OwnEffects:
    sizes = [len(control.directions) for control in pair.controls.values()]
    own, *others = changes.split([len(pair.vectors), *sizes])
    return compare_own(
        own,
        {
            name: control.spread(each)
            for (name, control), each in zip(pair.controls.items(), others, strict=True)
        },
        n_permutations=materials.config.validation.n_permutations,
        seed=materials.seed,
    )


def _endings(n: int) -> str:
    return f"{n} {'ending' if n == 1 else 'endings'}"
