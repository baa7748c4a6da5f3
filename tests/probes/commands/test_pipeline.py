"""The pipeline as it is typed: which stages run, what they show, and how it ends."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import small_runs

from probes import run as command
from probes.stages import NAMES

ROOT = Path(__file__).parents[3]


def main(*words: str) -> int:
    return command.main([str(word) for word in words])


@pytest.mark.parametrize(
    "words",
    [
        ["CONFIG"],
        ["run-all", "--config", "CONFIG"],
        ["run-all", "--config=CONFIG"],
        ["run-all", "CONFIG"],
        ["CONFIG", *NAMES],
        ["CONFIG", "--quiet"],
    ],
)
def test_a_finished_run_is_skipped(finished, capsys, words):
    assert main(*[word.replace("CONFIG", finished.config) for word in words]) == 0
    printed = capsys.readouterr()
    expected = [] if "--quiet" in words else [f"{name}: complete, skipped" for name in NAMES]
    assert printed.err.splitlines() == expected
    assert ("report.html" in "".join(printed.out.split())) == (set(NAMES).isdisjoint(words))


@pytest.mark.parametrize(
    "words",
    [
        ["CONFIG", "logit-lens"],
        ["logit-lens", "CONFIG"],
        ["logit-lens", "--config", "CONFIG"],
    ],
)
def test_one_stage_runs_alone_and_shows_its_table(finished, capsys, words):
    (finished.folder / "analysis" / "logit_lens.json").unlink()
    assert main(*[word.replace("CONFIG", finished.config) for word in words]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "logit-lens: read the vectors through the unembedding ...",
        "logit-lens: done",
    ]
    assert "top tokens of each emotion vector" in " ".join(printed.out.split())
    assert all(emotion in printed.out for emotion in small_runs.EMOTIONS)


@pytest.mark.slow
def test_one_experiment_runs_alone_and_shows_its_table(finished, capsys):
    (finished.folder / "analysis" / "steering.json").unlink()
    assert main("validate", finished.config, "--only", "held-out-topics") == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1] == "validate: done"
    assert "do vectors name the emotion of stories" in " ".join(printed.out.split())
    left = {path.name for path in (finished.folder / "analysis").iterdir()}
    assert "held_out_topics.json" in left
    assert "steering.json" not in left


def test_emotions_choose_what_the_lens_shows(finished, capsys):
    assert main("logit-lens", "--config", finished.config, "--emotions=sad,happy") == 0
    shown = capsys.readouterr().out
    assert "sad" in shown
    assert "happy" in shown
    assert "angry" not in shown


def test_a_run_says_what_it_was(finished):
    assert main(finished.config, "--quiet") == 0
    summary = json.loads((finished.folder / "run.json").read_text())
    assert list(summary["stages"]) == sorted(NAMES)
    assert all(stage["complete"] for stage in summary["stages"].values())
    assert (finished.folder / "analysis" / "summary.json").exists()


def test_a_finished_run_needs_no_torch(finished):
    code = (
        "import sys; from probes.run import main; code = main(sys.argv[1:]);"
        "sys.exit(code or (9 if 'torch' in sys.modules else 0))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, finished.config], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_the_word_after_quiet_is_still_a_stage(reading_run):
    made = reading_run()
    assert main(made.config, "--quiet", "generate-stories") == 0
    assert sorted(path.name for path in made.folder.iterdir()) == [
        ".lock",
        "run.json",
        "stages",
        "stories",
    ]


def test_restart_deletes_what_follows_and_runs(finished, capsys):
    words = [finished.config, "analyze", "--vectors.neutral_pca=none", "compute-vectors"]
    assert main(*words, "--restart=compute-vectors") == 0
    printed = capsys.readouterr().err
    dropped = ", ".join(NAMES[NAMES.index("compute-vectors") :])
    assert f"set aside until the new results stand: {dropped}" in " ".join(printed.split())
    ended = [line for line in printed.splitlines() if line.endswith(": done")]
    assert ended == ["compute-vectors: done", "analyze: done"]
    figures = {path.name for path in (finished.folder / "figures").iterdir()}
    assert figures == {"pca_scatter.png", "pca_scatter.html", "plotly.min.js"}


def test_a_run_is_one_object_on_standard_output(finished, capsys):
    assert main(finished.config, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["exit_code"] == 0
    assert printed["stages"] == dict.fromkeys(NAMES, "complete, skipped")
    assert printed["summary"]["subject"]["n_layers"] > 0


def test_a_stage_gives_its_numbers(finished, capsys):
    assert main("logit-lens", "--config", finished.config, "--json", "--emotions=sad") == 0
    assert list(json.loads(capsys.readouterr().out)["logit_lens"]) == ["sad"]


def test_a_changed_setting_is_refused_and_the_cure_cures_it(finished, capsys):
    change = ["--vectors.neutral_pca=none", "--logit_lens.top_k=4"]
    assert main(finished.config, "compute-vectors", *change) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert "vectors.neutral_pca: was 'document', now 'none'" in printed
    cure = printed.partition("python -m probes.run ")[2].partition(" To keep both")[0]
    assert main(*shlex.split(cure), "--quiet", "compute-vectors") == 0
    stage = json.loads((finished.folder / "stages" / "compute-vectors.json").read_text())
    assert stage["settings"]["vectors"]["neutral_pca"] == "none"


def test_a_cure_names_the_folder_that_was_chosen_by_a_flag(reading_run, tmp_path, capsys):
    made = reading_run()
    other = f"--output_dir={tmp_path / 'it is here'}"
    assert main(made.config, "compute-vectors", other) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert f"python -m probes.run {made.config} {shlex.quote(other)} extract-activ" in printed


def test_a_failure_is_written_down_with_the_state_of_every_stage(reading_run, capsys):
    made = reading_run(activation={"token_offset": 400}, vectors={"neutral_pca": "none"})
    assert main(made.config, "--quiet") == 1
    printed = json.loads((made.folder / "run.json").read_text())
    assert printed["stages"]["extract-activations"]["complete"] is True
    assert printed["stages"]["compute-vectors"]["complete"] is False
    assert "no usable story" in printed["failed"]["compute-vectors"]
    assert printed["failed"]["compute-vectors"] in capsys.readouterr().err
    assert main(made.config, "generate-stories", "--quiet") == 0
    assert "failed" not in json.loads((made.folder / "run.json").read_text())


def test_a_folder_below_a_file_is_a_failure_with_the_cure(reading_run, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    made = reading_run()
    assert main(made.config, f"--output_dir={tmp_path / 'file' / 'run'}") == 1
    assert "Choose another with --output_dir" in " ".join(capsys.readouterr().err.split())
