"""Cards say what the run says, its intervals and what it lacks, and nothing of this machine."""

import copy
import dataclasses

import pytest
import yaml

from hooks.errors import DataError
from probes import stages
from probes.config import parse_config
from probes.export.card import dataset_card, limits, model_card, plain
from probes.export.hub_folder import hub_files
from probes.export.source import find_source
from probes.report import summary
from probes.storage import read_json

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


@pytest.fixture
def source(finished):
    """A finished run with its summary."""
    run = finished.run()
    run.write_summary(stages.NAMES)
    summary.write_summary(run)
    return find_source(str(finished.folder))


def cards(source, record=None, found=None) -> tuple[str, str]:
    about = (record or source.record, found or source.summary, source.vectors.provenance)
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
                assert (f"| {plain(name)} | {plain(value)} |" in told) == ("seconds" not in name)
        assert "| subject | gpt2 (huggingface, float32) |" in told

    def test_intervals_come_along(self, source):
        found = {**source.summary, "valence": {**MATCH, "p_corrected": 0.001, "low": 0.3}}
        told, _ = cards(source, found=found)
        assert r"95% CI \[0.30, 0.70\], p=0.0010 corrected for 4 components" in told


class TestLimits:
    def test_they_are_those_of_the_report(self, source):
        found = {**source.summary, "arousal": MATCH, "umap": True}
        model, dataset = cards(source, found=found)
        assert "Arousal is not shown: a search as wide as ours" in model
        assert "Few stories: 6 for the emotion with the fewest" in model
        assert "Few stories: 6 for the emotion with the fewest" in dataset
        assert "Arousal is not shown" not in dataset

    def test_what_was_not_done_is_said(self, source):
        said = limits({"seconds": {}})
        assert "Nothing was validated: whether the vectors do anything is not known." in said
        done = limits(source.summary)
        assert not [line for line in done if "was not analyzed" in line]

    def test_what_an_experiment_lacked_is_said_in_its_words(self, source):
        found = {**source.summary, "experiments": {"x": {"rows": [], "limits": ["Few topics."]}}}
        assert "x: Few topics." in limits(found)

    def test_missing_stories_are_counted(self, source):
        found = {**source.summary, "stories": {**source.summary["stories"], "missing": 3}}
        assert "Missing texts: 3 of 18 stories" in cards(source, found=found)[1]


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

    def test_nor_what_an_experiment_says_of_it(self, source):
        words = f"Read {source.vectors.provenance.model} twice, in {source.root}."
        source.summary["experiments"] = {"x": {"rows": [["x", words]], "limits": [words]}}
        card = hub_files(source, "me/mine")["model/README.md"].decode()
        assert card.count("Read gpt2 twice, in out.") == 2
        assert str(source.root) not in card

    def test_how_to_load_it_back(self, source):
        model, dataset = cards(source)
        assert 'EmotionVectors.load("hf://me/mine")' in model
        assert 'load_dataset("me/mine", "stories", split="train")' in dataset
        assert front_matter(dataset)["configs"][0] == {
            "config_name": "stories",
            "data_files": "stories.parquet",
        }
        assert front_matter(model)["datasets"] == ["me/mine"]

    def test_names_are_shown_as_they_are(self):
        assert plain("<script>a|b</script>\n# *x*") == (
            r"&lt;script&gt;a\|b&lt;/script&gt; \# \*x\*"
        )


def test_the_settings_can_be_loaded_again_and_name_no_folder_and_no_server(source):
    config = source.record["config"]
    config["writer"]["name"] = "someone/writer"
    config["generation"] |= {"engine": "openai", "base_urls": ["http://10.0.0.7:8000/v1"]}
    config["compute"]["address"] = "head.lan:6379"
    text = hub_files(source, "me/mine")["model/config.yaml"].decode()
    values = yaml.safe_load(text)
    assert not [word for word in ("/tmp", "10.0.0.7", "head.lan") if word in text]
    assert values["corpus"]["stories"] == "stories.jsonl"
    assert values["output_dir"] == "output/out"
    recorded = read_json(source.root / "run.json")["config"]
    assert parse_config(values).activation.model_dump() == recorded["activation"]


def test_a_summary_of_another_version_is_refused_with_the_cure(source):
    del source.summary["subject"]["n_layers"]
    with pytest.raises(DataError, match=r"lacks 'n_layers'.* another version .* Run the config"):
        hub_files(source, "me/mine")
