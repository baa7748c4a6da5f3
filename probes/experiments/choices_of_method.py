r"""The headline statistics of one run under any choice of method.

1. Vectors: mean difference, less neutral components of a kind and a share of variance.
2. Valence: |r| of the best of five components with human ratings (`headline`).
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

from probes.accuracy import Estimate, mean_by_topics
from probes.folds import Folds, NeutralKind, basis_of
from probes.headline import Reference, ValenceMatch, gain_in_valence, match_valence, reference
from probes.holdout import Basis, CellSums, Design, Trained, centered, rank_of, scores
from probes.materials import Materials
from probes.statistics import pearson

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
class Outcome:
    """Headline statistics of one choice."""

    match: ValenceMatch | None
    hits: Float[Tensor, "row"]

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


def sample_of(materials: Materials, folds: Folds) -> Sample:
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
    seed: int
    _bases: dict[tuple[str, float], Callable[..., Basis]] = field(default_factory=dict)

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
        match = match_valence(vectors, self.known, unit_norm=choice.unit_norm)
        return Outcome(match, hits)

    def to_json(self, found: Outcome) -> dict[str, Any]:
        """Return both statistics with 95% intervals: over emotions, and over topics."""
        valence = None
        if found.match is not None and self.known.valence is not None:
            r = pearson(found.match.coordinate, self.known.valence)
            valence = {"value": found.match.r, "low": r.low, "high": r.high}
        return {"valence": valence, "accuracy": self._accuracy(found.hits)}

    def change(self, before: Outcome, after: Outcome) -> dict[str, Any]:
        """Return what a change of method did, the same emotions and topics drawn again in both."""
        valence = None
        if before.match and after.match and self.known.valence is not None:
            draws = gain_in_valence(
                after.match, before.match, self.known.valence, self.n_resamples, self.seed
            )
            valence = Estimate.from_draws(after.match.r - before.match.r, draws).to_json()
        return {"valence": valence, "accuracy": self._accuracy(after.hits - before.hits)}

    def _accuracy(self, values: Float[Tensor, "row"]) -> dict[str, float]:
        topic = self.sample.design.topic
        return mean_by_topics(values, topic, self.n_resamples, self.seed).to_json()

    def _basis(self, choice: Choice) -> Callable[..., Basis]:
        if choice.neutral == "none" or choice.threshold == 0:
            nothing = torch.zeros(0, self._rows.shape[1])
            return basis_of(nothing, [], self.sample.excluded, 0.0)
        key = (choice.neutral, choice.threshold)
        if key not in self._bases:
            samples, topics = self.sample.neutral[choice.neutral]
            self._bases[key] = basis_of(samples, topics, self.sample.excluded, choice.threshold)
        return self._bases[key]

    def _read(
        self, readout: Readout, trained: Trained, members: Tensor
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
    return Headline(sample, known, materials.config.validation.n_bootstrap, materials.seed)
