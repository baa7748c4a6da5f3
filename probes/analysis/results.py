"""What `analyze` and `logit-lens` leave in their files, and what it says.

What a run's summary holds as well is a class of its own, so that its table is written from the same
findings. Importing this imports neither torch nor scipy: the table of a finished run shows at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hooks.errors import DataError
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, RunNumber

MIN_UMAP = 8
"""Emotions below which a map of neighborhoods is not made: nearly all would be neighbors."""
_FEW_RATED = 30
_STABLE = 0.75
_RANGE = {
    "valence": "unpleasant to pleasant. Groups of people agree with each other at r = .94 to .97 "
    "on this.",
    "arousal": "calm to excited. Groups of people agree with each other at only r = .63 to .82 "
    "on this.",
}
ResultT = TypeVar("ResultT")


def read_result(kind: type[ResultT], content: Mapping[str, Any], what: str, stage: str) -> ResultT:
    """Make a result of what its file holds; keys that it does not know are left alone.

    `DataError` when it is damaged, or of an earlier version; `stage` makes it again.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "something"
        raise DataError(
            f"{what}: expected a result of this version, got a file in which {where} is wrong "
            f"({first['msg']}). Measure again: --restart={stage}"
        ) from error


def plain_values(result: Any) -> dict[str, Any]:
    """Return the fields of a result as JSON holds them."""
    from pydantic import TypeAdapter

    return TypeAdapter(type(result)).dump_python(result, mode="json")


@dataclass(frozen=True)
class ScaleMatch:
    """The component (0-based) that follows a scale of ratings best of `n_searched`, on `n` words.

    Times `sign` it rises with them. Interval of |r| and `p_corrected` pay for the search.
    """

    component: int
    sign: int
    r: float
    n: int
    low: float
    high: float
    p_corrected: float = 1.0
    n_searched: int = 1
    n_permutations: int | None = None

    @property
    def estimate(self) -> Estimate:
        """Correlation turned so that it is not negative: the sign of an axis is arbitrary."""
        if self.r < 0:
            return Estimate(-self.r, -self.high, -self.low)
        return Estimate(self.r, self.low, self.high)

    @property
    def is_shown(self) -> bool:
        """Whether chance, and the search, give so much too rarely to be believed."""
        return self.p_corrected < SIGNIFICANT and self.estimate.above_zero

    def finding(self, scale: str) -> Finding:
        """Say how well the axis follows the ratings."""
        return Finding(
            f"|r| with human {scale}",
            self.estimate,
            "shown" if self.is_shown else "not shown",
            n=f"{self.n} rated words",
            p=self.p_corrected,
            n_null=self.n_permutations,
            note=f"PC{self.component + 1}, best of {self.n_searched} components; interval and p "
            "pay for the search",
            rule=f"How well an axis of the vectors follows people's ratings of the words from "
            f"{_RANGE[scale]} Called shown when p < .05 after correction and the "
            "interval keeps clear of zero.",
            margins=[self.estimate],
            headline=scale == "valence",
            statistic=scale,
            section="map",
        )

    def limits(self, scale: str) -> list[str]:
        """Say when few words stand behind it."""
        few = f"Small n: {scale} is compared on {self.n} rated words."
        return [few] if self.n < _FEW_RATED else []


@dataclass(frozen=True)
class Ratings:
    """The components that follow human ratings; None where too few words are rated."""

    valence: ScaleMatch | None = None
    arousal: ScaleMatch | None = None

    @property
    def by_scale(self) -> list[tuple[str, ScaleMatch]]:
        """The scales that could be compared."""
        return [(scale, match) for scale, match in vars(self).items() if match is not None]

    def axes(self) -> tuple[int, int]:
        """Return the components of a map: those that valence and arousal are shown to follow.

        Where one is not, the largest of the others; they may be more than there are.
        """
        axes: list[int | None] = []
        for match in (self.valence, self.arousal):
            follows = match is not None and match.is_shown and match.component not in axes
            axes.append(match.component if match is not None and follows else None)
        others = (component for component in range(3) if component not in axes)
        x, y = (next(others) if component is None else component for component in axes)
        return x, y

    def findings(self) -> list[Finding]:
        """Say how well each scale is followed, or that it could not be compared."""
        too_few = "too few of the words were rated by people"
        return [
            Finding(f"|r| with human {scale}", None, "not measured", note=too_few)
            if match is None
            else match.finding(scale)
            for scale, match in vars(self).items()
        ]


