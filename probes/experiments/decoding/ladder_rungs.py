"""The rungs of the null ladder: one run's statistics with less and less of the model in them.

Valence and arousal are |r| of the best of five components with human ratings
(`analysis.agreement`). 95% intervals are over emotions (ratings) or topics and refits
(accuracy, clusters), or the central 95% of directions or labels (the rungs that are chance).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.agreement import RatingMatch, cluster_ari, interval_of, match_ratings
from probes.analysis.findings import Estimate
from probes.analysis.held_out import Rows, Vectors
from probes.analysis.intervals import SHARE, mean_of_draws
from probes.experiments.decoding.robustness import Headline, Outcome, choice_of_run, sample_of
from probes.experiments.decoding.worded_stories import name_embeddings, worded_stories
from probes.experiments.folds import TopicFolds
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS
from probes.runs.materials import Materials
from probes.vectors.denoising import FittedVectors
from probes.vectors.normalize import normalize

EARLY, CHOSEN = "early layer", "analyzed layer"
RANDOM, SHUFFLED, NAMES = "random directions", "shuffled labels", "name embedding"


@dataclass(frozen=True)
class RatedRung(Estimate):
    """|r| with a human rating; `component` is None where every draw has its own."""

    component: int | None = None


@dataclass(frozen=True)
class Rung:
    """One set of vectors; None where the run's emotions have too few ratings or clusters."""

    name: str
    valence: RatedRung | None
    accuracy: Estimate
    clusters: Estimate | None
    arousal: RatedRung | None = None


@dataclass(frozen=True)
class Gain:
    """The analyzed layer less the better reader of words, of each statistic; `over` names it."""

    valence: Estimate | None
    accuracy: Estimate
    clusters: Estimate | None
    arousal: Estimate | None
    over: Mapping[str, str]


