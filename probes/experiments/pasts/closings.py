"""The corpus' closings: which emotions are carried over words that are the same after all of them.

A closing's stream is compared with the mean over all closings of its topic, and projected on the
vectors of said, narrated and voiced texts of *other* topics. How far the own emotion lies above the
others is told for each layer from what the run has read, in mean residual norms; token by token,
some emotions' texts are read again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.intervals import mean_over_crossed
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.experiments.pasts.reading import THOUSANDTHS, n_shared, read_ends
from probes.runs.materials import Materials
from probes.runs.ways import CARRIED, NARRATED, SAID, VOICED, PlacedText
from probes.vectors.denoising import CellSums, fit_vectors
from probes.vectors.normalize import normalize

_SOURCES = (SAID, NARRATED, VOICED)
_N_READ_AGAIN = 12
"""Emotions whose closings are read token by token."""
N_PARTS = 10
"""Parts of a closing, of about as many tokens each."""
_N_PERMUTATIONS = 999
_N_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class WayOnClosings:
    """What the vectors of one way read of closings: own emotion less the others, by layer.

    `by_emotion` is at the target layer, the mean over topics.
    """

    way: str
    by_layer: Sequence[Estimate]
    own: Estimate
    p: float
    by_emotion: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What closings carry; `parts` is [layer][part of the closing] for the emotions of `read`."""

    layers: Sequence[int]
    layer: int
    n_topics: int
    n_permutations: int
    sources: Sequence[WayOnClosings]
    parts: Sequence[Sequence[float]]
    read: Sequence[str]

    def findings(self) -> list[Finding]:
        """Say how far the own emotion lies above the others."""
        findings = []
        for it in self.sources:
            shown = it.own.above_zero and it.p < SIGNIFICANT
            findings.append(
                Finding(
                    f"Closings, {it.way} vectors of other topics: own emotion above the others",
                    it.own.times(THOUSANDTHS),
                    "shown" if shown else "not shown",
                    spec="+.2f",
                    unit="thousandths of the residual norm",
                    n=f"{len(it.by_emotion)} emotions, {self.n_topics} topics",
                    control=Control("names of emotions permuted", Estimate(0.0)),
                    p=it.p,
                    n_null=self.n_permutations,
                    margins=[it.own],
                    rule="How far the stream on a closing lies toward its story's emotion, less "
                    "toward the others, though all closings of a topic have the same words. "
                    "Called shown when the interval over emotions and topics lies above zero and "
                    "p < .05.",
                )
            )
        return findings

    def paragraph(self) -> str:
        """Name what is carried most and least, and where."""
        best = max(self.sources, key=lambda it: it.own.value)
        ranked = sorted(best.by_emotion, key=lambda name: best.by_emotion[name])
        n_above = sum(value > 0 for value in best.by_emotion.values())
        text = (
            f"Closings lie {best.own.times(THOUSANDTHS):+.2f} thousandths farther toward "
            f"their own emotion than toward the others, by {best.way} vectors of other topics; "
            f"{n_above} of {len(ranked)} emotions are carried at all, most of all "
            f"{', '.join(ranked[: -_N_NAMED - 1 : -1])}, least {', '.join(ranked[:_N_NAMED])}."
        )
        if self.parts:
            here = self.parts[list(self.layers).index(self.layer)]
            text += (
                f" Token by token ({len(self.read)} emotions), the first tenth of a closing has "
                f"{THOUSANDTHS * here[0]:+.2f} and the last {THOUSANDTHS * here[-1]:+.2f}."
            )
        return text


def read_closings(
    materials: Materials, advance: Callable[[int], None] = lambda _n: None
) -> Carried | None:
    """Measure what closings carry; None where the corpus has none, or no other way reads them."""
    ways = [way for way in _SOURCES if way in materials.ways]
    if CARRIED not in materials.ways or not ways:
        return None
    layers = materials.layers
    tables = {way: [_own_above_others(materials, way, layer) for layer in layers] for way in ways}
    at = layers.index(materials.layer)
    sources = []
    for way, by_layer in tables.items():
        kept = ~by_layer[at].own.isnan().any(dim=0)
        own = [each.own[:, kept] for each in by_layer]
        null = by_layer[at].permuted(kept, materials.seed)
        sources.append(
            WayOnClosings(
                way=way,
                by_layer=[mean_over_crossed(each) for each in own],
                own=mean_over_crossed(own[at]),
                p=permutation_p_value(float(own[at].mean()), null, "greater"),
                by_emotion=dict(zip(materials.emotions, own[at].mean(dim=1).tolist(), strict=True)),
            )
        )
    read = _read_again(materials)
    return Carried(
        layers=layers,
        layer=materials.layer,
        n_topics=len({text.topic for text in materials.placed_texts(CARRIED)}),
        n_permutations=_N_PERMUTATIONS,
        sources=sources,
        parts=_by_part(materials, read, ways[0], advance) if len(read) > 1 else (),
        read=read,
    )


