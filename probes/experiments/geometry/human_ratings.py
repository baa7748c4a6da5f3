"""Human ratings: whether a leading component follows how people rate the words.

1. At the analyzed layer the best of five components for valence, then the best of the others for
   arousal (`statistics.search_components`); also over all layers and components at once, for
   arousal of what valence does not explain.
2. Arousal with valence partialled out.
3. Leave one emotion out: components, choice and scale from all other emotions predict its rating.
   Where nothing is there such predictions run against the ratings (the others' mean falls as the
   one left out rises), so p comes from permuted ratings, predicted in the same way.

Norms beyond the shipped ones (Russell & Mehrabian 1977) are read from ``validation.norms``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis import statistics
from probes.analysis.agreement import MIN_RATED, N_SEARCHED, rating_table
from probes.analysis.findings import SIGNIFICANT, Estimate, Finding
from probes.analysis.geometry import principal_components
from probes.analysis.parallel import parallel_map
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import partial_correlation, pearson
from probes.experiments import Experiment, Result
from probes.figures import Figure
from probes.figures.description import Scatter
from probes.runs.materials import Materials
from probes.stimuli.rating_files import Norms, read_norms
from probes.vectors.normalize import normalize

_SCALES = ("valence", "arousal")
SHIPPED = "Russell & Mehrabian 1977"
Word = Float[Tensor, "word"]
MIN_PERMUTATIONS = 2000
"""As many as `analyze` takes, which prints the same correlations: fewer would give another p."""


@dataclass(frozen=True, kw_only=True)
class Correlated:
    """A correlation with a 95% interval; its ends are None where it is undefined."""

    r: float
    low: float | None
    high: float | None

    @property
    def estimate(self) -> Estimate:
        """The same with its interval."""
        return Estimate(self.r, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Everywhere:
    """The best component of all layers, with a p that pays for having searched them all."""

    layer: int
    component: int
    r: float
    p_corrected: float
    n_searched: int


@dataclass(frozen=True, kw_only=True)
class LeftOut(Correlated):
    """Ratings and their predictions from the other emotions; `dealt`: of permuted ratings."""

    n: int
    p: float
    dealt: float


@dataclass(frozen=True, kw_only=True)
class WithoutOne:
    """The word whose absence weakens the correlation most, and what is left."""

    word: str
    r: float


@dataclass(frozen=True, kw_only=True)
class GivenValence(Correlated):
    """Arousal with valence partialled out; p pays for the search."""

    p_corrected: float


@dataclass(frozen=True, kw_only=True)
class Match(Correlated):
    """The component that follows the `n` words' rating best, turned so that it rises with it."""

    component: int
    p_corrected: float
    n_searched: int
    n: int
    ratings: Sequence[float]
    coordinates: Sequence[float]
    everywhere: Everywhere
    left_out: LeftOut
    without_one: WithoutOne
    given_valence: GivenValence | None = None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One set of ratings; None where too few words are rated, or all alike."""

    words: Sequence[str]
    n: int
    valence: Match | None = None
    arousal: Match | None = None

    def matches(self) -> dict[str, Match]:
        """Return what could be compared, by scale."""
        both = {scale: getattr(self, scale) for scale in _SCALES}
        return {scale: match for scale, match in both.items() if match is not None}


@dataclass(frozen=True)
class HumanRatings(Result):
    """Components beside every set of ratings at hand; `unrated` says how many rows hold none."""

    model: str
    layer: int
    n_layers: int
    n_permutations: int
    norms: Mapping[str, Compared]
    unrated: str = ""

    def findings(self) -> list[Finding]:
        """Say how well each scale of each set is followed."""
        findings = []
        for name, compared in self.norms.items():
            for scale, match in compared.matches().items():
                findings.append(self._finding(f"human {scale}, {name}", match))
            if not compared.matches():
                why = f"{compared.n} of the emotions are rated: too few, or all alike"
                findings.append(Finding(f"human ratings, {name}", None, "not measured", note=why))
        return findings

    def _finding(self, name: str, match: Match) -> Finding:
        shown = match.p_corrected < SIGNIFICANT and match.estimate.above_zero
        return Finding(
            name,
            match.estimate,
            "shown" if shown else "not shown",
            n=f"{match.n} words",
            p=match.p_corrected,
            n_null=self.n_permutations,
            note=f"PC{match.component + 1} of {match.n_searched} searched; emotions left out "
            f"{match.left_out.estimate}",
            rule="How well a component of the vectors follows people's ratings. Called shown when "
            "p < .05 after correction and the interval keeps clear of zero.",
            margins=[match.estimate],
        )

    def paragraph(self) -> str:
        """Tell which component follows which scale."""
        parts = []
        for name, compared in self.norms.items():
            if not compared.matches():
                parts.append(f"{name} rates {compared.n} of the emotions: too few to compare.")
            for scale, match in compared.matches().items():
                beyond = match.given_valence
                partial = f" ({beyond.estimate} with valence partialled out)" if beyond else ""
                parts.append(
                    f"At layer {self.layer} component {match.component + 1} follows the {scale} "
                    f"that people gave {match.n} of the words ({name}) at r = {match.estimate}"
                    f"{partial}; "
                    f"{self._finding(scale, match).p_value} after the search over "
                    f"{match.n_searched} components. Predicted from the other emotions alone: "
                    f"r = {match.left_out.estimate}."
                )
        return " ".join(parts)

    def limits(self) -> list[str]:
        """Say how many rows of the user's file were passed over."""
        passed = f"Human ratings: {self.unrated} have no rating, and were passed over."
        return [passed] if self.unrated else []

    def figures(self) -> dict[str, Figure]:
        """Describe ratings against components, for the first set that could be compared."""
        for name, compared in self.norms.items():
            if matches := compared.matches():
                return {f"human_{key}": _scatter(self, name, key, matches[key]) for key in matches}
        return {}


