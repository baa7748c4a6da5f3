"""What a run says about its vectors: plain values, right for vectors whose answer is known."""

import pytest
import torch

from probes.analysis.describe import (
    describe_geometry,
    describe_layers,
    describe_lens,
    match_scales,
    topic_bootstrap,
)
from probes.analysis.results import MIN_UMAP
from probes.stimuli import human_ratings
from probes.vectors.denoising import CellSums, project_out

RATED = sorted(human_ratings())[:20]
D_MODEL = 16
OPTIONS = {"n_components": 5, "unit_norm": False, "n_permutations": 200, "seed": 0}
ABOUT = {"model": "m", "layer": 4, "n_layers": 9}
ABOUT_LAYERS = {"target_layer": 4, "n_neutral_components": [1, 1, 1], "residual_norm": [1.0] * 3}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planted(names: list[str], scale: float = 1.0) -> torch.Tensor:
    """Vectors that vary most along arousal, then along minus valence, then hardly."""
    axes = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=generator(1))).Q
    vectors = 0.05 * torch.randn(len(names), D_MODEL, generator=generator(2))
    for row, name in enumerate(names):
        rating = human_ratings()[name]
        vectors[row] += scale * (6 * rating.arousal * axes[0] - 2 * rating.pleasure * axes[1])
    return vectors - vectors.mean(dim=0)


NO_BASIS = torch.zeros(0, D_MODEL, dtype=torch.float64)


def cells_of(vectors: torch.Tensor, n_topics: int = 6, noise: float = 0.0) -> CellSums:
    drawn = torch.randn(len(vectors), n_topics, D_MODEL, generator=generator(3)).double()
    sums = (vectors[:, None].double() + noise * drawn).transpose(0, 1)
    return CellSums(sums, torch.ones(sums.shape[:2], dtype=torch.float64))


def geometry_of(vectors, names, cells=None, **changes):
    options = {**OPTIONS, **ABOUT, "n_clusters": 2, "n_bootstrap": 4, **changes}
    return describe_geometry(vectors, names, cells or cells_of(vectors), NO_BASIS, **options)


@pytest.mark.slow
class TestGeometry:
    def test_planted_valence_and_arousal_are_found_on_two_components(self):
        valence, arousal = (it for _, it in geometry_of(planted(RATED), RATED).ratings.by_scale)
        # The ratings themselves are correlated and components are not, so r falls short of 1.
        assert valence.r > 0.85
        assert arousal.r > 0.95
        assert (valence.component, arousal.component) == (1, 0)

    def test_shares_of_variance_are_as_sure_as_topics_agree(self):
        vectors = planted(RATED)
        widths = []
        for noise in (0.0, 0.5, 1.0):
            cells = cells_of(vectors, noise=noise)
            pca = geometry_of(vectors, RATED, cells, n_bootstrap=30).pca
            assert pca.explained_variance_ratio_interval is not None
            low, high = (ends[0] for ends in pca.explained_variance_ratio_interval)
            assert low <= pca.explained_variance_ratio[0] <= high
            widths.append(high - low)
        assert widths[0] < 1e-6
        assert widths[0] < widths[1] < widths[2]

    @pytest.mark.parametrize("side", [1, -1])
    def test_the_reported_sign_turns_the_component_towards_the_pleasant_end(self, side):
        described = geometry_of(side * planted(RATED), RATED)
        match = described.ratings.valence
        assert match is not None
        axis = [match.sign * row[match.component] for row in described.pca.coordinates]
        pleasure = [human_ratings()[name].pleasure for name in RATED]
        correlation = torch.corrcoef(torch.tensor([axis, pleasure]))[0, 1]
        assert float(correlation) == pytest.approx(match.r, abs=1e-4)
        assert match.r > 0.85

    def test_valence_takes_its_component_before_arousal(self):
        coordinates = torch.tensor([[human_ratings()[name].pleasure] for name in RATED])
        ratings = match_scales(coordinates, RATED, n_permutations=100, seed=0)
        assert ratings.valence is not None
        assert ratings.valence.component == 0
        assert ratings.arousal is None

    def test_every_emotion_has_its_place(self):
        described = geometry_of(planted(RATED), RATED)
        assert described.emotions == RATED
        assert sorted(described.order) == list(range(20))
        assert described.umap is not None
        assert len(described.umap) == 20
        assert described.cosine[3][3] == pytest.approx(1, abs=1e-5)
        assert len(described.pca.coordinates[0]) == 5
        assert (described.model, described.layer, described.n_layers) == ("m", 4, 9)

    @pytest.mark.parametrize(("n", "made"), [(MIN_UMAP - 1, False), (MIN_UMAP, True)])
    def test_few_emotions_have_no_neighborhoods_to_map(self, n, made):
        assert (geometry_of(planted(RATED[:n]), RATED[:n]).umap is not None) == made

    @pytest.mark.parametrize("n", [2, 3])
    def test_two_or_three_emotions_leave_out_what_needs_more(self, n):
        names = ["happy", "sad", "angry"][:n]
        described = geometry_of(planted(names), names)
        assert described.umap is None
        assert described.ratings.by_scale == []
        assert (described.kmeans is None) == (n == 2)

    def test_the_same_seed_gives_the_same_description(self):
        names = ["happy", "sad", "angry"]
        cells = cells_of(planted(names), noise=0.5)
        one, two = (geometry_of(planted(names), names, cells) for _ in range(2))
        assert one == two


