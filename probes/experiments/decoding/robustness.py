r"""The headline statistics of one run under any choice of method.

1. Vectors: mean difference, less neutral components of a kind and a share of variance.
2. Valence: |r| of the best of five components with human ratings, arousal: of the best of the
   others; agreement of k-means with the paper's clusters (`headline`), with intervals as wide as it
   spreads when topics are drawn again (`statistics.spread_interval`).
3. Accuracy: stories on held-out topics whose own emotion comes first by a readout (`holdout`):

   * dot: :math:`x \cdot v_e`; cosine: the same over :math:`|v_e|`;
   * centered cosine: :math:`(x - \bar m) \cdot v_e / |v_e|`;
   * z: :math:`x \cdot v_e` less its mean over the training stories, over its spread there.

   :math:`|x|` is the same for all emotions of a story and left out.

Contract: nothing is read or written; a choice changes what it names and nothing else, so the run's
own choice gives the numbers that `held_out_topics` and `human_ratings` report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import (
    RatingMatch,
    Reference,
    cluster_ari,
    gain_in_rating,
    interval_of,
    match_ratings,
    reference,
)
from probes.analysis.held_out import (
    CellSums,
    Design,
    FittedVectors,
    NeutralBasis,
    bootstrap_vectors,
    centered,
    rank_of,
    scores,
    vectors_of_all_topics,
)
from probes.analysis.intervals import estimate_from_spread, mean_by_topics
from probes.experiments.folds import NeutralKind, TopicFolds, basis_of
from probes.runs.materials import Materials

STATISTICS = {
    "valence": "valence |r|",
    "arousal": "arousal |r|",
    "accuracy": "held-out accuracy",
    "clusters": "clusters ARI",
}
"""The headline statistics, and what tables call them."""
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
    """Stories of one layer with the neutral samples that belong to them.

    Attributes
    ----------
    mean
        Activations as they were read, not centered.
    neutral
        Samples and the topic of each, by kind.
    """

    mean: Float[Tensor, "row d_model"]
    design: Design
    neutral: Mapping[str, tuple[Float[Tensor, "sample d_model"], Sequence[str]]]
    excluded: Callable[[str], int | None]

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        """Return the same sample with every activation changed in one way."""
        neutral = {kind: (change(rows), topics) for kind, (rows, topics) in self.neutral.items()}
        return Sample(change(self.mean), self.design, neutral, self.excluded)


@dataclass(frozen=True)
class Clustered:
    """Agreement with the paper's clusters, and what it is when topics are drawn again."""

    ari: float
    again: Float[Tensor, "resample"]


@dataclass(frozen=True)
class Outcome:
    """Headline statistics of one choice."""

    matches: Mapping[str, RatingMatch]
    hits: Float[Tensor, "row"]
    clusters: Clustered | None

    @property
    def accuracy(self) -> float:
        """Share of stories named right."""
        return float(self.hits.mean())


def own_choice(materials: Materials) -> Choice:
    """Return how the run itself does it."""
    vectors = materials.config.vectors
    none = vectors.neutral_pca == "none"
    return Choice(
        vectors.neutral_pca,
        0.0 if none else vectors.pca_variance_threshold,
        materials.config.analysis.unit_norm,
    )


def sample_of(materials: Materials, folds: TopicFolds) -> Sample:
    """Gather a run's target layer."""
    layer = materials.layer
    neutral = {kind: materials.neutral_samples(kind, layer) for kind in ("document", "token")}
    rows = materials.stories(layer).mean
    return Sample(rows, folds.design, neutral, folds.excluded)


