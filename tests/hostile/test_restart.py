"""``--restart`` over the command line: nothing of anybody else's goes, nothing goes too soon."""

import json
import subprocess
from pathlib import Path

import pytest
from command_line import main

from probes.runs.models import Models
from probes.stages import NAMES

KEPT_OUT = (".lock", "run.json", "summary.json")
"""What tells when a command ran."""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in KEPT_OUT and "stages" not in path.parts
    }


def test_a_users_own_files_stay(finished):
    mine = ["figures/paper.pdf", "figures/paper.png", "stories/draft.docx", "analysis/notes.txt"]
    for name in mine:
        (finished.folder / name).write_text("mine")
    # Twice: what was made in another state of this process may be rounded otherwise.
    assert main(finished.config, "--restart=generate-stories", "--quiet") == 0
    before = contents(finished.folder)
    assert all(before[name] == b"mine" for name in mine)
    assert main(finished.config, "--restart=generate-stories", "--quiet") == 0
    assert contents(finished.folder) == before
    assert not (finished.folder / ".replaced").exists()


@pytest.mark.parametrize("leaf", ["stories", "figures"])
def test_a_linked_folder_stays_a_link_and_what_it_leads_to_stays(finished, tmp_path, capsys, leaf):
    elsewhere = (finished.folder / leaf).rename(tmp_path / "elsewhere")
    (finished.folder / leaf).symlink_to(elsewhere)
    before = contents(elsewhere)
    assert main(finished.config, "--quiet") == 0  # which is no reason to make it again
    assert main(finished.config, "--restart=generate-stories") == 2
    assert "is a link to" in " ".join(capsys.readouterr().err.split())
    assert (finished.folder / leaf).is_symlink()
    assert contents(elsewhere) == before


def test_a_link_below_is_not_followed(finished, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    (finished.folder / "figures" / "photos").symlink_to(tmp_path / "photos")
    assert main(finished.config, "--restart=visualize", "--quiet") == 0
    assert (tmp_path / "photos" / "cat.png").read_text() == "cat"
    assert (finished.folder / "figures" / "photos").is_symlink()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--restart=generate-stories", "--model.name=no/such/model"], 1),
        (["--restart=generate-stories", "--activation.layers=99"], 2),
        (["--restart=generate-stories", "--corpus.stories=none.jsonl"], 2),
        (["analyze", "--restart=generate-stories"], 2),
        (["analyze", "--restart=compute-vectors"], 2),
        (["--restart=generate-stories", "--validation.experiments=steerng"], 2),
        (["--restart=analyze", "--vectors.neutral_pca=none"], 1),
        (["--restart=validate", "--validation.norms=none.csv"], 2),
        (["--restart=analyse"], 2),
    ],
)
def test_whatever_can_be_known_is_known_before_anything_goes(finished, capsys, words, code):
    before = contents(finished.folder)
    assert main(finished.config, *words) == code
    assert "Traceback" not in capsys.readouterr().err
    assert contents(finished.folder) == before
    assert main("status", finished.config, "--quiet") == 0


def test_a_server_that_is_down_is_known_before_anything_goes(small_run, tiny_writer, capsys):
    made = small_run(writer={"name": str(tiny_writer)})
    assert main(made.config, "generate-stories", "--quiet") == 0
    before = contents(made.folder)
    words = ["--generation.engine=openai", "--generation.base_urls=http://127.0.0.1:9/v1"]
    words += ["--endpoint.patience_seconds=0.1", "--endpoint.attempts=1"]
    assert main(made.config, "generate-stories", *words, "--restart=generate-stories") == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert contents(made.folder) == before


def test_a_failure_before_anything_new_puts_the_old_results_back(finished, capsys, monkeypatch):
    def gone(_models):
        raise OSError("the disk with the weights is gone")

    before = contents(finished.folder)
    monkeypatch.setattr(Models, "subject", gone)
    assert main(finished.config, "--restart=extract-activations") == 1
    assert "the old results are back" in " ".join(capsys.readouterr().err.split())
    assert contents(finished.folder) == before
    monkeypatch.undo()
    assert main("status", finished.config, "--quiet") == 0