class Ladder:
    """What the rungs share: stories as stages of the model hold them, folds, known answers."""

    def __init__(self, materials: Materials) -> None:
        settings = materials.config.validation
        self.folds = TopicFolds(materials, settings.n_folds)
        # A quarter of the way to the analyzed layer, or the nearest that was kept below it.
        below = [layer for layer in materials.layers if layer < materials.layer]
        self.early = min(below, key=lambda layer: abs(layer - materials.layer / 4), default=None)
        self.n_refits, self._seed = settings.n_refits, materials.seed
        self._choice = choice_of_run(materials)
        model = materials.subject()
        self._names = name_embeddings(model, materials.emotions)
        samples = worded_stories(materials, model, self.folds)
        self._layer = {EARLY: self.early, CHOSEN: materials.layer}
        for name, layer in self._layer.items():
            if layer is not None:
                samples[name] = sample_of(materials, self.folds, layer)
        self._headlines = {name: Headline(materials, sample) for name, sample in samples.items()}
        self._outcomes: dict[str, Outcome] = {}
        self.known = self._headlines[CHOSEN].known

    @property
    def rungs(self) -> list[Callable[[], Rung]]:
        """What measures each rung, from the lowest; none needs another's."""
        stories = [partial(self.stories, name) for name in self._headlines]
        return [self.random, self.shuffled, self.names, *stories]

    def random(self) -> Rung:
        """Measure random directions in place of vectors."""
        rows, n_emotions = self._headlines[CHOSEN].rows, self.folds.design.n_emotions
        generator = torch.Generator().manual_seed(self._seed)
        drawn = torch.randn(self.n_refits, n_emotions, rows.shape[1], generator=generator)
        right = [self._nearest(rows, vectors).double().mean() for vectors in drawn]
        return self._chance_rung(RANDOM, list(drawn), torch.stack(right))

    def shuffled(self) -> Rung:
        """Measure vectors of stories whose emotion labels were shuffled within topics."""
        rows, design = self._headlines[CHOSEN].rows, self.folds.design
        of_run = self._headlines[CHOSEN].basis(self._choice)
        basis, bases = of_run(), list(map(of_run, range(design.n_folds)))
        vectors, right = [], []
        for each in held_out.permute_within_topics(design, self.n_refits, self._seed):
            vectors.append(held_out.vectors_of_all_topics(held_out.sum_cells(rows, each), basis))
            hits = held_out.held_out_ranks(rows, each, bases) == 0
            right.append(hits.double().mean())
        return self._chance_rung(SHUFFLED, vectors, torch.stack(right))

    def names(self) -> Rung:
        """Measure the embeddings of the emotions' own words."""
        headline, ari = self._headlines[EMBEDDINGS], self._ari(self._names)
        accuracy = headline.by_topics(
            self._nearest(headline.rows, self._names).double(), within=SHARE
        )
        clusters = None if ari is None else Estimate(ari)
        rated = {scale: _rated(match) for scale, match in self._matches(self._names).items()}
        return Rung(NAMES, rated.get("valence"), accuracy, clusters, rated.get("arousal"))

    def stories(self, name: str) -> Rung:
        """Measure vectors of the stories as one stage of the model holds them."""
        headline = self._headlines[name]
        outcome = self._outcomes[name] = headline.outcome(self._choice)
        statistics, layer = headline.statistics(outcome), self._layer.get(name)
        return Rung(
            name if layer is None else f"{name} ({layer})",
            _rated(outcome.matches.get("valence")),
            statistics.accuracy,
            statistics.clusters,
            _rated(outcome.matches.get("arousal")),
        )

    def gain(self) -> Gain:
        """Analyzed layer less words, the same emotions and topics resampled in both."""
        after, gains, over = self._outcomes[CHOSEN], {}, {}
        changes = {
            name: self._headlines[CHOSEN].change(self._outcomes[name], after)
            for name in (WORD_COUNTS, EMBEDDINGS)
        }
        for statistic in ("valence", "arousal", "accuracy", "clusters"):
            known = {
                name: gain
                for name, change in changes.items()
                if (gain := getattr(change, statistic)) is not None
            }
            gains[statistic] = None
            if known:
                over[statistic] = min(known, key=lambda name: known[name].value)
                gains[statistic] = known[over[statistic]]
        return Gain(**gains, over=over)

    def _ari(self, vectors: Vectors) -> float | None:
        unit_norm = self._choice.unit_norm
        return cluster_ari(vectors, self.known, seed=self._seed, unit_norm=unit_norm)

    def _matches(self, vectors: Vectors) -> Mapping[str, RatingMatch]:
        return match_ratings(vectors, self.known, unit_norm=self._choice.unit_norm)

    def _nearest(self, rows: Rows, vectors: Vectors) -> Bool[Tensor, "row"]:
        """Whether the nearest of given vectors is the row's own; rows are centered."""
        nowhere = torch.zeros(rows.shape[1])
        present = torch.ones(len(vectors), dtype=torch.bool)
        scored = held_out.scores(rows, FittedVectors(normalize(vectors), nowhere, present))
        return held_out.rank_of(scored, self.folds.design.emotion) == 0

    def _chance_rung(
        self, name: str, drawn: Sequence[Vectors], right: Float[Tensor, "draw"]
    ) -> Rung:
        """Mean of draws with the central 95% of them."""
        matches = list(map(self._matches, drawn))
        spreads = {
            scale: _spread([match[scale].r for match in matches if scale in match])
            for scale in ("valence", "arousal")
        }
        rated = {scale: it and RatedRung(**vars(it)) for scale, it in spreads.items()}
        clusters = _spread([ari for each in drawn if (ari := self._ari(each)) is not None])
        return Rung(name, rated["valence"], mean_of_draws(right), clusters, rated["arousal"])


def _rated(match: RatingMatch | None) -> RatedRung | None:
    return match and RatedRung(**vars(interval_of(match)), component=match.component)


def _spread(draws: Sequence[float]) -> Estimate | None:
    return mean_of_draws(torch.tensor(draws, dtype=torch.float64)) if draws else None
