"""Clusters: whether the emotions fall into the groups that the paper found.

1. k-means and hierarchical clustering (average linkage of cosine distance) of the analyzed layer's
   vectors, k being the number of the paper's clusters that the run's emotions fall into.
2. Adjusted Rand index and normalized mutual information with the paper's clusters, each with an
   interval as wide as it spreads when topics are drawn again (`statistics.spread_interval`).
3. Nulls: the same labels dealt out anew among the emotions (p), and vectors from stories whose
   emotions were dealt out anew within topics. NMI is above zero by chance, so it is read beside
   its null alone.
4. Stability: agreement with clusters of vectors from topics drawn again, mean and central 95%.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.agreement import reference
from probes.analysis.geometry import (
    adjusted_rand_index,
    agreement,
    hierarchical_labels,
    kmeans_labels,
)
from probes.analysis.held_out import (
    CellSums,
    bootstrap_vectors,
    permute_within_topics,
    permuted_vectors,
)
from probes.analysis.intervals import estimate_from_spread, mean_of_draws
from probes.analysis.statistics import permutation_p_value
from probes.experiments.folds import TopicFolds
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import estimate
from probes.figures import Figure
from probes.figures.description import Bars
from probes.figures.estimates import Bar, bar_of, bars_by_kind
from probes.figures.reading import need, number
from probes.runs.materials import Materials

Method = Callable[[Tensor], Tensor]


def measure(materials: Materials) -> Measured:
    """Cluster the analyzed layer in two ways."""
    known = reference(materials.emotions)
    if known.clusters is None:
        why = f"Clusters: only {len(known.clustered)} of the emotions are in the paper's clusters."
        return Measured({"methods": None}, [("clusters", "not compared: too few")], why, [why])
    settings, seed = materials.config.validation, materials.seed
    k, unit_norm = known.n_clusters, materials.config.analysis.unit_norm
    methods: dict[str, Method] = {
        "k-means": lambda vectors: kmeans_labels(vectors, k, seed, unit_norm),
        "hierarchical": lambda vectors: hierarchical_labels(vectors, k),
    }
    vectors = materials.vectors.at(materials.layer)[known.clustered]
    folds, n = TopicFolds(materials, 2), settings.n_refits
    rows, design = folds.rows(materials.layer), folds.design
    basis = folds.basis(materials.layer)()
    with materials.reporter.task("clusters", 2, "resamplings") as advance:
        drawn = bootstrap_vectors(CellSums(rows, design), design, basis, n, seed)
        again = [each[known.clustered] for each in drawn]
        advance(1)
        labels = permute_within_topics(design, n, seed)
        dealt = permuted_vectors(rows, design, basis, labels)
        shuffled = [each[known.clustered] for each in dealt]
        advance(1)
    values = {
        "model": materials.index["model"],
        "layer": materials.layer,
        "emotions": [materials.emotions[place] for place in known.clustered],
        "k": k,
        "n_permutations": settings.n_permutations,
        "n_refits": settings.n_refits,
        "methods": {
            name: _described(
                method,
                vectors,
                known.clusters,
                again,
                shuffled,
                n_topics=design.n_topics,
                n_permutations=settings.n_permutations,
                seed=seed,
            )
            for name, method in methods.items()
        },
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe agreement and stability beside their nulls."""
    return {} if values["methods"] is None else {"clusters": cluster_agreement(values)}


EXPERIMENT = Experiment(measure, figures)