@dataclass(frozen=True)
class KMeans:
    """Clusters of the vectors, numbered as they first appear.

    Stability: adjusted Rand index with the clusters of resampled topics, mean and central 95%;
    None with too few topics.
    """

    k: int
    labels: Sequence[int]
    silhouette: float
    stability: float | None
    stability_low: float | None = None
    stability_high: float | None = None
    n_bootstrap: int = 0

    def findings(self) -> list[Finding]:
        """Say how far other topics give the same clusters."""
        if self.stability is None:
            return []
        stability = Estimate(self.stability, self.stability_low, self.stability_high)
        name, when = f"stability of {self.k} clusters", "when topics are resampled"
        return [Finding(name, stability, "described", unit="ARI", note=when)]

    def limits(self) -> list[str]:
        """Say when they depend on the topics."""
        if self.stability is None or self.stability >= _STABLE:
            return []
        return [
            "Unstable clusters: resampled topics give clusters that agree at ARI "
            f"{self.stability:.2f}. Do not read much into which emotion is in which."
        ]


@dataclass(frozen=True)
class GeometryInShort:
    """What a summary keeps of a geometry; `umap` says whether a map of neighborhoods was made."""

    ratings: Ratings
    kmeans: KMeans | None
    umap: Any

    def findings(self) -> list[Finding]:
        """Say how the axes follow human ratings, and how stable the clusters are."""
        return [*self.ratings.findings(), *(self.kmeans.findings() if self.kmeans else [])]

    def limits(self) -> list[str]:
        """Say what is weak and no finding."""
        limits = [limit for scale, it in self.ratings.by_scale for limit in it.limits(scale)]
        limits += self.kmeans.limits() if self.kmeans else []
        no_map = f"No UMAP: of fewer than {MIN_UMAP} emotions nearly all are everybody's neighbors."
        return limits if self.umap else [*limits, no_map]


@dataclass(frozen=True)
class Pca:
    """Principal components: coordinates by emotion and component, and shares of the variance.

    The shares' interval holds all lower and all upper ends; `unit_norm`: the vectors had length
    one.
    """

    coordinates: Sequence[Sequence[float]]
    explained_variance_ratio: Sequence[float]
    explained_variance_ratio_interval: tuple[Sequence[float], Sequence[float]] | None = None
    unit_norm: bool = True


@dataclass(frozen=True)
class Rated:
    """What people said of a word, each in -1..1."""

    valence: float
    arousal: float