class TestStability:
    CLUSTERS = torch.cat([torch.eye(1, D_MODEL).repeat(3, 1), -torch.eye(1, D_MODEL).repeat(3, 1)])
    NAMES = RATED[:6]

    def vectors(self):
        return self.CLUSTERS + 0.01 * torch.randn(6, D_MODEL, generator=generator(5))

    def kmeans(self, noise):
        vectors = self.vectors()
        cells = cells_of(vectors, noise=noise)
        return geometry_of(vectors, self.NAMES, cells, n_bootstrap=12).kmeans

    def test_clusters_that_every_topic_shows_are_stable(self):
        clusters = self.kmeans(noise=0.01)
        assert (clusters.stability, clusters.n_bootstrap, clusters.k) == (1.0, 12, 2)
        assert len(set(clusters.labels[:3])) == 1
        assert clusters.labels[0] != clusters.labels[3]

    def test_clusters_that_topics_do_not_show_are_not(self):
        clusters = self.kmeans(noise=20)
        assert clusters.stability < 0.6
        assert clusters.stability_low <= clusters.stability <= clusters.stability_high

    def test_more_clusters_than_emotions_are_none(self):
        assert geometry_of(self.vectors(), self.NAMES, n_clusters=6).kmeans is None


class TestTopicBootstrap:
    def test_without_noise_every_resample_is_the_vectors(self):
        vectors = planted(RATED)
        for again in topic_bootstrap(cells_of(vectors), NO_BASIS, 3, seed=0):
            torch.testing.assert_close(again.float(), vectors, atol=1e-5, rtol=1e-5)

    def test_topics_weigh_by_their_stories_and_neutral_components_are_removed(self):
        sums = torch.randn(1, 3, D_MODEL, generator=generator(), dtype=torch.float64)
        counts = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
        neutral = torch.eye(2, D_MODEL, dtype=torch.float64)
        [again] = topic_bootstrap(CellSums(sums, counts), neutral, 1, seed=0)
        means = sums[0] / counts[0, :, None]
        expected = project_out(means - means.mean(dim=0), neutral)
        torch.testing.assert_close(again, expected)
        assert again[:, :2].abs().max() < 1e-12

    def test_a_resample_without_an_emotion_is_left_out(self):
        cells = cells_of(planted(RATED[:3]), n_topics=2)
        cells.counts[1, 0] = 0
        kept = topic_bootstrap(cells, NO_BASIS, 40, seed=0)
        assert 20 < len(kept) < 40
        assert all(vectors.isfinite().all() for vectors in kept)


class TestLayers:
    def test_each_layer_has_its_row_and_a_planted_layer_stands_out(self):
        noise = torch.randn(2, 20, D_MODEL, generator=generator(9))
        vectors = torch.stack([noise[0], planted(RATED), noise[1]])
        described = describe_layers(vectors, [0, 4, 8], RATED, **OPTIONS, **ABOUT_LAYERS)
        assert described.layers == [0, 4, 8]
        r = [match.r for match in described.valence if match is not None]
        assert r[1] > 0.85 > max(r[0], r[2])
        assert described.rsa is not None
        assert described.rsa[0][0] == pytest.approx(1, abs=1e-5)

    def test_two_emotions_have_no_similarity_structure_to_compare(self):
        vectors = torch.randn(3, 2, D_MODEL, generator=generator())
        names = ["happy", "sad"]
        described = describe_layers(vectors, [0, 1, 2], names, **OPTIONS, **ABOUT_LAYERS)
        assert described.rsa is None
        assert described.valence == [None] * 3


class TestLens:
    TOKENS = ["<s>", " sad", "happy", " Sadness", "the", " of", " joy", "x", " y", " z"]
    READABLE = torch.tensor([False] + [True] * 9)
    FAMILIES = [frozenset({"sad", "sadness"}), frozenset({"happy"}), frozenset({"serene"})]
    SYNONYMS = [FAMILIES[0], FAMILIES[1] | {"the"}, FAMILIES[2]]

    def describe(self, logits, top_k=2):
        return describe_lens(
            logits,
            self.TOKENS,
            self.READABLE,
            ["sad", "happy", "serene"],
            self.FAMILIES,
            self.SYNONYMS,
            top_k=top_k,
            n_shuffles=50,
            seed=0,
            layer=4,
        )

    def logits(self):
        logits = torch.zeros(3, 10)
        logits[:, 0] = 100.0  # a special token is never read
        logits[0] += torch.tensor([0, 5, 0, 6, 1, 0, 0, 0, 0, -9.0])
        logits[1] += torch.tensor([0, 0, 2, 0, 4, 3, 0, 0, -9.0, 0])
        logits[2] += torch.arange(10)
        return logits

    def test_top_and_bottom_tokens_and_the_rank_of_the_own_word(self):
        described = self.describe(self.logits())
        sad, happy, serene = (described.emotions[name] for name in ("sad", "happy", "serene"))
        assert [token for token, _ in sad.top] == [" Sadness", " sad"]
        assert sad.bottom[0] == (" z", -9.0)
        assert (sad.own_word_rank, happy.own_word_rank) == (0, 2)
        assert serene.own_word_rank is None
        assert described.n_emotions == 3

    def test_the_share_counts_emotions_without_a_token_as_misses(self):
        assert self.describe(self.logits(), top_k=2).own_word_share == pytest.approx(1 / 3)
        described = self.describe(self.logits(), top_k=3)
        assert described.own_word_share == pytest.approx(2 / 3)
        assert 0 < described.own_word_share_shuffled < 2 / 3
        assert described.own_word_share_shuffled <= described.own_word_share_shuffled_95

    def test_a_synonym_names_the_emotion_too(self):
        described = self.describe(self.logits(), top_k=2)
        assert described.named_share == pytest.approx(2 / 3)
        low, high = described.named_share_interval
        assert low < 2 / 3 < high