def _described(
    method: Method,
    vectors: Float[Tensor, "emotion d_model"],
    clusters: Int[Tensor, "emotion"],
    again: Sequence[Tensor],
    shuffled: Sequence[Tensor],
    *,
    n_topics: int,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    labels = method(vectors)
    found = agreement(labels, clusters)
    generator = torch.Generator().manual_seed(seed)
    dealt = [
        agreement(labels[torch.randperm(len(labels), generator=generator)], clusters)
        for _ in range(n_permutations)
    ]
    null = [agreement(method(each), clusters) for each in shuffled]
    resampled = [method(each) for each in again]
    result: dict[str, Any] = {"labels": labels.tolist()}
    for name, value, least in (("ari", found.ari, -1.0), ("nmi", found.nmi, 0.0)):
        permuted = _tensor([getattr(each, name) for each in dealt])
        from_noise = _tensor([getattr(each, name) for each in null])
        result[name] = {
            "value": value,
            "permuted": float(permuted.mean()),
            "p": permutation_p_value(value, permuted, "greater"),
            "shuffled": float(from_noise.mean()),
            "shuffled_upper": float(from_noise.quantile(0.95)),
        }
        drawn = _tensor([getattr(agreement(each, clusters), name) for each in resampled])
        ends = estimate_from_spread(value, drawn, n_topics, least=least, most=1.0)
        result[name] |= {"low": None, "high": None} if ends is None else ends.to_json()
    stable = _tensor([adjusted_rand_index(labels, each) for each in resampled])
    result["stability"] = {"value": None, "low": None, "high": None}
    if len(stable) >= 2:
        result["stability"] = mean_of_draws(stable).to_json()
    return result


def _tensor(values: Sequence[float]) -> Float[Tensor, "value"]:
    return torch.tensor(values, dtype=torch.float64)


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, found in values["methods"].items():
        ari, nmi, stability = found["ari"], found["nmi"], found["stability"]
        rows.append(
            (
                f"paper's clusters, {name}",
                f"ARI {estimate(ari)} (n={len(values['emotions'])}, k={values['k']}, "
                f"p={ari['p']:.4f}; shuffled labels {ari['shuffled']:.2f}, 95%: "
                f"{ari['shuffled_upper']:.2f}); NMI {nmi['value']:.2f} (dealt anew "
                f"{nmi['permuted']:.2f}, p={nmi['p']:.4f})"
                + ("" if stability["value"] is None else f"; stability ARI {estimate(stability)}"),
            )
        )
    return rows


def _paragraph(values: Mapping[str, Any]) -> str:
    parts = [
        f"The {len(values['emotions'])} emotions fall into {values['k']} of the paper's clusters."
    ]
    for name, found in values["methods"].items():
        ari, nmi = found["ari"], found["nmi"]
        parts.append(
            f"By {name} clustering of layer {values['layer']} into as many, agreement is ARI "
            f"{estimate(ari)} (over topics) and NMI {nmi['value']:.2f}; labels dealt out "
            f"anew among the emotions reach an NMI of {nmi['permuted']:.2f} and at least this ARI "
            f"with p = {ari['p']:.4f}. Vectors from stories with shuffled labels reach ARI "
            f"{ari['shuffled']:.2f} (95%: {ari['shuffled_upper']:.2f})."
        )
    return " ".join(parts)


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    for name, found in values["methods"].items():
        if found["ari"]["p"] > 0.05:
            limits.append(
                f"Clusters: the paper's clusters are not shown by {name} clustering "
                f"(p={found['ari']['p']:.2f})."
            )
        stability = found["stability"]["value"]
        if stability is not None and stability < 0.5:
            limits.append(
                f"Clusters: {name} clusters change when topics are drawn again (ARI "
                f"{stability:.2f} with themselves)."
            )
    return limits


_FOUND, _NULL, _STABLE = "this run", "chance", "with itself"
_NULLS = {"permuted": "any order", "shuffled": "shuffled"}


def cluster_agreement(found: Mapping[str, Any]) -> Bars:
    """Describe both indices of every method beside their nulls, and how stable the clusters are.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    methods = need(found, "methods", "clusters")
    bars: list[Bar] = []
    for key in ("ari", "nmi"):
        for method, measured in methods.items():
            index, where = need(measured, key, f"clusters.{method}"), f"clusters.{method}.{key}"
            short = f"{key.upper()} {method}"
            bars.append(bar_of(short, _FOUND, index, where))
            for null, name in _NULLS.items():
                bars.append(Bar(f"{short}: {name}", _NULL, number(index[null], where)))
    for method, measured in methods.items():
        if measured["stability"]["value"] is not None:
            where = f"clusters.{method}.stability"
            bars.append(bar_of(f"stability {method}", _STABLE, measured["stability"], where))
    chance = ", ".join(f"{method} p={row['ari']['p']:.4f}" for method, row in methods.items())
    return Bars(
        title="Do the emotions fall into the paper's clusters",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {len(found['emotions'])} "
        f"emotions in {found['k']} clusters",
        caption="ARI and NMI: how alike the run's clusters and the paper's are; 1 is the same. An "
        "ARI of 0 is what chance gives; NMI is above 0 by chance, so only what it has beyond its "
        "gray bars counts. Any order: the run's clusters with the emotions dealt out anew (as "
        f"large an ARI: {chance}). Shuffled: vectors of stories whose labels were shuffled. "
        "Stability: ARI with the clusters of topics drawn again. Lines: 95% intervals over topics; "
        "of stability, 95% of its draws.",
        value_label="index of agreement",
        **bars_by_kind(bars, (_FOUND, _NULL, _STABLE), muted=(_NULL,)),
    )
