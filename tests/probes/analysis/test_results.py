"""What the analysis leaves goes to its file and back, and says what it shows by stated rules."""

import dataclasses
import json
import subprocess
import sys

import made_up_analysis
import pytest

from hooks.errors import DataError
from probes.analysis.findings import RunNumber
from probes.analysis.results import (
    Geometry,
    KMeans,
    Layers,
    Lens,
    LensInShort,
    Ratings,
    ScaleMatch,
    plain_values,
    read_result,
)

MATCH = ScaleMatch(
    component=1, sign=-1, r=0.8123, n=24, low=0.6, high=0.9, p_corrected=0.0005, n_searched=5
)
WORDS = made_up_analysis.words_171()[:12]


def geometry(**changes) -> Geometry:
    return dataclasses.replace(made_up_analysis.synthetic_geometry(WORDS, clusters=3), **changes)


def read(content, kind=Geometry):
    return read_result(kind, content, "geometry", "analyze")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (Geometry, geometry()),
        (Layers, made_up_analysis.synthetic_layers()),
        (Lens, made_up_analysis.synthetic_lens(WORDS, made_up_analysis.TOKENS)),
    ],
)
def test_a_result_goes_to_its_file_and_back(kind, made):
    text = json.dumps(plain_values(made), allow_nan=False)
    again = read(json.loads(text), kind)
    assert json.dumps(plain_values(again)) == text
    assert read({**json.loads(text), "of_another_version": 1}, kind) == again


@pytest.mark.parametrize("damage", [None, "x"])
def test_a_damaged_number_is_an_error_that_names_its_place_and_the_cure(damage):
    content = plain_values(geometry())
    content["cosine"][2][3] = damage
    with pytest.raises(DataError, match=r"cosine\.2\.3 is wrong .*--restart=analyze"):
        read(content)


def test_a_missing_part_is_named():
    content = plain_values(geometry())
    del content["pca"]
    with pytest.raises(DataError, match="pca is wrong"):
        read(content)


class TestRatings:
    def test_a_correlation_is_told_without_the_sign_of_its_axis(self):
        turned = dataclasses.replace(MATCH, r=-0.8123, low=-0.9, high=-0.6)
        assert turned.finding("valence") == MATCH.finding("valence")
        finding = MATCH.finding("valence")
        assert finding.number == "0.81"
        assert finding.line.startswith("shown: 0.81 [0.60, 0.90] (24 rated words; p = 0.0005); PC2")
        assert "best of 5 components" in finding.line

    @pytest.mark.parametrize(
        ("change", "verdict"),
        [
            ({}, "shown"),
            ({"p_corrected": 0.051}, "not shown"),
            ({"r": 0.4, "low": -0.01, "high": 0.7}, "not shown"),
            ({"r": -0.4, "low": -0.7, "high": 0.01}, "not shown"),
        ],
    )
    def test_a_rating_is_shown_when_its_interval_and_its_p_say_so(self, change, verdict):
        finding = dataclasses.replace(MATCH, **change).finding("arousal")
        assert finding.verdict == verdict
        assert (finding.limit is None) == (verdict == "shown")

    def test_what_too_few_people_rated_is_no_headline_and_a_limit(self):
        valence, arousal = Ratings(MATCH, None).findings()
        assert valence.headline
        assert not arousal.headline
        assert arousal.limit is not None
        assert "arousal: not measured (too few" in arousal.limit

    def test_few_rated_words_are_a_limit(self):
        assert MATCH.limits("valence") == ["Small n: valence is compared on 24 rated words."]
        assert dataclasses.replace(MATCH, n=30).limits("valence") == []


class TestGeometry:
    def test_stable_clusters_are_described_and_unstable_ones_a_limit(self):
        clusters = KMeans(3, [0] * 12, 0.2, 0.8, 0.7, 0.9, 20)
        [finding] = clusters.findings()
        assert (finding.name, finding.line) == (
            "stability of 3 clusters",
            "0.80 [0.70, 0.90] ARI; when topics are resampled",
        )
        assert clusters.limits() == []
        [limit] = dataclasses.replace(clusters, stability=0.21).limits()
        assert "agree at ARI 0.21" in limit
        assert dataclasses.replace(clusters, stability=None).findings() == []

    def test_a_missing_map_of_neighborhoods_is_a_limit(self):
        assert not any("UMAP" in limit for limit in geometry().limits())
        assert any("No UMAP" in limit for limit in geometry(umap=None).limits())

    def test_the_papers_components_are_correlated_as_they_are(self):
        numbers = geometry().paper_numbers()
        assert numbers["geometry.kmeans_k"] == RunNumber(
            3.0, n=12, note="a setting, not a finding", comparable=False
        )
        few = geometry(human={}).paper_numbers()["geometry.pc1_vs_human_valence"]
        assert few == "0 of this run's emotions have human ratings"
        assert geometry(kmeans=None).paper_numbers()["geometry.kmeans_k"] == (
            "too few emotions for clusters"
        )


class TestLens:
    LENS = LensInShort(10, 3, 0.5, (0.3, 0.7), 0.01, 0.04, 0.6, (0.4, 0.8), 0.1, 0.2)

    def test_the_own_word_has_to_beat_shuffled_names(self):
        own_word, synonym = self.LENS.findings()
        assert own_word.verdict == synonym.verdict == "shown"
        assert not own_word.headline
        assert not synonym.headline
        assert own_word.name == "Own word in the lens' top 10"
        assert own_word.detail.startswith("95% interval 30% to 70%; 3 emotions; strongest control")
        wide = dataclasses.replace(self.LENS, own_word_share_interval=(0.04, 0.6))
        assert wide.findings()[0].verdict == "not shown"
        assert "95% of shuffled names at most 4%" in str(wide.findings()[0].limit)


def test_results_are_read_without_torch_or_scipy():
    code = (
        "import sys\n"
        "from probes.analysis.results import Ratings, read_result\n"
        "read_result(Ratings, {}, 'ratings', 'analyze').findings()\n"
        "sys.exit(bool({'torch', 'scipy'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
