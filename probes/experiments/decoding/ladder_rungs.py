"""The rungs of the null ladder: one run's statistics with less and less of the model in them.

Every rung is measured in the same way:

* valence: |r| of the best of five components with human ratings (`headline`);
* accuracy: share of stories on held-out topics whose own emotion comes first (`holdout`);
* clusters: adjusted Rand index with the paper's clusters.

Contract: plain values out, each with a 95% interval: over emotions (valence), over topics
(accuracy; clusters by `statistics.spread_interval`), or the central 95% of directions or labels
(the rungs that are chance).
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
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
    FittedVectors,
    NeutralBasis,
    Rows,
    bootstrap_vectors,
    held_out_ranks,
    permute_within_topics,
    permuted_hits,
    permuted_vectors,
    rank_of,
    scores,
    vectors_of_all_topics,
)
from probes.analysis.intervals import estimate_from_spread, mean_by_topics, mean_of_draws
from probes.experiments.decoding.embedded_stories import embedded_stories, name_embeddings
from probes.experiments.folds import TopicFolds
from probes.runs.materials import Materials
from probes.vectors.normalize import normalize

EMBEDDINGS, EARLY, CHOSEN = "input embeddings", "early layer", "analyzed layer"


class Ladder:
    """What the rungs share: stories as three stages of the model hold them, folds, known answers.

    Attributes
    ----------
    folds
        The run's topics, dealt.
    known
        Human valence and the paper's clusters, for the run's emotions.
    early
        Layer of the early rung: a quarter of the way to the analyzed one; None where no layer
        below it was kept.
    n_refits
        Draws of directions, labels and topics.
    """

    def __init__(self, materials: Materials) -> None:
        settings = materials.config.validation
        self.folds = TopicFolds(materials, settings.n_folds)
        self.known: Reference = reference(materials.emotions)
        below = [layer for layer in materials.layers if layer < materials.layer]
        self.early = min(below, key=lambda layer: abs(layer - materials.layer / 4), default=None)
        self.n_refits = settings.n_refits
        self._n_bootstrap, self._seed = settings.n_bootstrap, materials.seed
        self._unit_norm = materials.config.analysis.unit_norm
        self._n_emotions = len(materials.emotions)
        self._layer = {EARLY: self.early, CHOSEN: materials.layer}
        model, design = materials.subject(), self.folds.design
        self._names = name_embeddings(model, materials.emotions)
        rows, basis = embedded_stories(materials, model, self.folds)
        self._rows: dict[str, Rows] = {EMBEDDINGS: rows}
        self._basis: dict[str, NeutralBasis] = {EMBEDDINGS: basis()}
        self._bases: dict[str, list[NeutralBasis]] = {
            EMBEDDINGS: [basis(fold) for fold in range(design.n_folds)]
        }
        for name, layer in self._layer.items():
            if layer is not None:
                self._rows[name] = self.folds.rows(layer)
                self._basis[name] = self.folds.basis(layer)()
                self._bases[name] = self.folds.bases(layer)
        self._cells = {name: CellSums(rows, design) for name, rows in self._rows.items()}
        self._hits: dict[str, Tensor] = {}
        self._matches: dict[str, RatingMatch | None] = {}
        self._drawn_again: dict[str, Tensor] = {}

    @property
    def story_rungs(self) -> list[str]:
        """Rungs that hold the run's stories, from the lowest."""
        return list(self._rows)

    def random(self) -> dict[str, Any]:
        """Measure random directions in place of vectors."""
        rows = self._rows[CHOSEN]
        generator = torch.Generator().manual_seed(self._seed)
        drawn = torch.randn(self.n_refits, self._n_emotions, rows.shape[1], generator=generator)
        right = [self._nearest(rows, vectors).double().mean() for vectors in drawn]
        return self._chance_rung("random directions", list(drawn), torch.stack(right))

    def shuffled(self) -> dict[str, Any]:
        """Measure vectors of stories whose emotions were dealt out anew within topics."""
        rows, design = self._rows[CHOSEN], self.folds.design
        dealt = permute_within_topics(design, self.n_refits, self._seed)
        vectors = permuted_vectors(rows, design, self._basis[CHOSEN], dealt)
        right = permuted_hits(rows, design, self._bases[CHOSEN], dealt)
        return self._chance_rung("shuffled labels", vectors, right)

    def names(self) -> dict[str, Any]:
        """Measure the embeddings of the emotions' own words."""
        hits = self._nearest(self._rows[EMBEDDINGS], self._names)
        match = self._match(self._names)
        ari = self._ari(self._names)
        return {
            "name": "name embedding",
            "valence": self._valence(match),
            "accuracy": self._by_topics(hits.double()),
            "clusters": None if ari is None else {"value": ari, "low": None, "high": None},
        }

    def stories(self, name: str) -> dict[str, Any]:
        """Measure vectors of the stories as one stage of the model holds them."""
        design = self.folds.design
        vectors = self._vectors(name)
        self._hits[name] = held_out_ranks(self._rows[name], design, self._bases[name]) == 0
        self._matches[name] = self._match(vectors)
        ari, again = self._ari(vectors), self._ari_again(name)
        clusters = None
        if ari is not None:
            clusters = estimate_from_spread(ari, again, design.n_topics, least=-1.0, most=1.0)
        layer = self._layer.get(name)
        return {
            "name": name if layer is None else f"{name} ({layer})",
            "valence": self._valence(self._matches[name]),
            "accuracy": self._by_topics(self._hits[name].double()),
            "clusters": None if clusters is None else clusters.to_json(),
        }

    def gain(self) -> dict[str, Any]:
        """Analyzed layer less input embeddings, the same emotions and topics drawn in both."""
        first, second = self._matches[CHOSEN], self._matches[EMBEDDINGS]
        valence = None
        if first is not None and second is not None:
            valence = gain_in_rating(first, second, self._n_bootstrap, self._seed).to_json()
        again = [self._ari_again(name) for name in (CHOSEN, EMBEDDINGS)]
        values = [self._ari(self._vectors(name)) or 0.0 for name in (CHOSEN, EMBEDDINGS)]
        change, n_topics = values[0] - values[1], self.folds.design.n_topics
        clusters = estimate_from_spread(change, again[0] - again[1], n_topics)
        paired = self._hits[CHOSEN].double() - self._hits[EMBEDDINGS].double()
        return {
            "valence": valence,
            "accuracy": self._by_topics(paired),
            "clusters": None if clusters is None else clusters.to_json(),
        }

    def _vectors(self, name: str) -> Float[Tensor, "emotion d_model"]:
        design = self.folds.design
        return vectors_of_all_topics(self._cells[name], design, self._basis[name]).vectors

    def _ari(self, vectors: Float[Tensor, "emotion d_model"]) -> float | None:
        return cluster_ari(vectors, self.known, seed=self._seed, unit_norm=self._unit_norm)

    def _ari_again(self, name: str) -> Float[Tensor, "resample"]:
        """Agreement with the paper's clusters when topics are drawn again."""
        if self.known.clusters is None:
            return torch.zeros(0)
        if name not in self._drawn_again:
            cells, basis = self._cells[name], self._basis[name]
            again = bootstrap_vectors(cells, self.folds.design, basis, self.n_refits, self._seed)
            found = [self._ari(vectors) for vectors in again]
            self._drawn_again[name] = torch.tensor(found, dtype=torch.float64)
        return self._drawn_again[name]

    def _by_topics(self, values: Float[Tensor, "row"]) -> dict[str, float]:
        topic = self.folds.design.topic
        return mean_by_topics(values, topic, self._n_bootstrap, self._seed).to_json()

    def _match(self, vectors: Float[Tensor, "emotion d_model"]) -> RatingMatch | None:
        return match_ratings(vectors, self.known, unit_norm=self._unit_norm).get("valence")

    def _valence(self, match: RatingMatch | None) -> dict[str, Any] | None:
        if match is None:
            return None
        return {**interval_of(match).to_json(), "component": match.component}

    def _nearest(
        self, rows: Rows, vectors: Float[Tensor, "emotion d_model"]
    ) -> Bool[Tensor, "row"]:
        """Whether the nearest of given vectors is the row's own; rows are centered."""
        nowhere = torch.zeros(rows.shape[1])
        present = torch.ones(len(vectors), dtype=torch.bool)
        found = scores(rows, FittedVectors(normalize(vectors), nowhere, present))
        return rank_of(found, self.folds.design.emotion) == 0

    def _chance_rung(
        self,
        name: str,
        drawn: Sequence[Float[Tensor, "emotion d_model"]],
        right: Float[Tensor, "draw"],
    ) -> dict[str, Any]:
        matches = [self._match(each) for each in drawn]
        aris = [self._ari(each) for each in drawn]
        return {
            "name": name,
            "valence": _spread([match.r for match in matches if match is not None]),
            "accuracy": _spread(right.tolist()),
            "clusters": _spread([ari for ari in aris if ari is not None]),
        }


def _spread(draws: Sequence[float]) -> dict[str, float] | None:
    """Mean of draws with the central 95% of them."""
    return mean_of_draws(torch.tensor(draws, dtype=torch.float64)).to_json() if draws else None
