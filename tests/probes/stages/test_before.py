"""Whatever would stop a command hours later stops it at once, and nothing is touched."""

import pytest
from small_runs import Heard

from hooks.errors import DataError, EmotionLensError, InvalidInput, ModelError, StaleArtifact
from probes import stages
from probes.stages.before import check_before


def check(made, *names, restart=(), **overrides):
    run = made.run(**overrides)
    dropped = stages.find_stages(restart) if restart else []
    check_before(run, stages.find_stages(names), dropped)


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_passes_and_so_does_every_restart(finished):
    check(finished)
    for name in stages.NAMES:
        check(finished, restart=[name])


@pytest.mark.parametrize(
    ("names", "restart", "message"),
    [
        (["analyze"], ["generate-stories"], "only analyze was asked for"),
        (["compute-vectors", "visualize"], ["compute-vectors"], "visualize needs analyze"),
    ],
)
def test_a_restart_that_would_leave_a_gap_is_refused(finished, names, restart, message):
    with pytest.raises(InvalidInput, match=f"{message}.*Nothing was changed"):
        check(finished, *names, restart=restart)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ({"model__name": "no/such"}, ModelError, "no/such"),
        ({"activation__layers": [99]}, InvalidInput, "layer 99 is out of range"),
        ({"corpus__stories": "none.jsonl"}, InvalidInput, "not found"),
        ({"validation__norms": "none.csv"}, EmotionLensError, "none.csv"),
    ],
)
def test_what_cannot_be_had_stops_a_restart_before_it(finished, overrides, error, message):
    before = files_of(finished.folder)
    with pytest.raises(error, match=message):
        check(finished, restart=["generate-stories"], **overrides)
    assert files_of(finished.folder) == before


def test_a_writer_whose_positions_do_not_fit_is_refused(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)}, generation={"max_new_tokens": 100_000})
    with pytest.raises(InvalidInput, match=r"generation\.max_new_tokens: a prompt of \d+ tokens"):
        check(made, "generate-stories")


def test_a_text_longer_than_the_subject_reads_is_named_by_its_line(reading_run):
    made = reading_run(corpus={"n_sentences": 8})
    path = made.folder.parent / "stories.jsonl"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace("It was about", "word " * 3000 + "It was about")
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidInput, match=r"stories\.jsonl, line 4: expected a text of at most"):
        check(made)


def test_a_damaged_story_is_named_before_what_reads_it_is_set_aside(finished):
    story = next(finished.folder.glob("stories/sad/*.json"))
    whole = story.read_bytes()
    story.write_bytes(whole[:-9])
    names = stages.NAMES[2:]
    with pytest.raises((StaleArtifact, DataError), match=story.name):
        check(finished, *names, restart=["extract-activations"])
    story.write_bytes(whole)
    check(finished, *names, restart=["extract-activations"])


def test_changed_settings_of_a_later_stage_stop_an_earlier_one(finished):
    finished.run().record_path("compute-vectors").unlink()
    with pytest.raises(StaleArtifact, match=r"stage analyze.*other settings"):
        check(finished, analysis__n_bootstrap=9)


def test_a_view_whose_numbers_changed_is_made_again_unasked(finished):
    mine = finished.folder / "figures" / "mine.png"
    mine.write_bytes(b"mine")
    for path in finished.folder.glob("analysis/steering.json"):
        path.unlink()
    change = {"validation__experiments": ["clusters"]}
    finished.run().record_path("validate").unlink()
    assert finished.stages("validate", "visualize", "report", **change) == [True] * 3
    assert mine.read_bytes() == b"mine"
    heard = Heard()
    assert not finished.stage("visualize", heard, **change)
