"""A made-up analysis with planted valence and arousal, of the classes that the stages leave."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn import cluster
from sklearn.decomposition import PCA

from probes import stimuli
from probes.analysis.results import (
    EmotionTokens,
    Geometry,
    KMeans,
    Layers,
    Lens,
    Pca,
    Rated,
    Ratings,
    ScaleMatch,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><b>bold</b>",
    "<img src=x onerror=alert(1)>",
    "costs $5 and $x^2$",
    "%{x} & &lt; &amp;",
    "\"quoted\" 'name'",
    "悲しい",
    "حزين",
    "line\nfeed\x00\u202e\ud800",
    "<br>broken<a href='https://x'>y</a>",
)
_STIMULI = Path(stimuli.__file__).parent / "data"


def words_171() -> list[str]:
    return (_STIMULI / "emotions_171.txt").read_text(encoding="utf-8").split("\n")[:171]


def human_ratings() -> dict[str, Rated]:
    with (_STIMULI / "norms_russell_mehrabian_1977.csv").open(encoding="utf-8") as file:
        return {
            row["word"]: Rated(float(row["pleasure"]), float(row["arousal"]))
            for row in csv.DictReader(file)
        }


def synthetic_geometry(emotions: list[str], *, clusters: int, seed: int = 0) -> Geometry:
    """Vectors that are valence, arousal and noise; unrated words get random ratings."""
    generator = np.random.default_rng(seed)
    human = human_ratings()
    planted = np.array(
        [
            [human[word].valence, human[word].arousal]
            if word in human
            else generator.uniform(-0.8, 0.8, size=2)
            for word in emotions
        ]
    )
    axes = np.linalg.qr(generator.normal(size=(64, 2)))[0].T
    vectors = planted * [1.0, 0.7] @ axes + 0.05 * generator.normal(size=(len(emotions), 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = np.clip(vectors @ vectors.T, -1, 1)
    tree = linkage(squareform(1 - cosine, checks=False), "average")
    pca = PCA().fit(vectors)
    coordinates = pca.transform(vectors)
    sign = [1 if np.corrcoef(coordinates[:, i], planted[:, i])[0, 1] > 0 else -1 for i in (0, 1)]
    labels = cluster.KMeans(clusters, n_init=3, random_state=seed).fit_predict(vectors)

    def rating(component: int, r: float) -> ScaleMatch:
        return ScaleMatch(component, sign[component], r, 24, 0.9, 0.98, 0.001, 5)

    umap = 3 * planted + generator.normal(scale=0.4, size=planted.shape)
    return Geometry(
        model="gemma-3-270m",
        layer=12,
        n_layers=18,
        emotions=emotions,
        cosine=cosine.tolist(),
        order=leaves_list(tree).tolist(),
        pca=Pca(coordinates.tolist(), pca.explained_variance_ratio_.tolist()),
        ratings=Ratings(rating(0, 0.95), rating(1, 0.62)),
        human={word: human[word] for word in emotions if word in human},
        kmeans=KMeans(clusters, labels.tolist(), 0.3, 0.8, 0.7, 0.9, 20),
        umap=[(x, y) for x, y in umap.tolist()],
    )


def synthetic_layers(n_layers: int = 18) -> Layers:
    def rating(layer: int, best: float, component: int) -> ScaleMatch | None:
        r = float(best * (1 - np.exp(-(layer + 1) / 4)) * (-1) ** layer)
        low, high = sorted((r - 0.12, r + 0.05) if r > 0 else (r + 0.12, r - 0.05))
        match = ScaleMatch(component, 1 if r > 0 else -1, r, 24, low, high)
        return None if layer in (0, 5) else match

    distance = np.abs(np.subtract.outer(np.arange(n_layers), np.arange(n_layers)))
    return Layers(
        layers=list(range(n_layers)),
        target_layer=12,
        valence=[rating(layer, 0.95, 0) for layer in range(n_layers)],
        arousal=[rating(layer, 0.6, 1 + layer % 2) for layer in range(n_layers)],
        explained_variance_ratio=[[0.3, 0.2, 0.1]] * n_layers,
        n_neutral_components=[1 + max(0, layer - 9) for layer in range(n_layers)],
        residual_norm=np.geomspace(190, 36_000, n_layers).tolist(),
        rsa=np.exp(-distance / 6).tolist(),
    )


def synthetic_lens(emotions: list[str], tokens: tuple[str, ...]) -> Lens:
    def entry(index: int) -> EmotionTokens:
        names = [tokens[(index + step) % len(tokens)] for step in range(10)]
        top = [(name, 3.1 - step / 10) for step, name in enumerate(names)]
        bottom = [(name, -2.9 + step / 10) for step, name in enumerate(reversed(names))]
        return EmotionTokens(top, bottom, None if index % 5 == 4 else index**3)

    return Lens(
        layer=12,
        emotions={emotion: entry(index) for index, emotion in enumerate(emotions)},
        n_emotions=len(emotions),
        own_word_share=0.62,
        own_word_share_interval=(0.4, 0.8),
        own_word_share_shuffled=0.04,
        own_word_share_shuffled_95=0.1,
        named_share=0.7,
        named_share_interval=(0.5, 0.9),
        named_share_shuffled=0.1,
        named_share_shuffled_95=0.2,
        top_k=10,
    )


def synthetic_counts(emotions: list[str]) -> dict[str, Any]:
    return {
        "emotions": {
            emotion: {
                "accepted": 100 - index % 23,
                "rejected": {"leak": index % 17, "truncated": index % 5, "duplicate": 0},
                "missing": index % 23,
            }
            for index, emotion in enumerate(emotions)
        }
    }


TOKENS = (
    " sobbing", " bereaved", " wept", "grief", " mourning", "▁tears", " sorrow", "哭", " печаль",
    "<b>", "\n\n", "$x$", " lonely", "😭", " inconsolable", "حزن", "</script>", " sad",
)  # fmt: skip


def analysis_of(emotions: list[str], tokens: tuple[str, ...] = TOKENS) -> dict[str, Any]:
    """What `pictures.figures_of` takes, all of it."""
    return {
        "geometry": synthetic_geometry(emotions, clusters=4),
        "layers": synthetic_layers(),
        "lens": synthetic_lens(emotions, tokens),
        "counts": synthetic_counts(emotions),
    }
