"""Which texts of a corpus a run takes, and what is refused."""

import json

import pytest
import reference_runs
import small_runs
from small_runs import Heard, SmallRun

from hooks.errors import InvalidInput, StaleArtifact
from probes import EmotionVectors
from probes.corpus import reference
from probes.corpus.audit import tags
from probes.storage import read_json


def made_in(folder, subject, **sections) -> SmallRun:
    values = reference_runs.settings(subject, folder / "out", **sections)
    return SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")


def test_the_record_says_which_corpus_and_which_part_of_it(tiny_folder, tmp_path):
    made = made_in(tmp_path, tiny_folder("llama"))
    made.run().prepare()
    made.stages("generate-stories")
    record = made.run().record("generate-stories")
    assert record.settings["corpus"] == {
        "file": reference.ReferenceCorpus("stories").digest(),
        "said": reference.ReferenceCorpus("said").digest(),
    }
    assert record.settings["corpus"]["file"].startswith("reference 1.0 ")
    assert record.settings["places"] == [*made.run().texts.topics, "n01", "v01", "n02"]
    with pytest.raises(StaleArtifact, match="places"):
        made.stages("generate-stories", **{"corpus.frames_subset": 4})


def test_tags_that_its_texts_are_about_are_not_warned_of(tiny_folder, tmp_path):
    assert any(tags(text) for text in reference.dialogues().values())
    made, heard = made_in(tmp_path, tiny_folder("llama")), Heard()
    made.run().prepare()
    made.stage("generate-neutral", heard)
    assert [note for note in heard.notes if "tags" in note] == []


def test_forms_choose_topics_and_frames(tiny_folder, tmp_path):
    made = made_in(tmp_path, tiny_folder("llama"), corpus={"forms": ["voiced"]})
    texts = made.run().texts
    assert set(texts.forms.values()) == {"voiced"}
    assert len(texts.topics) == 3
    assert texts.frames == ("v01", "v02", "v03")
    assert {cell.topic for cell in texts.matched_cells} == set(texts.topics)


def test_of_neutral_texts_those_that_stand_alone_are_chosen(tiny_folder, tmp_path):
    made = made_in(tmp_path, tiny_folder("llama"), corpus={"neutral_subset": 2})
    texts = made.run().texts
    assert [cell.topic for cell in texts.neutral_cells] == list(reference.dialogues())[:2]
    assert {cell.topic for cell in texts.matched_cells} == set(texts.topics)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"corpus": {"forms": ["sung"]}}, "expected some of narrated, voiced"),
        ({"corpus": {"frames_subset": ["n99"]}}, "'n99' is not in reference"),
        ({"corpus": {"neutral_subset": ["n99"]}}, "'n99' is not in reference"),
        ({"corpus": {"neutral_subset": 0}}, "corpus.neutral_subset: expected null, an integer"),
        ({"generation": {"topics_subset": ["nowhere"]}}, "'nowhere' is not in reference"),
        ({"generation": {"emotions_subset": ["sad", "blue"]}}, "'blue' is not in reference"),
        ({"corpus": {"stories": None, "neutral": None}}, "corpus.frames_subset is set"),
    ],
)
def test_what_the_corpus_does_not_have_is_refused(tiny_folder, tmp_path, sections, said):
    made = made_in(tmp_path, tiny_folder("llama"), **sections)
    with pytest.raises(InvalidInput, match=said):
        made.run()


def test_ones_own_texts_may_have_openings_closings_and_frames(tiny_folder, tmp_path):
    around = {"opening": "It rained all day long.", "closing": "The clock on the wall struck nine."}
    stories = [
        {"emotion": e, "topic": t, "text": small_runs.story_text(e, t, 0), **around}
        for t in ("x", "y", "z")
        for e in reference_runs.EMOTIONS
    ]
    said = [
        {"emotion": e, "topic": "f", "opening": "She was", "text": e}
        for e in reference_runs.EMOTIONS
    ]
    neutral = [{"topic": t, "text": small_runs.story_text("n", t, 0)} for t in ("x", "y", "z")]
    neutral += [{**row, "opening": "It rained all day long."} for row in neutral]
    for name, rows in (("stories", stories), ("said", said), ("neutral", neutral)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("stories", "said", "neutral")}
    values = small_runs.small_settings(tiny_folder("llama"), tmp_path / "out", corpus=files)
    values["generation"] = {}
    made = SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out")
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    index = read_json(made.folder / "activations" / "index.json")
    assert {kind: index[kind]["n_texts"] for kind in ("stories", "said", "neutral", "matched")} == {
        "stories": 9,
        "said": 3,
        "neutral": 3,
        "matched": 3,
    }
    assert EmotionVectors.load(made.folder).ways == ["shown", "said", "carried", "both"]


def test_of_ones_own_file_all_topics_are_taken(tiny_folder, tmp_path):
    corpus = small_runs.write_corpus(tmp_path)
    made = made_in(tmp_path, tiny_folder("llama"), corpus={**corpus, "frames_subset": None})
    texts = made.run().texts
    assert list(texts.topics) == small_runs.TOPICS
    assert texts.topics_are_ignored
    assert texts.is_whole
