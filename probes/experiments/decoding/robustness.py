r"""The headline statistics of one run under any choice of method.

Valence and arousal, agreement with the paper's clusters (`analysis.agreement`), and accuracy:
stories on held-out topics whose own emotion comes first by a readout:

* dot: :math:`x \cdot v_e`; cosine: the same over :math:`|v_e|`;
* centered cosine: :math:`(x - \bar m) \cdot v_e / |v_e|`;
* z: :math:`x \cdot v_e` less its mean over the training stories, over its spread there.

The run's own choice gives the numbers that `held_out_topics` and `human_ratings` report.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis import agreement, held_out
from probes.analysis.agreement import RatingMatch, cluster_ari, match_ratings
from probes.analysis.findings import Estimate
from probes.analysis.held_out import Design, NeutralBasis, Vectors, bootstrap_vectors
from probes.analysis.intervals import NO_ENDS, SHARE, Ends, estimate_from_spread, mean_over
from probes.experiments.decoding.choice_table import ChoiceLine, Statistics
from probes.experiments.folds import NeutralKind, TopicFolds, basis_of
from probes.runs.materials import Materials
from probes.vectors.denoising import FittedVectors, fit_vectors

Clusters = Float[Tensor, "draw"]
Readout = Literal["centered cosine", "cosine", "dot", "z"]


@dataclass(frozen=True)
class Choice:
    """One way to make vectors and to read with them."""

    neutral: NeutralKind
    threshold: float
    unit_norm: bool = True
    readout: Readout = "centered cosine"


@dataclass(frozen=True)
class Sample:
    """Stories of one layer as they were read, and neutral samples with their topics, by kind.

    `basis` gives the neutral components as the run itself takes them, by held-out folds.
    """

    mean: Float[Tensor, "row d_model"]
    design: Design
    excluded: Callable[[str], int | None]
    neutral: Mapping[str, tuple[Float[Tensor, "sample d_model"], Sequence[str]]]
    basis: Callable[..., NeutralBasis] | None = None

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        """Return the same sample with every activation changed in one way."""
        neutral = {kind: (change(rows), topics) for kind, (rows, topics) in self.neutral.items()}
        return replace(self, mean=change(self.mean), neutral=neutral, basis=None)


@dataclass(frozen=True)
class Outcome:
    """Headline statistics of one choice; `hits` is 1 for every story that was named right.

    `refits` are accuracies of vectors learned anew; `clusters` has the agreement with the paper's
    clusters first, then that of resampled topics.
    """

    matches: Mapping[str, RatingMatch]
    hits: Float[Tensor, "row"]
    refits: Float[Tensor, "refit"]
    clusters: Clusters | None


def choice_of_run(materials: Materials) -> Choice:
    """Return how the run itself does it."""
    vectors = materials.config.vectors
    threshold = 0.0 if vectors.neutral_pca == "none" else vectors.pca_variance_threshold
    return Choice(vectors.neutral_pca, threshold, materials.config.analysis.unit_norm)


def sample_of(
    materials: Materials, folds: TopicFolds, layer: int, kinds: Sequence[NeutralKind] = ()
) -> Sample:
    """Gather one layer of a run, with some kinds of neutral samples."""
    neutral = {kind: materials.neutral_samples(kind, layer) for kind in kinds if kind != "none"}
    mean, basis = materials.stories(layer).mean, folds.basis(layer)
    return Sample(mean, folds.design, folds.excluded, neutral, basis)


class Headline:
    """Computes outcomes of one sample; neutral components are fitted once per kind and share."""

    def __init__(self, materials: Materials, sample: Sample) -> None:
        settings = materials.config.validation
        self.sample = sample
        self.known = agreement.reference(materials.emotions)
        self._n_refits, self._seed = settings.n_refits, materials.seed
        self._mean = sample.mean.double().mean(dim=0)
        self.rows = held_out.centered(sample.mean)
        self._cells = held_out.sum_cells(self.rows, sample.design)
        self._clusters: dict[tuple[str, float, bool], Clusters] = {}
        self._bases: dict[tuple[str, float], Callable[..., NeutralBasis]] = {}
        if sample.basis is not None:
            of_run = choice_of_run(materials)
            self._bases[of_run.neutral, of_run.threshold] = sample.basis

    def outcome(self, choice: Choice) -> Outcome:
        """Measure one choice."""
        design = self.sample.design
        again = held_out.topics_drawn_again(design, self._n_refits, self._seed)
        return Outcome(
            match_ratings(self._vectors(choice), self.known, unit_norm=choice.unit_norm),
            self._hits(choice, torch.ones(len(design.fold_of_topic))),
            torch.stack([self._hits(choice, weight).mean() for weight in again]),
            self._clustered(choice),
        )

    def _hits(self, choice: Choice, weight: Float[Tensor, "topic"]) -> Float[Tensor, "row"]:
        """Tell which rows are named right by vectors that learn so much from each topic."""
        design, basis = self.sample.design, self.basis(choice)
        scored = torch.zeros(len(self.rows), design.n_emotions, dtype=torch.float64)
        for held in range(design.n_folds):
            outside = weight * (design.fold_of_topic != held)
            trained = fit_vectors(self._cells, outside, basis(held))
            members = design.fold == held
            scored[members] = self._read(choice.readout, trained, members)
        return (held_out.rank_of(scored, design.emotion) == 0).double()

    def statistics(self, outcome: Outcome) -> Statistics:
        """Return them with 95% intervals: over emotions the ratings', else over topics."""
        ratings = {scale: agreement.interval_of(match) for scale, match in outcome.matches.items()}
        accuracy = self.by_topics(outcome.hits, outcome.refits, SHARE)
        return self._over_topics(ratings, accuracy, outcome.clusters, 1.0)

    def change(self, before: Outcome, after: Outcome) -> Statistics:
        """Return what a change of method did, the same emotions and topics resampled in both."""
        gains = {
            scale: agreement.gain_in_rating(after.matches[scale], before.matches[scale])
            for scale in before.matches.keys() & after.matches.keys()
        }
        old, new = before.clusters, after.clusters
        clusters = None if old is None or new is None else new - old
        accuracy = self.by_topics(after.hits - before.hits, after.refits - before.refits)
        return self._over_topics(gains, accuracy, clusters)

    def line(self, name: str, outcome: Outcome, before: Outcome | None) -> ChoiceLine:
        """Return one line of a table; `before` is the run's own outcome, None for its own line."""
        change = None if before is None else self.change(before, outcome)
        return ChoiceLine(name=name, change=change, **vars(self.statistics(outcome)))

    def by_topics(
        self,
        values: Float[Tensor, "row"],
        refits: Float[Tensor, "refit"] | None = None,
        within: Ends = NO_ENDS,
    ) -> Estimate:
        """Mean over stories, with its interval over topics and refits."""
        return mean_over(values, self.sample.design.topic, refits=refits, within=within)

    def basis(self, choice: Choice) -> Callable[..., NeutralBasis]:
        """Return a function from held-out folds to the neutral components outside them."""
        key = (choice.neutral, choice.threshold)
        if key not in self._bases:
            none = torch.zeros(0, self.rows.shape[1]), []
            kind = choice.neutral
            samples, topics = none if kind == "none" else self.sample.neutral[kind]
            self._bases[key] = basis_of(samples, topics, self.sample.excluded, choice.threshold)
        return self._bases[key]

    def _over_topics(
        self,
        ratings: Mapping[str, Estimate],
        accuracy: Estimate,
        aris: Clusters | None,
        most: float = math.inf,
    ) -> Statistics:
        scales = {scale: ratings.get(scale) for scale in ("valence", "arousal")}
        ari, n = None, self.sample.design.n_topics
        if aris is not None:
            ari = estimate_from_spread(float(aris[0]), aris[1:], n, least=-most, most=most)
        return Statistics(**scales, accuracy=accuracy, clusters=ari)

    def _vectors(self, choice: Choice) -> Vectors:
        return held_out.vectors_of_all_topics(self._cells, self.basis(choice)())

    def _clustered(self, choice: Choice) -> Clusters | None:
        """Clusters of one choice's vectors, made once: no readout changes them."""
        key = (choice.neutral, choice.threshold, choice.unit_norm)
        if self.known.clusters is None:
            return None
        if key not in self._clusters:
            design, basis = self.sample.design, self.basis(choice)()
            drawn = bootstrap_vectors(self._cells, design, basis, self._n_refits, self._seed)
            options = {"seed": self._seed, "unit_norm": choice.unit_norm}
            vectors = (self._vectors(choice), *drawn)
            aris = [cluster_ari(each, self.known, **options) or 0.0 for each in vectors]
            self._clusters[key] = torch.tensor(aris, dtype=torch.float64)
        return self._clusters[key]

    def _read(
        self, readout: Readout, trained: FittedVectors, members: Bool[Tensor, "row"]
    ) -> Float[Tensor, "member emotion"]:
        # By the vectors' length along each unit vector, from the mean over emotions.
        along = held_out.scores(self.rows[members], trained).double()
        if readout == "centered cosine":
            return along
        length = torch.linalg.vector_norm(trained.vectors.double(), dim=1)
        direction = trained.vectors.double() / rearrange(length.clamp(min=1e-30), "e -> e 1")
        shift = direction @ (self._mean + trained.center.double())
        scored = along + shift
        if readout == "z":
            outside = held_out.scores(self.rows[~members], trained).double()
            scored = (along - outside.mean(dim=0)) / outside.std(dim=0).clamp(min=1e-30)
        elif readout == "dot":
            scored = scored * length
        return scored.masked_fill(~trained.present, -torch.inf)
