"""What the vectors look like, as `results` has it: geometry, the sweep over layers, logit lens."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis import geometry, logit_lens, results
from probes.analysis.agreement import match_component, rating_table
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.intervals import binomial_interval, mean_of_draws, spread_interval
from probes.analysis.lens_beyond import lens_within_side
from probes.analysis.resampling import topic_counts
from probes.vectors.denoising import CellSums, fit_vectors

Vectors = Float[Tensor, "emotion d_model"]


def match_scales(
    coordinates: Float[Tensor, "emotion component"],
    emotions: Sequence[str],
    *,
    n_permutations: int,
    seed: int,
) -> results.Ratings:
    """Match components with valence, then another one with arousal."""

    def match(scale: str, *taken: int) -> results.ScaleMatch | None:
        options = {"n_permutations": n_permutations, "seed": seed}
        return match_component(coordinates, emotions, scale, exclude=taken, **options)

    valence = match("valence")
    taken = [] if valence is None else [valence.component]
    return results.Ratings(valence, match("arousal", *taken))


def describe_geometry(
    vectors: Vectors,
    emotions: Sequence[str],
    cells: CellSums,
    basis: Float[Tensor, "component d_model"],
    *,
    n_components: int,
    n_clusters: int,
    unit_norm: bool,
    n_permutations: int,
    n_bootstrap: int,
    seed: int,
    **about: Any,
) -> results.Geometry:
    """Describe one layer; topics are resampled from sums of the stories and the neutral basis."""
    n_emotions = len(emotions)
    keep = min(n_components, n_emotions - 1, vectors.shape[1])
    components = geometry.principal_components(vectors, keep, unit_norm)
    cosine = geometry.cosine_matrix(vectors)
    again, n_topics = topic_bootstrap(cells, basis, n_bootstrap, seed), len(cells.sums)
    layout = [] if n_emotions < results.MIN_UMAP else geometry.umap_layout(vectors, seed).tolist()
    return results.Geometry(
        emotions=list(emotions),
        cosine=cosine.tolist(),
        order=geometry.hierarchical_order(cosine),
        pca=results.Pca(
            components.coordinates.tolist(),
            components.explained_variance_ratio.tolist(),
            _share_interval(components, again, n_topics, unit_norm),
            unit_norm,
        ),
        ratings=match_scales(
            components.coordinates, emotions, n_permutations=n_permutations, seed=seed
        ),
        human={word: results.Rated(**ratings) for word, ratings in rating_table(emotions).items()},
        kmeans=_clusters(vectors, again, n_clusters, n_topics, unit_norm, seed),
        umap=[(x, y) for x, y in layout] or None,
        **about,
    )


def _share_interval(
    components: geometry.PrincipalComponents,
    again: Sequence[Vectors],
    n_topics: int,
    unit_norm: bool,
) -> tuple[list[float], list[float]] | None:
    """Return both ends of the interval of each share of variance, over topics drawn again."""
    if len(again) < 2 or n_topics < 2:
        return None
    shares = components.explained_variance_ratio.double()
    each = [geometry.principal_components(vectors, len(shares), unit_norm) for vectors in again]
    drawn = torch.stack([one.explained_variance_ratio for one in each])
    low, high = spread_interval(shares, drawn, n_topics)
    return low.clamp(min=0).tolist(), high.clamp(max=1).tolist()


def _clusters(
    vectors: Vectors,
    again: Sequence[Vectors],
    n_clusters: int,
    n_topics: int,
    unit_norm: bool,
    seed: int,
) -> results.KMeans | None:
    """k-means with silhouette, and its stability: mean and central 95% over topics drawn again."""
    if n_clusters >= len(vectors):
        return None
    labels = geometry.kmeans_labels(vectors, n_clusters, seed, unit_norm)
    resampled = [geometry.kmeans_labels(one, n_clusters, seed, unit_norm) for one in again]
    stability = (None, None, None)
    if len(resampled) >= 2 and n_topics >= 2:
        agreements = torch.tensor([geometry.adjusted_rand_index(labels, one) for one in resampled])
        mean = mean_of_draws(agreements)
        stability = (mean.value, mean.low, mean.high)
    silhouette = geometry.silhouette(vectors, labels)
    return results.KMeans(
        n_clusters, labels.tolist(), silhouette, *stability, n_bootstrap=len(resampled)
    )


def topic_bootstrap(
    cells: CellSums, basis: Float[Tensor, "component d_model"], n_resamples: int, seed: int
) -> list[Vectors]:
    """Fit vectors to topics drawn again, without draws that leave an emotion without a story."""
    weights = topic_counts(torch.arange(len(cells.sums)), n_resamples, seed)
    fitted = (fit_vectors(cells, weight, basis) for weight in weights)
    return [each.vectors for each in fitted if each.present.all()]


def describe_layers(
    vectors: Float[Tensor, "layer emotion d_model"],
    layers: Sequence[int],
    emotions: Sequence[str],
    *,
    n_components: int,
    unit_norm: bool,
    n_permutations: int,
    seed: int,
    **about: Any,
) -> results.Layers:
    """Describe every layer; `about` are the fields of `Layers` that are not measured here."""
    keep = min(n_components, len(emotions) - 1, vectors.shape[2])
    rows = [geometry.principal_components(layer, keep, unit_norm) for layer in vectors]
    matches = [
        match_scales(row.coordinates, emotions, n_permutations=n_permutations, seed=seed)
        for row in rows
    ]
    return results.Layers(
        layers=list(layers),
        valence=[match.valence for match in matches],
        arousal=[match.arousal for match in matches],
        explained_variance_ratio=[row.explained_variance_ratio.tolist() for row in rows],
        rsa=geometry.rsa(vectors).tolist() if len(emotions) >= 3 else None,
        **about,
    )


def describe_lens(
    logits: Float[Tensor, "emotion d_vocab"],
    tokens: Sequence[str],
    readable: Bool[Tensor, "d_vocab"],
    emotions: Sequence[str],
    families: Sequence[frozenset[str]],
    synonyms: Sequence[frozenset[str]],
    off_plane: Float[Tensor, "emotion d_vocab"] | None = None,
    *,
    top_k: int,
    n_shuffles: int,
    seed: int,
    **about: Any,
) -> results.Lens:
    """Describe the logit lens; `synonyms` are what no story of the emotion may contain.

    `off_plane` are logits of vectors without the plane of valence and arousal, where there is one.
    """
    own_words = logit_lens.family_token_ids(tokens, families)
    ranks = logit_lens.own_word_rank(logits, readable, own_words).tolist()

    def shares(name: str, ids: list[list[int]]) -> dict[str, Any]:
        ranks = logit_lens.own_word_rank(logits, readable, ids)
        shuffled = logit_lens.shuffled_own_word_share(
            logits, readable, ids, top_k, n_shuffles, seed
        )
        return {
            f"{name}_share": logit_lens.own_word_share(ranks, top_k),
            f"{name}_share_interval": binomial_interval(int((ranks < top_k).sum()), len(ranks)),
            f"{name}_share_shuffled": shuffled.mean,
            f"{name}_share_shuffled_95": shuffled.upper,
        }

    top = logit_lens.top_tokens(logits, readable, top_k)
    bottom = logit_lens.bottom_tokens(logits, readable, top_k)

    def listed(ranking: logit_lens.TokenRanking, row: int) -> list[tuple[str, float]]:
        pairs = zip(ranking.ids[row].tolist(), ranking.values[row].tolist(), strict=True)
        return [(tokens[int(index)], float(value)) for index, value in pairs]

    def beyond(of: Float[Tensor, "emotion d_vocab"]) -> results.LensBeyond | None:
        side = EmotionGroups.of(emotions).side
        how = {"top_k": top_k, "n_shuffles": n_shuffles, "seed": seed}
        return lens_within_side(of, readable, own_words, side, **how)

    n_vocab = logits.shape[1]
    return results.Lens(
        top_k=top_k,
        emotions={
            emotion: results.EmotionTokens(
                listed(top, row), listed(bottom, row), rank if rank < n_vocab else None
            )
            for row, (emotion, rank) in enumerate(zip(emotions, ranks, strict=True))
        },
        **shares("own_word", own_words),
        **shares("named", logit_lens.family_token_ids(tokens, synonyms)),
        within_side=beyond(logits),
        beyond_ratings=None if off_plane is None else beyond(off_plane),
        n_emotions=len(emotions),
        **about,
    )