def measure(materials: Materials) -> HumanRatings:
    """Compare components with every set of norms at hand."""
    sets: dict[str, Norms] = {SHIPPED: rating_table(materials.emotions)}
    settings, unrated = materials.config.validation, ""
    if settings.norms is not None:
        file = read_norms(settings.norms)
        name = f"{file.format} ({Path(settings.norms).name})"
        sets[name] = file.of(materials.emotions)
        if file.n_unrated:
            unrated = f"{file.n_unrated} of {file.n_rows} rows of {name}"
    n_permutations = max(MIN_PERMUTATIONS, settings.n_permutations)
    return HumanRatings(
        model=materials.index["model"],
        layer=materials.layer,
        n_layers=len(materials.layers),
        n_permutations=n_permutations,
        norms={name: _compare(materials, norms, n_permutations) for name, norms in sets.items()},
        unrated=unrated,
    )


EXPERIMENT = Experiment(HumanRatings, measure)


def _compare(materials: Materials, norms: Norms, n_permutations: int) -> Compared:
    words = [emotion for emotion in materials.emotions if emotion in norms]
    ratings = {
        scale: torch.tensor([norms[word][scale] for word in words], dtype=torch.float64)
        for scale in _SCALES
    }
    if len(words) < MIN_RATED or float(ratings["valence"].std()) == 0:
        return Compared(words=words, n=len(words))
    search = _Search(materials, words, ratings, n_permutations)
    # Valence first: arousal gets the other components.
    return Compared(words=words, n=len(words), **{scale: search.match(scale) for scale in _SCALES})


class _Search:
    """Searches the components of every layer for those that follow one set of ratings."""

    def __init__(
        self,
        materials: Materials,
        words: Sequence[str],
        ratings: Mapping[str, Word],
        n_permutations: int,
    ) -> None:
        self._layers, self._words, self._ratings = materials.layers, words, ratings
        self._rated = [materials.emotions.index(word) for word in words]
        vectors = materials.vectors.vectors.double()
        self._index = materials.vectors.layer_index(materials.layer)
        self._options = {"n_permutations": n_permutations, "seed": materials.seed}
        unit_norm = materials.config.analysis.unit_norm
        self._points = normalize(vectors[self._index]) if unit_norm else vectors[self._index]
        count = min(N_SEARCHED, len(materials.emotions) - 1, vectors.shape[2])
        components = (principal_components(layer, count, unit_norm) for layer in vectors)
        self._by_layer = torch.stack([each.coordinates[self._rated] for each in components])
        self._free = list(range(count))

    def match(self, scale: str) -> Match | None:
        """Return the best of the components that are free; None where there is no choice."""
        target, valence = self._ratings[scale], self._ratings["valence"]
        if float(target.std()) == 0 or not self._free:
            return None
        here = self._by_layer[self._index]
        best = statistics.search_components(here[:, self._free], target, **self._options)
        component = self._free.pop(best.component)
        coordinate = here[:, component] * best.sign
        given = None
        if scale == "arousal":
            it = partial_correlation(coordinate, target, valence, n_searched=best.n_searched)
            given = GivenValence(r=it.r, low=it.low, high=it.high, p_corrected=it.p)
        return Match(
            component=component,
            p_corrected=best.p_corrected,
            n_searched=best.n_searched,
            r=best.correlation,
            n=len(self._words),
            low=best.low,
            high=best.high,
            ratings=target.tolist(),
            coordinates=coordinate.tolist(),
            everywhere=self._everywhere(scale),
            left_out=self._left_out(scale),
            without_one=_without_one(coordinate, target, self._words),
            given_valence=given,
        )

    def _everywhere(self, scale: str) -> Everywhere:
        """Find the best of all layers and components, paying for that search."""
        target, valence = self._ratings[scale], self._ratings["valence"]
        if scale == "arousal":
            slope, intercept = np.polyfit(valence.numpy(), target.numpy(), 1)
            target = target - slope * valence - intercept
        best = statistics.search_components(self._by_layer, target, **self._options)
        return Everywhere(
            layer=self._layers[best.layer or 0],
            component=best.component,
            r=best.correlation,
            p_corrected=best.p_corrected,
            n_searched=best.n_searched,
        )

    def _left_out(self, scale: str) -> LeftOut:
        """Correlate each rating with its prediction from components that never saw the emotion."""
        target = self._ratings[scale]
        permuted = permute_within(target, None, **self._options, keys=torch.float32)
        ratings = torch.cat([target[None], permuted])
        exclude = [] if scale == "valence" else [self._ratings["valence"]]
        guesses = predict_left_out(self._points, self._rated, ratings, exclude)
        # Where nothing varies nothing is predicted.
        r, *null = statistics.correlate(guesses, ratings).nan_to_num(nan=0.0)
        interval = None if float(guesses[0].std()) == 0 else pearson(guesses[0], target)
        return LeftOut(
            r=float(r),
            low=interval and interval.low,
            high=interval and interval.high,
            n=len(target),
            p=permutation_p_value(float(r), torch.stack(null), "greater"),
            dealt=float(torch.stack(null).mean()),
        )