@dataclass(frozen=True, kw_only=True)
class Geometry(GeometryInShort):
    """The vectors of one layer; `order`: indices of the emotions in clustered order."""

    model: str
    layer: int
    n_layers: int
    emotions: Sequence[str]
    cosine: Sequence[Sequence[float]]
    order: Sequence[int]
    pca: Pca
    human: Mapping[str, Rated] = field(default_factory=dict)
    umap: Sequence[tuple[float, float]] | None = None
    ratings: Ratings = Ratings()
    kmeans: KMeans | None = None

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return shares of variance, correlations with ratings and k, as the paper has them."""
        replicated = "which words the replication used, and how many, is not recorded"
        k: RunNumber | str = "too few emotions for clusters"
        if self.kmeans is not None:
            n, note = len(self.emotions), "a setting, not a finding"
            k = RunNumber(float(self.kmeans.k), n=n, note=note, comparable=False)
        return {
            "geometry.pc1_variance_share": self._share(0),
            "geometry.pc2_variance_share": self._share(1),
            "geometry.pc1_vs_human_valence": self._correlation(0, "valence"),
            "geometry.pc2_vs_human_arousal": self._correlation(1, "arousal"),
            "geometry.kmeans_k": k,
            "replications.valence": self._correlation(0, "valence", replicated),
            "replications.arousal": self._correlation(1, "arousal", replicated),
        }

    def _share(self, component: int) -> RunNumber | str:
        shares = self.pca.explained_variance_ratio
        ends = self.pca.explained_variance_ratio_interval
        if len(shares) <= component:
            return "too few components"
        interval = None if ends is None else (ends[0][component], ends[1][component])
        return RunNumber(shares[component], interval, len(self.emotions))

    def _correlation(self, component: int, scale: str, note: str = "") -> RunNumber | str:
        """Correlate the component that the paper names, found by no search, with the ratings."""
        rated = [row for row, emotion in enumerate(self.emotions) if emotion in self.human]
        if len(rated) < 4 or len(self.pca.coordinates[0]) <= component:
            return f"{len(rated)} of this run's emotions have human ratings"
        import torch

        from probes.analysis.statistics import pearson

        coordinates = [self.pca.coordinates[row][component] for row in rated]
        x = torch.tensor(coordinates, dtype=torch.float64)
        y = torch.tensor([getattr(self.human[self.emotions[row]], scale) for row in rated])
        match = pearson(x, y)
        ends = (match.low, match.high) if match.r >= 0 else (-match.high, -match.low)
        notes = "; ".join(filter(None, [f"|r| of PC{component + 1}", note]))
        return RunNumber(abs(match.r), ends, match.n, notes)


@dataclass(frozen=True)
class Layers:
    """The same measures at every layer; lists are in order of `layers`, the model's numbers.

    `rsa` correlates the similarity matrices of two layers; None with fewer than three emotions.
    `residual_norm` is the mean norm of the residual stream, in the model's unit.
    """

    layers: Sequence[int]
    target_layer: int
    valence: Sequence[ScaleMatch | None]
    arousal: Sequence[ScaleMatch | None]
    explained_variance_ratio: Sequence[Sequence[float]]
    n_neutral_components: Sequence[int]
    residual_norm: Sequence[float]
    rsa: Sequence[Sequence[float]] | None = None
    model: str = ""

    def ratings(self, index: int) -> Ratings:
        """Return the matches at one layer, by its index in `layers`."""
        return Ratings(self.valence[index], self.arousal[index])


@dataclass(frozen=True)
class LensBeyond:
    """How often vectors name their emotion, beside names dealt out anew within valence sides.

    `alone` of the `n` emotions do by themselves, corrected for how many there are.
    """

    share: Estimate
    shuffled: float
    shuffled_95: float
    p: float
    n_shuffles: int
    n: int
    alone: int


@dataclass(frozen=True)
class LensInShort:
    """What a summary keeps of the logit lens: how often a vector names its emotion.

    Shares of emotions with a form of their own word (`named`: or of a direct synonym) among the
    `top_k` readable tokens; then mean and 95% quantile with shuffled names.
    """

    top_k: int
    n_emotions: int
    own_word_share: float
    own_word_share_interval: tuple[float, float]
    own_word_share_shuffled: float
    own_word_share_shuffled_95: float
    named_share: float
    named_share_interval: tuple[float, float]
    named_share_shuffled: float
    named_share_shuffled_95: float
    within_side: LensBeyond | None = None
    beyond_ratings: LensBeyond | None = None

    def findings(self) -> list[Finding]:
        """Say how often a vector names its emotion, or a synonym, and beyond its valence."""
        own_word = self._finding(
            "Own word",
            "own_word_share",
            section="tokens",
            rule="Whether a vector, read through the model's own output layer, names its emotion. "
            "Called shown when the interval lies above 95% of shuffles of the names.",
        )
        beyond = {"within valence side": self.within_side}
        beyond["without valence and arousal"] = self.beyond_ratings
        return [
            own_word,
            self._finding("own word or a synonym", "named_share"),
            *(self._beyond(name, it) for name, it in beyond.items() if it is not None),
        ]

    def _beyond(self, name: str, lens: LensBeyond) -> Finding:
        """Say what is named where promoting pleasant or unpleasant words earns nothing."""
        shown = lens.share.above(lens.shuffled_95) and lens.p < SIGNIFICANT
        return Finding(
            f"own word in the lens' top {self.top_k}, {name}",
            lens.share,
            "shown" if shown else "not shown",
            spec=".0%",
            n=f"{lens.n} emotions",
            control=Control(
                "95% of names shuffled within sides at most", Estimate(lens.shuffled_95)
            ),
            p=lens.p,
            n_null=lens.n_shuffles,
            margins=[lens.share.less(lens.shuffled_95)],
            note=f"{lens.alone} of {lens.n} by themselves (q < .05)",
            rule="Called shown when the interval lies above 95% of shuffles of the names among "
            "pleasant and among unpleasant emotions, and p < .05.",
        )

    def _finding(self, name: str, key: str, **more: Any) -> Finding:
        share, low_high, shuffled, upper = (
            getattr(self, f"{key}{part}") for part in ("", "_interval", "_shuffled", "_shuffled_95")
        )
        return Finding(
            f"{name} in the lens' top {self.top_k}",
            Estimate(share, *low_high),
            "shown" if low_high[0] > upper else "not shown",
            spec=".0%",
            n=f"{self.n_emotions} emotions",
            control=Control("95% of shuffled names at most", Estimate(upper)),
            margins=[Estimate(share, *low_high).less(upper)],
            note=f"shuffled names {shuffled:.0%} on average",
            **more,
        )


@dataclass(frozen=True)
class EmotionTokens:
    """Tokens and logits that a vector changes most.

    `own_word_rank` is that of the best token that names the emotion, 0-based; None without any.
    """

    top: Sequence[tuple[str, float]]
    bottom: Sequence[tuple[str, float]]
    own_word_rank: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lens(LensInShort):
    """The vectors of the target layer through the unembedding."""

    layer: int
    emotions: Mapping[str, EmotionTokens]
    model: str = ""