@dataclass
class Headline:
    """Computes outcomes of one sample; neutral components are found once per kind and share."""

    sample: Sample
    known: Reference
    n_resamples: int
    n_refits: int
    seed: int
    _clusters: dict[tuple[str, float, bool], Clustered | None] = field(default_factory=dict)
    _bases: dict[tuple[str, float], Callable[..., NeutralBasis]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mean = self.sample.mean.double().mean(dim=0)
        self._rows = centered(self.sample.mean)
        self._cells = CellSums(self._rows, self.sample.design)

    def outcome(self, choice: Choice) -> Outcome:
        """Measure one choice."""
        design, basis = self.sample.design, self._basis(choice)
        everything = torch.ones(len(design.fold_of_topic))
        vectors = self._cells.train(everything, basis()).vectors
        found = torch.zeros(len(self._rows), design.n_emotions, dtype=torch.float64)
        for held in range(design.n_folds):
            trained = self._cells.train((design.fold_of_topic != held).float(), basis(held))
            members = design.fold == held
            found[members] = self._read(choice.readout, trained, members)
        hits = (rank_of(found, design.emotion) == 0).double()
        matches = match_ratings(vectors, self.known, unit_norm=choice.unit_norm)
        return Outcome(matches, hits, self._clustered(choice))

    def to_json(self, found: Outcome) -> dict[str, Any]:
        """Return `STATISTICS` with 95% intervals: over emotions the ratings', else over topics."""
        result: dict[str, Any] = dict.fromkeys(STATISTICS)
        for scale, match in found.matches.items():
            result[scale] = interval_of(match).to_json()
        if (own := found.clusters) is not None:
            n_topics = self.sample.design.n_topics
            clusters = estimate_from_spread(own.ari, own.again, n_topics, least=-1.0, most=1.0)
            result["clusters"] = None if clusters is None else clusters.to_json()
        return {**result, "accuracy": self._accuracy(found.hits)}

    def change(self, before: Outcome, after: Outcome) -> dict[str, Any]:
        """Return what a change of method did, the same emotions and topics drawn again in both."""
        result: dict[str, Any] = dict.fromkeys(STATISTICS)
        for scale in before.matches.keys() & after.matches.keys():
            gain = gain_in_rating(
                after.matches[scale], before.matches[scale], self.n_resamples, self.seed
            )
            result[scale] = gain.to_json()
        old, new = before.clusters, after.clusters
        if old is not None and new is not None:
            drawn = new.again - old.again
            change = estimate_from_spread(new.ari - old.ari, drawn, self.sample.design.n_topics)
            result["clusters"] = None if change is None else change.to_json()
        return {**result, "accuracy": self._accuracy(after.hits - before.hits)}

    def _clustered(self, choice: Choice) -> Clustered | None:
        """Clusters of one choice's vectors, which hang on no readout: found once."""
        key = (choice.neutral, choice.threshold, choice.unit_norm)
        if self.known.clusters is None:
            return None
        if key not in self._clusters:
            design, basis = self.sample.design, self._basis(choice)()
            own = vectors_of_all_topics(self._cells, design, basis).vectors
            drawn = bootstrap_vectors(self._cells, design, basis, self.n_refits, self.seed)
            found = [
                cluster_ari(vectors, self.known, seed=self.seed, unit_norm=choice.unit_norm) or 0.0
                for vectors in (own, *drawn)
            ]
            again = torch.tensor(found[1:], dtype=torch.float64)
            self._clusters[key] = Clustered(found[0], again)
        return self._clusters[key]

    def _accuracy(self, values: Float[Tensor, "row"]) -> dict[str, float]:
        topic = self.sample.design.topic
        return mean_by_topics(values, topic, self.n_resamples, self.seed).to_json()

    def _basis(self, choice: Choice) -> Callable[..., NeutralBasis]:
        if choice.neutral == "none" or choice.threshold == 0:
            nothing = torch.zeros(0, self._rows.shape[1])
            return basis_of(nothing, [], self.sample.excluded, 0.0)
        key = (choice.neutral, choice.threshold)
        if key not in self._bases:
            samples, topics = self.sample.neutral[choice.neutral]
            self._bases[key] = basis_of(samples, topics, self.sample.excluded, choice.threshold)
        return self._bases[key]

    def _read(
        self, readout: Readout, trained: FittedVectors, members: Tensor
    ) -> Float[Tensor, "row emotion"]:
        # By the vectors' length along each unit vector, from the mean over emotions.
        along = scores(self._rows, trained).double()
        if readout == "centered cosine":
            return along[members]
        length = torch.linalg.vector_norm(trained.vectors.double(), dim=1)
        direction = trained.vectors.double() / rearrange(length.clamp(min=1e-30), "e -> e 1")
        shift = direction @ (self._mean + trained.center.double())
        if readout == "z":
            outside = along[~members]
            spread = outside.std(dim=0).clamp(min=1e-30)
            found = (along[members] - outside.mean(dim=0)) / spread
        elif readout == "cosine":
            found = along[members] + shift
        else:
            found = (along[members] + shift) * length
        return found.masked_fill(~trained.present, -torch.inf)


def headline_of(
    materials: Materials, sample: Sample, emotions: Sequence[str] | None = None
) -> Headline:
    """Return the headline of a sample, with a run's settings."""
    known = reference(materials.emotions if emotions is None else emotions)
    settings = materials.config.validation
    return Headline(sample, known, settings.n_bootstrap, settings.n_refits, materials.seed)
