"""Cards say what the run says, its intervals and what it lacks, and nothing of this machine."""

import copy
import dataclasses

import pytest
import yaml

from probes.export.card import dataset_card, limits, model_card
from probes.report import summary
from probes.report.markdown import escape

MATCH = {
    "component": 1,
    "sign": 1,
    "r": 0.41,
    "n": 24,
    "low": -0.02,
    "high": 0.7,
    "p_corrected": 0.19,
    "n_searched": 4,
}


def cards(source, record=None, told=None) -> tuple[str, str]:
    about = (record or source.record, told or source.summary, source.vectors.provenance)
    return (
        model_card(*about, repo="me/mine", dataset=True, picture=False),
        dataset_card(*about, repo="me/mine", counts={"stories": 18, "neutral": 6}),
    )


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def generated(record):
    """The same record, as if a model had written the texts."""
    record = copy.deepcopy(record)
    record["config"]["corpus"] = {"stories": None, "neutral": None}
    record["config"]["writer"]["name"] = "embedded:smollm2-135m-instruct"
    return record


class TestNumbers:
    def test_every_row_of_the_runs_table_is_told_but_the_times(self, source):
        told, _ = cards(source)
        for name, value in summary.rows(source.summary):
            if name != "subject":  # a folder, of which only the name is told
                assert (f"| {escape(name)} | {escape(value)} |" in told) == ("seconds" not in name)
        assert "| subject | gpt2 (huggingface, float32) |" in told

    def test_intervals_come_along(self, source):
        rated = {**source.summary, "valence": {**MATCH, "p_corrected": 0.001, "low": 0.3}}
        model, _ = cards(source, told=rated)
        assert r"shown: 0.41 \[0.30, 0.70\] (24 rated words; p = 0.001)" in model


class TestLimits:
    def test_they_are_those_of_the_report(self, source):
        rated = {**source.summary, "arousal": MATCH, "umap": True}
        model, dataset = cards(source, told=rated)
        assert (
            "with human arousal: not shown, borderline (0.41; 95% interval -0.02 to 0.70" in model
        )
        assert "Few stories: 6 for the emotion with the fewest" in model
        assert "Few stories: 6 for the emotion with the fewest" in dataset
        assert "with human arousal" not in dataset

    def test_what_was_not_done_is_said(self, source):
        said = limits({"seconds": {}})
        assert "Nothing was validated: whether the vectors do anything is not known." in said
        done = limits(source.summary)
        assert not [line for line in done if "was not analyzed" in line]

    def test_what_an_experiment_lacked_is_said_in_its_words(self, source):
        tested = {**source.summary, "experiments": {"x": {"rows": [], "limits": ["Few topics."]}}}
        assert "x: Few topics." in limits(tested)

    def test_missing_stories_are_counted(self, source):
        written = {**source.summary, "stories": {**source.summary["stories"], "missing": 3}}
        assert "Missing texts: 3 of 18 stories" in cards(source, told=written)[1]


class TestTerms:
    def test_of_an_own_corpus_and_an_unknown_model_no_license_is_claimed(self, source):
        model, dataset = cards(source)
        assert "license" not in front_matter(model)
        assert "license" not in front_matter(dataset)
        assert "not known on this machine: read the terms of gpt2 before you share" in model
        assert "their terms are not recorded" in dataset

    def test_of_a_known_writer_the_license_is_told(self, source):
        model, dataset = cards(source, record=generated(source.record))
        assert front_matter(dataset)["license"] == "apache-2.0"
        assert "Writer embedded:smollm2-135m-instruct: Apache-2.0." in model
        assert "not judged by people" in dataset

    def test_of_gemma_the_vectors_are_under_its_terms(self, source):
        gemma = dataclasses.replace(
            source.vectors.provenance, model="embedded:gemma-3-270m", revision=None
        )
        about = (source.record, source.summary, gemma)
        told = model_card(*about, repo="me/mine", dataset=False, picture=False)
        assert front_matter(told)["license"] == "gemma"
        assert front_matter(told)["base_model"] == "google/gemma-3-270m"
        assert "Gemma terms of use. Vectors derived from it may be bound by them." in told


class TestWhatIsTold:
    def test_nothing_of_this_machine(self, source):
        for card in cards(source):
            assert str(source.root) not in card
            assert source.vectors.provenance.model not in card
            assert "/tmp" not in card

    def test_how_to_load_it_back(self, source):
        model, dataset = cards(source)
        assert 'EmotionVectors.load("hf://me/mine")' in model
        assert 'load_dataset("me/mine", "stories", split="train")' in dataset
        assert front_matter(dataset)["configs"][0] == {
            "config_name": "stories",
            "data_files": "stories.parquet",
        }
        assert front_matter(model)["datasets"] == ["me/mine"]

    def test_names_are_shown_as_they_are(self, source):
        hostile = dataclasses.replace(source.vectors.provenance, emotions=["<b>a|b</b>\n# *x*"])
        about = (source.record, source.summary, hostile)
        told = model_card(*about, repo="me/my_vectors", dataset=True, picture=True)
        assert r"Emotions: &lt;b&gt;a\|b&lt;/b&gt; \# \*x\*." in told
        assert "vectors.by_layer('<b>a|b</b>\\n# *x*')" in told
        assert 'load("hf://me/my_vectors")' in told
        assert "the dataset `me/my_vectors`" in told
        assert "](pca_scatter.png)" in told


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("shown", "the mean over stories that convey an emotion without naming it, minus"),
        ("said", "the mean over sentences that say an emotion, minus"),
        ("both", "and that over sentences that say it, each"),
    ],
)
def test_the_card_says_of_which_way_the_vectors_are(source, way, words):
    made = dataclasses.replace(source.vectors.provenance, way=way)
    told = (source.record, source.summary, made)
    card = model_card(*told, repo="me/mine", dataset=True, picture=False)
    assert words in card
    assert f"| way of expression | {way} |" in card
