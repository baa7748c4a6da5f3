"""Null ladder: how much of the result is there without the model's own work.

The same three statistics (valence, held-out accuracy, agreement with the paper's clusters) climb
from nothing to the analyzed layer:

1. random directions;
2. vectors of the analyzed layer from stories whose emotions were dealt out anew within topics;
3. the input embedding of the emotion's own name;
4. vectors made in the same way from mean *input embeddings* over the stories' tokens: the words
   are known, no block of the model has run;
5. an early layer;
6. the analyzed layer.

What the model adds is the analyzed layer less the input embeddings, with an interval.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks import FromToken, LanguageModel
from hooks.embeddings import input_embedding, mean_input_embedding
from probes.accuracy import mean_by_topics, topic_counts
from probes.corpus import read_corpus
from probes.experiments import Experiment, Measured
from probes.experiments.steering_words import first_tokens
from probes.figures import Figure
from probes.figures.ladder_figures import null_ladder
from probes.folds import MIN_TOPICS, Folds, basis_of
from probes.geometry import unit
from probes.headline import (
    Reference,
    ValenceMatch,
    cluster_ari,
    gain_in_valence,
    match_valence,
    reference,
)
from probes.holdout import (
    Basis,
    CellSums,
    Rows,
    Trained,
    centered,
    dealt_within_topics,
    held_out_ranks,
    permuted_hits,
    rank_of,
    scores,
)
from probes.materials import Materials
from probes.statistics import pearson, percentile_interval

STATISTICS = ("valence", "accuracy", "clusters")


def measure(materials: Materials) -> Measured:
    """Climb the ladder."""
    n_topics = len(materials.topics)
    if n_topics < MIN_TOPICS:
        why = f"Null ladder: needs {MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured({"rungs": None}, [("null ladder", "not measured: too few")], why, [why])
    ladder = _Ladder(materials)
    n_steps = 2 + len(ladder.story_rungs)
    with materials.reporter.task("null ladder", n_steps + 1, "rungs") as advance:
        rungs = [ladder.random()]
        advance(1)
        rungs.append(ladder.shuffled())
        advance(1)
        rungs.append(ladder.names())
        for name in ladder.story_rungs:
            rungs.append(ladder.stories(name))
            advance(1)
        gain = ladder.gain()
        advance(1)
    known = ladder.known
    values = {
        "model": materials.index["model"],
        "emotions": materials.emotions,
        "layer": materials.layer,
        "early_layer": ladder.early,
        "n_rows": len(ladder.folds.design.emotion),
        "n_topics": n_topics,
        "n_folds": ladder.folds.design.n_folds,
        "n_rated": len(known.rated) if known.valence is not None else 0,
        "n_clustered": len(known.clustered) if known.clusters is not None else 0,
        "n_refits": ladder.n_refits,
        "chance": 1 / len(materials.emotions),
        "rungs": rungs,
        "gain": gain,
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the ladder."""
    return {} if values["rungs"] is None else {"null_ladder": null_ladder(values)}


EXPERIMENT = Experiment(measure, figures)

_EMBEDDINGS, _EARLY, _CHOSEN = "input embeddings", "early layer", "analyzed layer"


