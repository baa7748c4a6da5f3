"""The table at the end says what the stages' files say, and nothing about stages not done."""

import json

from probes import stages
from probes.report import summary


def rows_of(made, **overrides) -> dict[str, str]:
    return dict(summary.rows(summary.summarize(made.run(**overrides), stages.NAMES)))


def test_every_number_of_a_finished_run_is_read_from_its_stages(finished):
    numbers = summary.summarize(finished.run(), stages.NAMES)
    lens = json.loads((finished.folder / "analysis" / "logit_lens.json").read_text())
    layers = json.loads((finished.folder / "analysis" / "layers.json").read_text())
    assert numbers["stories"]["accepted"] == numbers["stories"]["requested"] == 18
    assert numbers["neutral"]["accepted"] == 6
    assert numbers["subject"]["target_layer"] == numbers["layer"] == 3
    assert numbers["logit_lens"]["own_word_share"] == lens["own_word_share"]
    assert list(numbers["valence_r_by_layer"]) == [str(layer) for layer in layers["layers"]]
    assert numbers["valence"] is None
    assert list(numbers["seconds"]) == list(stages.NAMES)


def test_the_table_is_for_people(finished):
    table = rows_of(finished)
    assert table["stories kept"] == "18 of 18"
    assert table["stories rejected"] == "0 (none)"
    assert "stories naming the emotion" not in table  # texts that were brought were not searched
    assert table["layer"] == "3, after block 4 of 4 (2/3 of depth)"
    assert table["|r| with human valence"] == (
        "not measured: too few of the words were rated by people"
    )
    assert table["Own word in the lens' top 5"].startswith("not shown: 0% [0%, 71%] (3 emotions;")
    assert table["stability of 2 clusters"].endswith(" ARI; when topics are resampled")
    assert "seconds: all stages" in table


def test_a_match_with_ratings_is_told_with_its_search():
    match = {
        "component": 1,
        "sign": -1,
        "r": 0.8123,
        "n": 24,
        "low": 0.6,
        "high": 0.9,
        "p_corrected": 0.0005,
        "n_searched": 5,
    }
    rows = dict(summary.rows({"seconds": {}, "valence": match}))
    assert rows["|r| with human valence"] == (
        "shown: 0.81 [0.60, 0.90] (24 rated words; p = 0.0005); PC2, best of 5 components; "
        "interval and p pay for the search"
    )


def test_a_stage_that_is_not_done_leaves_no_row(finished):
    [stage] = stages.find_stages(["extract-activations"])
    stages.set_aside(finished.run(), [stage])
    table = rows_of(finished)
    assert set(table) == {
        "stories kept",
        "stories rejected",
        "neutral dialogues kept",
        "neutral dialogues rejected",
        "seconds: generate-stories",
        "seconds: generate-neutral",
        "seconds: all stages",
    }


def test_a_folder_without_a_run_gives_an_empty_table(small_run):
    assert rows_of(small_run()) == {}


def test_what_is_written_is_what_is_returned(finished):
    returned = summary.write_summary(finished.run(), stages.NAMES)
    written = json.loads((finished.folder / "analysis" / "summary.json").read_text())
    assert written == returned