def test_after_a_failure_half_way_the_old_results_can_be_had_back(finished, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("half way")

    before = contents(finished.folder)
    words = [finished.config, "--vectors.neutral_pca=none"]
    with monkeypatch.context() as patch:
        patch.setattr("probes.stages.analyze.analyze", broken)
        assert main(*words, "--restart=compute-vectors") == 1
    assert "--put-back" in capsys.readouterr().err
    assert contents(finished.folder) != before
    assert main(finished.config, "--put-back") == 0
    assert contents(finished.folder) == before
    assert main("status", finished.config, "--quiet") == 0
    assert main(finished.config, "--put-back") == 2


def test_a_failed_experiment_tried_again_costs_no_report(finished, capsys, monkeypatch):
    def gone(_models):
        raise OSError("the weights are gone")

    both = [finished.config, "--validation.experiments=steering,clusters", "--quiet"]
    for path in finished.folder.glob("analysis/steering.json"):
        path.unlink()
    finished.run().record_path("validate").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Models, "subject", gone)
        assert main(*both, "validate") == 1
    assert "steering: " in capsys.readouterr().err
    assert main(*both, "visualize", "report") in (0, 1)
    report = (finished.folder / "report.html").read_bytes()
    figures = contents(finished.folder / "figures")
    monkeypatch.setattr(Models, "subject", gone)
    assert main(*both, "validate") == 1
    assert (finished.folder / "report.html").read_bytes() == report
    assert contents(finished.folder / "figures") == figures


def test_status_with_a_forgotten_flag_names_it_and_both_ways_back(finished, capsys):
    assert main("status", finished.config, "--vectors.neutral_pca=none") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "vectors.neutral_pca: was 'document', now 'none'" in said
    assert "To go on as it was begun, add --vectors.neutral_pca=document" in said
    assert "1 files made in" in said
    assert "--restart=generate-stories" not in said


def test_a_bad_story_of_a_copied_run_is_one_story(finished, capsys):
    story = sorted(finished.folder.glob("stories/*/*.json"))[0]
    for path in finished.folder.rglob("*"):
        if path.is_file():  # as a copy without its times
            subprocess.run(["touch", "-d", "2020-01-01", str(path)], check=True)
    before = contents(finished.folder)
    story.write_bytes(story.read_bytes()[:-20])
    assert main("extract-activations", finished.config, "--restart=extract-activations") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"changed and 0 are lost: {story.relative_to(finished.folder).as_posix()}." in said
    assert "--restart" not in said.split("Put them back")[1]
    assert main(finished.config) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"it is kept as {story.name}.changed and made again" in said
    story.with_name(f"{story.name}.changed").unlink()
    assert contents(finished.folder) == before


def test_truncated_vectors_are_made_again_when_asked(finished, capsys):
    vectors = finished.folder / "vectors" / "emotion_vectors.safetensors"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-100])
    assert main("score", finished.config, "--text=He closed the door.") == 1
    assert "compute-vectors" in capsys.readouterr().err
    assert main("compute-vectors", finished.config) == 0
    assert vectors.read_bytes() == whole


@pytest.mark.parametrize("name", ["report.md", "run.json", "figures/mine.png", "stories/a.txt"])
def test_a_folder_that_is_not_ours_is_refused(reading_run, tmp_path, capsys, name):
    made = reading_run()
    (tmp_path / "home" / name).parent.mkdir(parents=True)
    (tmp_path / "home" / name).write_text("mine")
    assert main(made.config, f"--output_dir={tmp_path / 'home'}") == 2
    assert name.split("/")[0] in capsys.readouterr().err
    assert [path.read_text() for path in (tmp_path / "home").rglob("*.*")] == ["mine"]


def test_a_stage_made_again_with_the_same_numbers_makes_nothing_stale(finished):
    (finished.folder / "analysis" / "steering.json").unlink()
    assert main(finished.config, "--quiet") == 0
    before = contents(finished.folder)
    times = {path: path.stat().st_mtime_ns for path in finished.folder.glob("figures/*")}
    (finished.folder / "analysis" / "steering.json").unlink()
    assert main(finished.config, "--quiet") == 0
    assert contents(finished.folder) == before
    assert {path: path.stat().st_mtime_ns for path in finished.folder.glob("figures/*")} == times


def test_an_experiment_that_the_config_leaves_out_may_be_asked_for(finished, capsys):
    assert main("validate", finished.config, "--only=clusters") == 0
    assert "clusters: do the emotions fall" in " ".join(capsys.readouterr().out.split())
    assert json.loads((finished.folder / "analysis" / "clusters.json").read_text())
    assert main(finished.config, "--quiet") == 0
    assert NAMES[-1] == "report"


@pytest.mark.parametrize("words", [[], ["--restart=report"], ["--vectors.neutral_pca=none"]])
def test_a_folder_that_cannot_be_written_is_one_line(finished, read_only, capsys, words):
    read_only(finished.folder)
    before = contents(finished.folder)
    assert main(finished.config, *words) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "Read-only file system. Choose another folder with --output_dir=FOLDER." in said
    assert "Traceback" not in said
    assert contents(finished.folder) == before


def test_a_run_that_cannot_be_written_can_be_read(finished, read_only):
    read_only(finished.folder)
    assert main("status", finished.config) == 0
    assert main("score", finished.config, "--text=He closed the door.") == 0