class _Ladder:
    """What the rungs share."""

    def __init__(self, materials: Materials) -> None:
        self.materials = materials
        settings = materials.config.validation
        self.n_refits, self.n_bootstrap = settings.n_refits, settings.n_bootstrap
        self.seed = materials.seed
        self.folds = Folds(materials, settings.n_folds)
        self.known: Reference = reference(materials.emotions)
        self.unit_norm = materials.config.analysis.unit_norm
        below = [layer for layer in materials.layers if layer < materials.layer]
        self.early = min(below, key=lambda layer: abs(layer - materials.layer / 4), default=None)
        model = materials.subject()
        self._names = name_embeddings(model, materials.emotions)
        embedded, basis = embedded_stories(materials, model, self.folds)
        design = self.folds.design
        self._rows: dict[str, Rows] = {_EMBEDDINGS: embedded}
        self._bases: dict[str, list[Basis]] = {
            _EMBEDDINGS: [basis(fold) for fold in range(design.n_folds)]
        }
        self._basis: dict[str, Basis] = {_EMBEDDINGS: basis()}
        for name, layer in ((_EARLY, self.early), (_CHOSEN, materials.layer)):
            if layer is not None:
                of = self.folds.basis(layer)
                self._rows[name] = self.folds.rows(layer)
                self._bases[name] = [of(fold) for fold in range(design.n_folds)]
                self._basis[name] = of()
        self._cells = {name: CellSums(rows, design) for name, rows in self._rows.items()}
        self._hits: dict[str, Tensor] = {}
        self._matches: dict[str, ValenceMatch | None] = {}

    @property
    def story_rungs(self) -> list[str]:
        return list(self._rows)

    def random(self) -> dict[str, Any]:
        rows = self._rows[_CHOSEN]
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.n_refits, len(self.materials.emotions), rows.shape[1])
        drawn = torch.randn(*shape, generator=generator)
        hits = torch.tensor([self._named(rows, vectors) for vectors in drawn])
        return self._null_rung("random directions", drawn, hits)

    def shuffled(self) -> dict[str, Any]:
        rows, design = self._rows[_CHOSEN], self.folds.design
        dealt = dealt_within_topics(design, self.n_refits, self.seed)
        everything = torch.ones(len(design.fold_of_topic))
        vectors = [
            CellSums(rows, design, labels).train(everything, self._basis[_CHOSEN]).vectors
            for labels in dealt
        ]
        hits = permuted_hits(rows, design, self._bases[_CHOSEN], dealt)
        return self._null_rung("shuffled labels", vectors, hits)

    def names(self) -> dict[str, Any]:
        vectors = self._names
        rows, topic = self._rows[_EMBEDDINGS], self.folds.design.topic
        hits = _nearest(rows, vectors, self.folds.design.emotion)
        accuracy = mean_by_topics(hits.double(), topic, self.n_bootstrap, self.seed)
        ari = cluster_ari(vectors, self.known, seed=self.seed, unit_norm=self.unit_norm)
        return {
            "name": "name embedding",
            "valence": self._valence(match_valence(vectors, self.known, unit_norm=self.unit_norm)),
            "accuracy": accuracy.to_json(),
            "clusters": None if ari is None else {"value": ari, "low": None, "high": None},
        }

    def stories(self, name: str) -> dict[str, Any]:
        design = self.folds.design
        ranks = held_out_ranks(self._rows[name], design, self._bases[name])
        self._hits[name] = ranks == 0
        vectors = self._vectors(name, torch.ones(len(design.fold_of_topic))).vectors
        match = match_valence(vectors, self.known, unit_norm=self.unit_norm)
        self._matches[name] = match
        accuracy = mean_by_topics(
            self._hits[name].double(), design.topic, self.n_bootstrap, self.seed
        )
        ari = cluster_ari(vectors, self.known, seed=self.seed, unit_norm=self.unit_norm)
        again = self._ari_again(name)
        clusters = None
        if ari is not None and len(again) >= 2:
            low, high = percentile_interval(again)
            clusters = {"value": ari, "low": float(low), "high": float(high)}
        layer = {_EARLY: self.early, _CHOSEN: self.materials.layer}.get(name)
        return {
            "name": name if layer is None else f"{name} ({layer})",
            "valence": self._valence(match),
            "accuracy": accuracy.to_json(),
            "clusters": clusters,
        }

    def gain(self) -> dict[str, Any]:
        """Analyzed layer less input embeddings, for every statistic."""
        found: dict[str, Any] = dict.fromkeys(STATISTICS)
        first, second = self._matches[_CHOSEN], self._matches[_EMBEDDINGS]
        if first is not None and second is not None and self.known.valence is not None:
            draws = gain_in_valence(first, second, self.known.valence, self.n_bootstrap, self.seed)
            low, high = percentile_interval(draws)
            value = first.r - second.r
            found["valence"] = {"value": value, "low": float(low), "high": float(high)}
        paired = self._hits[_CHOSEN].double() - self._hits[_EMBEDDINGS].double()
        topic = self.folds.design.topic
        found["accuracy"] = mean_by_topics(paired, topic, self.n_bootstrap, self.seed).to_json()
        # The same draws of topics in both.
        first_ari, second_ari = self._ari_again(_CHOSEN), self._ari_again(_EMBEDDINGS)
        if len(first_ari) >= 2:
            everything = torch.ones(len(self.folds.design.fold_of_topic))
            value = [
                cluster_ari(
                    self._vectors(name, everything).vectors,
                    self.known,
                    seed=self.seed,
                    unit_norm=self.unit_norm,
                )
                for name in (_CHOSEN, _EMBEDDINGS)
            ]
            low, high = percentile_interval(first_ari - second_ari)
            found["clusters"] = {
                "value": (value[0] or 0.0) - (value[1] or 0.0),
                "low": float(low),
                "high": float(high),
            }
        return found

    def _vectors(self, name: str, weight: Float[Tensor, "topic"]) -> Trained:
        return self._cells[name].train(weight, self._basis[name])

    def _ari_again(self, name: str) -> Float[Tensor, "resample"]:
        """Agreement with the paper's clusters when topics are drawn again."""
        if self.known.clusters is None:
            return torch.zeros(0)
        counts = topic_counts(self.folds.design.topic, self.n_refits, self.seed)
        n_topics = len(self.folds.design.fold_of_topic)
        found = []
        for drawn in counts:
            weight = torch.zeros(n_topics)
            weight[: len(drawn)] = drawn.float()
            trained = self._vectors(name, weight)
            if trained.present.all():
                found.append(
                    cluster_ari(
                        trained.vectors, self.known, seed=self.seed, unit_norm=self.unit_norm
                    )
                )
        return torch.tensor(found, dtype=torch.float64)

    def _named(self, rows: Rows, vectors: Float[Tensor, "emotion d_model"]) -> float:
        return float(_nearest(rows, vectors, self.folds.design.emotion).double().mean())

    def _valence(self, match: ValenceMatch | None) -> dict[str, Any] | None:
        if match is None or self.known.valence is None:
            return None
        found = pearson(match.coordinate, self.known.valence)
        return {
            "value": match.r,
            "low": found.low,
            "high": found.high,
            "component": match.component,
        }

    def _null_rung(
        self,
        name: str,
        drawn: Sequence[Float[Tensor, "emotion d_model"]] | Float[Tensor, "draw emotion d_model"],
        hits: Float[Tensor, "draw"],
    ) -> dict[str, Any]:
        matches = [match_valence(each, self.known, unit_norm=self.unit_norm) for each in drawn]
        aris = [
            cluster_ari(each, self.known, seed=self.seed, unit_norm=self.unit_norm)
            for each in drawn
        ]
        return {
            "name": name,
            "valence": _spread([match.r for match in matches if match is not None]),
            "accuracy": _spread(hits.tolist()),
            "clusters": _spread([ari for ari in aris if ari is not None]),
        }