@dataclass(frozen=True)
class _Scores:
    """Scores of closings in mean residual norms; NaN where nothing was read."""

    scores: Float[Tensor, "topic emotion vector"]

    @property
    def own(self) -> Float[Tensor, "emotion topic"]:
        """The own emotion's score less the mean of the others'."""
        own = torch.diagonal(self.scores, dim1=1, dim2=2)  # [topic emotion]
        return rearrange(_above_others(own, self.scores.sum(dim=2)), "topic e -> e topic")

    def permuted(self, topics: Bool[Tensor, "topic"], seed: int) -> Float[Tensor, "permutation"]:
        """Mean over emotions and topics where the vectors' names are dealt anew."""
        mean = self.scores[topics].mean(dim=0)
        names = permute_within(torch.arange(len(mean)), None, _N_PERMUTATIONS, seed)
        named = mean.gather(1, names.T)  # [emotion permutation]
        sums = rearrange(mean.sum(dim=1), "emotion -> emotion 1").expand_as(named)
        return reduce(_above_others(named, sums, len(mean)), "e permutation -> permutation", "mean")


def _above_others(own: Tensor, sums: Tensor, n: int | None = None) -> Tensor:
    n = own.shape[-1] if n is None else n
    return own - (sums - own) / (n - 1)


class _OtherTopics:
    """Vectors of one way at one layer, from all of its topics (frames) but one."""

    def __init__(self, materials: Materials, way: str, layer: int) -> None:
        rows = materials.way(way, layer)
        self._units = materials.units(way)
        shape = len(self._units), len(materials.emotions)
        one = torch.ones_like(rows.emotion)
        self._cells = CellSums.of(rows.mean.double(), (rows.unit, rows.emotion), one, shape)
        self._basis = materials.neutral_components(layer)

    def without(self, topic: str) -> Float[Tensor, "emotion d_model"] | None:
        """Return vectors of length one; None where an emotion has no other text."""
        kept = torch.tensor([unit != topic for unit in self._units])
        fitted = fit_vectors(self._cells, kept, self._basis)
        return normalize(fitted.vectors) if bool(fitted.present.all()) else None


def _own_above_others(materials: Materials, way: str, layer: int) -> _Scores:
    """Score every closing by vectors of other topics."""
    closings, n = materials.way(CARRIED, layer), len(materials.emotions)
    others, bundle = _OtherTopics(materials, way, layer), materials.vectors
    norm = bundle.residual_norm[bundle.layer_index(layer)].double()
    topics = materials.units(CARRIED)
    scores = torch.full((len(topics), n, n), torch.nan, dtype=torch.float64)
    one = torch.ones_like(closings.emotion)
    cells = CellSums.of(
        closings.mean.double(), (closings.unit, closings.emotion), one, (len(topics), n)
    )
    for number, topic in enumerate(topics):
        vectors, counts = others.without(topic), cells.counts[number]
        if vectors is None or bool((counts == 0).any()):
            continue
        means = cells.sums[number] / rearrange(counts, "emotion -> emotion 1")
        apart = (means - means.mean(dim=0)) / norm
        scores[number] = einsum(apart, vectors, "emotion d, vector d -> emotion vector")
    return _Scores(scores)


def _read_again(materials: Materials) -> list[str]:
    """Choose emotions that are read token by token, spread over those that are steered with."""
    names = materials.steered_emotions()
    n = min(_N_READ_AGAIN, len(names))
    return [names[index * len(names) // n] for index in range(n)]


def _by_part(
    materials: Materials, read: Sequence[str], way: str, advance: Callable[[int], None]
) -> list[list[float]]:
    """Read some emotions' closings token by token: own above others, by layer and part."""
    numbers = [materials.emotions.index(name) for name in read]
    by_topic: dict[str, list[PlacedText]] = {}
    for text in materials.placed_texts(CARRIED):
        if text.emotion in numbers:
            by_topic.setdefault(text.topic, []).append(text)
    readers = {layer: _OtherTopics(materials, way, layer) for layer in materials.layers}
    topics = []
    for topic, placed in by_topic.items():
        texts = [it.whole for it in placed]
        n = n_shared(materials.subject(), texts, placed[0].closing)
        ends = read_ends(materials, texts, [n] * len(texts), materials.layers, advance)
        tokens = torch.stack([*ends])
        vectors = [readers[layer].without(topic) for layer in materials.layers]
        if n < N_PARTS or any(each is None for each in vectors):
            continue
        of_layer = torch.stack([each for each in vectors if each is not None]).float()
        apart = tokens - reduce(tokens, "text token layer d -> 1 token layer d", "mean")
        scores = einsum(
            apart, of_layer, "text token layer d, layer vector d -> token layer text vector"
        )
        own = scores[:, :, torch.arange(len(placed)), [it.emotion for it in placed]]
        above = _above_others(own, scores.sum(dim=3), scores.shape[3])
        parts = [
            reduce(part, "token layer text -> layer", "mean")
            for part in above.tensor_split(N_PARTS)
        ]
        topics.append(torch.stack(parts, dim=1))
    return torch.stack(topics).mean(dim=0).tolist() if topics else []