def predict_left_out(
    points: Float[Tensor, "emotion d_model"],
    rated: Sequence[int],
    ratings: Float[Tensor, "draw word"],
    exclude: Sequence[Word] = (),
) -> Float[Tensor, "draw word"]:
    """Predict the rating of every word from the others, for each of several sets of ratings."""

    def predict(out: int) -> Float[Tensor, "draw"]:
        emotion = rated[out]
        others = [other for other in range(len(points)) if other != emotion]
        kept = [row for row in range(len(rated)) if row != out]
        count = min(N_SEARCHED, len(others) - 1, points.shape[1])
        components = principal_components(points[others], count, unit_norm=False)
        coordinates = components.coordinates[[others.index(rated[row]) for row in kept]]
        level = coordinates.mean(dim=0)
        length = torch.linalg.vector_norm(coordinates - level, dim=0).clamp(min=1e-12)
        unit = (coordinates - level) / length
        position = (points[emotion] - points[others].mean(dim=0)) @ components.directions.T
        free = list(range(count))
        # Along components of length one a slope is a covariance, and the largest the best r.
        for other in exclude:
            slopes = (other[kept] - other[kept].mean()) @ unit[:, free]
            free.pop(int(slopes.abs().argmax()))
        mean = ratings[:, kept].mean(dim=1, keepdim=True)
        slopes = (ratings[:, kept] - mean) @ unit[:, free]
        best = slopes.abs().argmax(dim=1)
        step = ((position - level) / length)[free][best]
        return mean[:, 0] + slopes.gather(1, best[:, None])[:, 0] * step

    return torch.stack(parallel_map(predict, range(len(rated))), dim=1)


def _without_one(coordinate: Word, target: Word, words: Sequence[str]) -> WithoutOne:
    """Smallest correlation when any one emotion is dropped: does one word carry it."""
    kept = ~torch.eye(len(words), dtype=torch.bool)
    left = [pearson(coordinate[rows], target[rows]).r for rows in kept]
    weakest = left.index(min(left))
    return WithoutOne(word=words[weakest], r=left[weakest])


def _scatter(result: HumanRatings, name: str, scale: str, match: Match) -> Scatter:
    """Describe one scale's ratings and the component that follows it best."""
    return Scatter(
        title=f"Human {scale} and the component that follows it best",
        subtitle=f"{result.model}, layer {result.layer}, n = {match.n} words ({name}), "
        f"r = {match.r:.2f}, p = {match.p_corrected:.2g} for {match.n_searched} components",
        caption="Each point is an emotion. The component is turned so that it rises with the "
        f"rating. Emotions predicted from the others alone: r = {match.left_out.r:.2f}.",
        labels=tuple(result.norms[name].words),
        x=tuple(match.ratings),
        y=tuple(match.coordinates),
        x_label=f"{scale} as people rated it",
        y_label=f"PC{match.component + 1} of the vectors",
    )
