"""Clusters: whether the emotions fall into the groups that the paper found.

Vectors are clustered by k-means and by average linkage of cosine distance into as many of the
paper's clusters as the run's emotions fall into. Agreement with them (ARI, NMI; `spread_interval`)
stands beside the same labels permuted among the emotions (p), and vectors from texts whose labels
were shuffled within topics: NMI is above zero by chance. Stability is agreement with the clusters
of resampled topics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.analysis import geometry
from probes.analysis.agreement import reference
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import estimate_from_spread, mean_of_draws
from probes.analysis.parallel import parallel_map
from probes.analysis.resampling import permutation_p_value
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.remade import Remade
from probes.figures import Figure
from probes.figures.description import Bars
from probes.figures.estimates import Bar, bar_of, bars_by_kind
from probes.runs.materials import Materials

_NAME = "Clusters"
_FIRST = "k-means"
_STABLE = 0.5
Cluster = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Index(Estimate):
    """Agreement with the paper's clusters beside labels permuted, and vectors of shuffled ones."""

    permuted: float
    p: float
    shuffled: float
    shuffled_upper: float


@dataclass(frozen=True)
class Stability:
    """Agreement with clusters of resampled topics; None where they leave emotions out."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Clustering:
    """What one method gives."""

    labels: Sequence[int]
    ari: Index
    nmi: Index
    stability: Stability


@dataclass(frozen=True)
class Clusters(Result):
    """Agreement of several methods with the `k` clusters of the paper that `emotions` are in."""

    model: str
    layer: int
    emotions: Sequence[str]
    k: int
    n_permutations: int
    n_refits: int
    methods: Mapping[str, Clustering]

    def findings(self) -> list[Finding]:
        """Say how well each method agrees with the paper; k-means is the claim."""
        return list(map(self._finding, self._names))

    @property
    def _names(self) -> list[str]:
        return sorted(self.methods, key=lambda name: name != _FIRST)

    def _finding(self, name: str) -> Finding:
        ari, is_first = self.methods[name].ari, name == _FIRST
        shown = ari.above_zero and ari.p < SIGNIFICANT and ari.value > ari.shuffled_upper
        upper = Control("95% of vectors from shuffled labels at most", Estimate(ari.shuffled_upper))
        return Finding(
            "Paper's clusters" if is_first else f"Paper's clusters, {name}",
            Estimate(ari.value, ari.low, ari.high),
            "shown" if shown else "not shown",
            spec=".3f",
            unit="ARI",
            n=f"{len(self.emotions)} emotions in {self.k} clusters",
            control=upper,
            p=ari.p,
            n_null=self.n_permutations,
            rule="Whether the vectors fall into the families that the paper found in its model (1 "
            "is the same families, 0 what chance gives). Called shown when 95% of vectors from "
            "shuffled labels agree less, p < .05 and the interval keeps clear of zero.",
            margins=[Estimate(ari.value, ari.low, ari.high)],
            statistic="clusters" if is_first else "",
            section="clusters",
        )

    def paragraph(self) -> str:
        """Tell how the emotions were clustered, and how that agrees with the paper."""
        by_method = "; ".join(
            f"{name} clustering agrees with them at {finding.estimate:.3f} ({finding.p_value})"
            for name, finding in zip(self._names, self.findings(), strict=True)
        )
        return (
            f"The {len(self.emotions)} emotions fall into {self.k} of the paper's clusters. The "
            f"vectors of layer {self.layer} were clustered into as many; agreement is the adjusted "
            f"Rand index (1: the same clusters, 0: chance), with an interval over topics: "
            f"{by_method}."
        )

    def limits(self) -> list[str]:
        """Say which clusters change when topics are resampled."""
        return [
            f"{_NAME}: {name} clusters change when topics are drawn again (ARI {stable:.2f} with "
            "themselves)."
            for name in self._names
            if (stable := self.methods[name].stability.value) is not None and stable < _STABLE
        ]

    def figures(self) -> dict[str, Figure]:
        """Describe agreement and stability beside their nulls."""
        return {"clusters": _bars(self)}


def measure(materials: Materials) -> Clusters | NotMeasured:
    """Cluster the analyzed layer in two ways."""
    known = reference(materials.emotions)
    if known.clusters is None:
        why = f"only {len(known.clustered)} of the emotions are in the paper's clusters"
        return NotMeasured(_NAME, why)
    settings, seed = materials.config.validation, materials.seed
    k, unit_norm = known.n_clusters, materials.config.analysis.unit_norm
    methods: dict[str, Cluster] = {
        _FIRST: lambda vectors: geometry.kmeans_labels(vectors, k, seed, unit_norm),
        "hierarchical": lambda vectors: geometry.hierarchical_labels(vectors, k),
    }
    remade, n = Remade(materials), settings.n_refits
    with materials.reporter.task("clusters", 2, "resamplings") as advance:
        resampled = remade.resampled(n)
        advance(1)
        shuffled = remade.shuffled(n)
        advance(1)
    vectors = materials.vectors.at(materials.layer)
    clusterings = {}
    for name, cluster in methods.items():
        [labels], again, null = (
            parallel_map(lambda each, cluster=cluster: cluster(each[known.clustered]), group)
            for group in ([vectors], resampled, shuffled)
        )
        generator = torch.Generator().manual_seed(seed)
        orders = (
            torch.randperm(len(labels), generator=generator) for _ in range(settings.n_permutations)
        )
        groups = ([labels], [labels[order] for order in orders], null, again)
        clusterings[name] = _clustering(known.clusters, groups, remade.n_units)
    return Clusters(
        model=materials.index["model"],
        layer=materials.layer,
        emotions=[materials.emotions[index] for index in known.clustered],
        k=k,
        n_permutations=settings.n_permutations,
        n_refits=n,
        methods=clusterings,
    )


EXPERIMENT = Experiment(Clusters, measure)


def _clustering(of_paper: Tensor, groups: tuple[list[Tensor], ...], n_topics: int) -> Clustering:
    """Set labels beside the paper's; groups: a method's own, permuted, shuffled, resampled."""
    agreements = [[geometry.agreement(labels, of_paper) for labels in group] for group in groups]
    indices = []
    for which, least in ((0, -1.0), (1, 0.0)):
        value, by_chance, from_noise, drawn = (
            torch.tensor([each[which] for each in group], dtype=torch.float64)
            for group in agreements
        )
        observed = float(value)
        estimate = estimate_from_spread(observed, drawn, n_topics, least=least, most=1.0)
        indices.append(
            Index(
                **vars(estimate or Estimate(observed)),
                permuted=float(by_chance.mean()),
                p=permutation_p_value(observed, by_chance, "greater"),
                shuffled=float(from_noise.mean()),
                shuffled_upper=float(from_noise.quantile(0.95)),
            )
        )
    [labels], resampled = groups[0], groups[-1]
    stable = [geometry.adjusted_rand_index(labels, each) for each in resampled]
    stability = Stability()
    if len(stable) >= 2:
        stability = Stability(**vars(mean_of_draws(torch.tensor(stable, dtype=torch.float64))))
    return Clustering(labels.tolist(), indices[0], indices[1], stability)


_THIS_RUN, _NULL, _WITH_ITSELF = "this run", "chance", "with itself"


def _bars(result: Clusters) -> Bars:
    """Describe both indices of every method beside their nulls, and how stable the clusters are."""
    bars: list[Bar] = []
    for key in ("ari", "nmi"):
        for method, clustering in result.methods.items():
            index: Index = getattr(clustering, key)
            name = f"{key.upper()} {method}"
            bars.append(bar_of(name, _THIS_RUN, index))
            bars.append(Bar(f"{name}: any order", _NULL, index.permuted))
            bars.append(Bar(f"{name}: shuffled", _NULL, index.shuffled))
    for method, clustering in result.methods.items():
        if clustering.stability.value is not None:
            bars.append(bar_of(f"stability {method}", _WITH_ITSELF, clustering.stability))
    chance = ", ".join(f"{name} p = {it.ari.p:.2g}" for name, it in result.methods.items())
    return Bars(
        title="Do the emotions fall into the paper's clusters",
        subtitle=f"{result.model}, layer {result.layer}, n = {len(result.emotions)} "
        f"emotions in {result.k} clusters",
        caption="ARI and NMI: how alike the run's clusters and the paper's are; 1 is the same. An "
        "ARI of 0 is what chance gives; NMI is above 0 by chance, so only what it has beyond its "
        "gray bars counts. Any order: the run's clusters with the emotions dealt out anew (as "
        f"large an ARI: {chance}). Shuffled: vectors of stories whose labels were shuffled. "
        "Stability: ARI with the clusters of topics drawn again. Lines: 95% intervals over topics; "
        "of stability, 95% of its draws.",
        value_label="index of agreement",
        **bars_by_kind(bars, (_THIS_RUN, _NULL, _WITH_ITSELF), muted=(_NULL,)),
    )