def _nearest(
    rows: Rows, vectors: Float[Tensor, "emotion d_model"], emotion: Int[Tensor, "row"]
) -> Bool[Tensor, "row"]:
    """Whether the nearest of given vectors is the row's own; rows are centered."""
    nowhere = torch.zeros(rows.shape[1])
    present = torch.ones(len(vectors), dtype=torch.bool)
    return rank_of(scores(rows, Trained(unit(vectors), nowhere, present)), emotion) == 0


def _spread(draws: Sequence[float]) -> dict[str, float] | None:
    """Mean of draws with the central 95% of them."""
    if not draws:
        return None
    values = torch.tensor(draws, dtype=torch.float64)
    low, high = percentile_interval(values)
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def name_embeddings(
    model: LanguageModel, emotions: Sequence[str]
) -> Float[Tensor, "emotion d_embedding"]:
    """Mean input embedding of the tokens of each emotion's word, less the mean over emotions."""
    matrix = input_embedding(model)
    rows = [
        matrix[torch.tensor(ids, device=matrix.device)].float().mean(dim=0).cpu()
        for ids in first_tokens(model, emotions)
    ]
    return centered(torch.stack(rows).detach())


def embedded_stories(materials: Materials, model: LanguageModel, folds: Folds) -> tuple[Rows, Any]:
    """Mean input embedding of every row's story, and the neutral components by held-out folds.

    The tokens are those that were pooled; neutral components are of documents, with the run's
    share of variance.
    """
    settings = materials.config
    positions = FromToken(settings.activation.token_offset)
    stories = materials.stories(materials.layers[0])
    texts = list(read_corpus(materials.run.root, materials.run.story_cells))
    found = mean_input_embedding(model, [text.text for text in texts], positions)
    by_cell = materials.index["per_cell"]
    sums: dict[tuple[Any, ...], list[Tensor]] = {}
    for text, row in zip(texts, found, strict=True):
        key = (text.emotion, text.topic, -1 if by_cell else text.index)
        if row.isfinite().all():
            sums.setdefault(key, []).append(row)
    keys = zip(
        stories.emotion.tolist(), stories.topic.tolist(), stories.index.tolist(), strict=True
    )
    rows = [
        torch.stack(sums[materials.emotions[e], materials.topics[t], index]).mean(dim=0)
        for e, t, index in keys
    ]
    neutral = list(read_corpus(materials.run.root, materials.run.neutral_cells))
    samples = mean_input_embedding(model, [text.text for text in neutral], positions)
    usable = samples.isfinite().all(dim=1)
    topics = [text.topic for text, use in zip(neutral, usable.tolist(), strict=True) if use]
    none = settings.vectors.neutral_pca == "none"
    threshold = 0.0 if none else settings.vectors.pca_variance_threshold
    basis = basis_of(samples[usable], topics, folds.excluded, threshold)
    return centered(torch.stack(rows)), basis


def _number(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not compared"
    if found["low"] is None:
        return f"{found['value']:.2f}"
    return f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _signed(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not compared"
    return f"{found['value']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]"


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    gain = values["gain"]
    rows = [
        (
            "GAIN OVER INPUT EMBEDDINGS",
            f"valence |r| {_signed(gain['valence'])}; held-out accuracy "
            f"{_signed(gain['accuracy'])}; clusters ARI {_signed(gain['clusters'])}",
        )
    ]
    for rung in values["rungs"]:
        rows.append(
            (
                f"null ladder: {rung['name']}",
                f"valence |r| {_number(rung['valence'])}, accuracy {_number(rung['accuracy'])}, "
                f"ARI {_number(rung['clusters'])}",
            )
        )
    return rows


def _paragraph(values: Mapping[str, Any]) -> str:
    rungs = {rung["name"].split(" (")[0]: rung for rung in values["rungs"]}
    chosen, embedded, gain = rungs[_CHOSEN], rungs[_EMBEDDINGS], values["gain"]
    text = (
        "The same statistics were taken of vectors that owe nothing, or less, to the model. "
        "Averaging the input embeddings of the stories' tokens needs no forward pass; vectors made "
        "from those averages in the same way name the emotion of held-out stories in "
        f"{embedded['accuracy']['value']:.1%}, those of layer {values['layer']} in "
        f"{chosen['accuracy']['value']:.1%} (difference {_signed(gain['accuracy'])}, topics drawn "
        "again)."
    )
    if chosen["valence"] is not None:
        text += (
            f" With human valence they correlate at |r| = {embedded['valence']['value']:.2f}, "
            f"those of the layer at {chosen['valence']['value']:.2f} (difference "
            f"{_signed(gain['valence'])}, {values['n_rated']} rated emotions drawn again); the "
            f"emotions' names alone give {rungs['name embedding']['valence']['value']:.2f}, "
            f"shuffled labels {rungs['shuffled labels']['valence']['value']:.2f} and random "
            f"directions {rungs['random directions']['valence']['value']:.2f}, all with the same "
            "search over five components."
        )
    if chosen["clusters"] is not None:
        text += (
            f" Agreement with the paper's clusters is ARI {_number(chosen['clusters'])} against "
            f"{_number(embedded['clusters'])} (difference {_signed(gain['clusters'])})."
        )
    return text


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    words = {
        "valence": "correlation with human valence",
        "accuracy": "accuracy on held-out topics",
        "clusters": "agreement with the paper's clusters",
    }
    for statistic, name in words.items():
        found = values["gain"][statistic]
        if found is not None and found["low"] <= 0:
            limits.append(
                f"Null ladder: the gain in {name} over input embeddings alone, {_signed(found)}, "
                "does not exclude zero."
            )
    if values["early_layer"] is None:
        limits.append("Null ladder: no layer below the analyzed one was kept.")
    return limits
