"""The command line: both forms, every flag checked before any work, honest exit codes."""

import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_runs

from probes import run as command
from probes.stages import NAMES

ROOT = Path(__file__).parents[2]
HELP_WITHOUT_TORCH = """
import sys
from probes.run import main
code = main(["--help"])
heavy = {"torch", "transformers", "rich", "fire", "yaml"} & set(sys.modules)
sys.exit(code or (9 if heavy else 0))
"""


def main(*words: str) -> int:
    return command.main([str(word) for word in words])


def python(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, **options
    )


def interrupt(words, begun):
    """Run a command, press Ctrl-C once `begun()`, and return what it said on one line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "probes.run", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the suite in the background leaves SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 90
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    seconds = time.monotonic() - start
    assert process.returncode == 130, said
    assert "Interrupted. Finished work is kept" in said
    assert "Traceback" not in said
    # Two seconds when the machine is free; a process of a crowd waits for its turn.
    assert seconds < 2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return " ".join(said.split())


class TestHelp:
    def test_comes_in_a_third_of_a_second(self):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            shown = python("-m", "probes.run", "--help")
            seconds.append(time.perf_counter() - start)
            assert shown.returncode == 0
            assert all(stage in shown.stdout for stage in NAMES)
        assert statistics.median(seconds) < 0.3

    def test_imports_nothing_heavy(self):
        assert python("-c", HELP_WITHOUT_TORCH).returncode == 0

    def test_no_words_are_a_wrong_command_with_the_same_text(self, capsys):
        assert main() == 2
        assert "python -m probes.run CONFIG" in capsys.readouterr().out


class TestForms:
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
    def test_a_finished_run_is_skipped(self, finished, capsys, words):
        assert main(*[word.replace("CONFIG", finished.config) for word in words]) == 0
        said = capsys.readouterr()
        expected = [] if "--quiet" in words else [f"{name}: complete, skipped" for name in NAMES]
        assert said.err.splitlines() == expected
        assert ("stories kept" in said.out) == (set(NAMES).isdisjoint(words))

    @pytest.mark.parametrize(
        "words",
        [
            ["CONFIG", "logit-lens"],
            ["logit-lens", "CONFIG"],
            ["logit-lens", "--config", "CONFIG"],
        ],
    )
    def test_one_stage_runs_alone_and_shows_its_table(self, finished, capsys, words):
        (finished.folder / "analysis" / "logit_lens.json").unlink()
        assert main(*[word.replace("CONFIG", finished.config) for word in words]) == 0
        said = capsys.readouterr()
        assert said.err.splitlines() == [
            "logit-lens: read the vectors through the unembedding ...",
            "logit-lens: done",
        ]
        assert "top tokens of each emotion vector" in " ".join(said.out.split())
        assert all(emotion in said.out for emotion in small_runs.EMOTIONS)

    def test_one_experiment_runs_alone_and_shows_its_table(self, finished, capsys):
        (finished.folder / "analysis" / "steering.json").unlink()
        assert main("validate", finished.config, "--only", "held-out-topics") == 0
        said = capsys.readouterr()
        assert said.err.splitlines()[-1] == "validate: done"
        assert "do vectors name the emotion of stories" in " ".join(said.out.split())
        left = {path.name for path in (finished.folder / "analysis").iterdir()}
        assert "held_out_topics.json" in left
        assert "steering.json" not in left

    def test_the_word_after_quiet_is_still_a_stage(self, reading_run):
        made = reading_run()
        assert main(made.config, "--quiet", "generate-stories") == 0
        assert sorted(path.name for path in made.folder.iterdir()) == [
            "run.json",
            "stages",
            "stories",
        ]

    def test_emotions_choose_what_the_lens_shows(self, finished, capsys):
        assert main("logit-lens", "--config", finished.config, "--emotions=sad,happy") == 0
        shown = capsys.readouterr().out
        assert "sad" in shown
        assert "happy" in shown
        assert "angry" not in shown

    def test_a_run_says_what_it_was(self, finished):
        assert main(finished.config, "--quiet") == 0
        summary = json.loads((finished.folder / "run.json").read_text())
        assert list(summary["stages"]) == sorted(NAMES)
        assert all(stage["complete"] for stage in summary["stages"].values())
        assert (finished.folder / "analysis" / "summary.json").exists()

    def test_a_finished_run_takes_no_time_and_no_torch(self, finished):
        code = (
            "import sys; from probes.run import main; code = main(sys.argv[1:]);"
            "sys.exit(code or (9 if 'torch' in sys.modules else 0))"
        )
        start = time.perf_counter()
        ran = python("-c", code, finished.config)
        assert ran.returncode == 0, ran.stderr
        assert time.perf_counter() - start < 15


class TestWrongWords:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["CONFIG", "--generation.temprature=1"], "did you mean 'generation.temperature'?"),
            (["CONFIG", "--sede=1"], "did you mean 'seed'?"),
            (["CONFIG", "--quite"], "unknown flag --quite; did you mean --quiet?"),
            (["CONFIG", "analyse"], "unknown stage 'analyse'"),
            (["analyse", "--config", "CONFIG"], "unknown stage 'analyse'"),
            (["CONFIG", "--restart=analyse"], "unknown stage 'analyse'"),
            (["CONFIG", "--restart"], "--restart: expected a value, not a switch"),
            (["logit-lens", "--config", "CONFIG", "--emotions=sad,hapy"], "'hapy' is not in this"),
            (["CONFIG", "analyze", "--emotions=sad"], "no such stage was asked for"),
            (["CONFIG", "--seed=one"], "seed: Input should be a valid integer"),
            (["CONFIG", "--seed"], "expected a value, not a switch"),
            (["CONFIG", "--generation.emotions_subset=sad,nostalgc"], "'nostalgc' is not in"),
            (["CONFIG", "--corpus.stories=none.jsonl"], "'none.jsonl' not found"),
            (["CONFIG", "--output_dir="], "output_dir"),
            (["no-such-config"], "'no-such-config' not found"),
            (["analyze"], "expected a config"),
            (["run-all"], "expected a config"),
            (["doctor"], "expected one model"),
            (["doctor", "gpt2", "--backnd=x"], "did you mean --backend?"),
            (["steer", "CONFIG", "--emotions=sad"], "steer: unknown flag --emotions; did you mean"),
            (
                ["steer", "CONFIG", "--html=a.html"],
                "--html; expected one of: config, emotion",
            ),
            (["status", "CONFIG", "--temperatur=1"], "did you mean 'generation.temperature'?"),
            (["status", "CONFIG", "again"], "expected one config"),
            (["status", "again", "--config=CONFIG"], "expected one config"),
            (["plan", "CONFIG", "--measure=maybe"], "--measure: expected no value, true or false"),
            (["CONFIG", "--dry_run=maybe"], "--dry_run: expected no value, true or false"),
            (["score", "CONFIG", "--text", "I", "lost", "it"], "and then: lost it. A value of"),
        ],
    )
    def test_are_refused_before_any_work(self, reading_run, capsys, words, message):
        made = reading_run()
        assert main(*[word.replace("CONFIG", made.config) for word in words]) == 2
        said = capsys.readouterr()
        assert message in " ".join(said.err.split())
        assert "Traceback" not in said.err
        assert not made.folder.exists()

    def test_an_unknown_emotion_of_the_171_is_refused_with_the_nearest(self, small_run, capsys):
        made = small_run()
        assert main(made.config, "--generation.emotions_subset=sad,hapy") == 2
        assert "the nearest is 'happy'" in " ".join(capsys.readouterr().err.split())
        assert not made.folder.exists()


class TestFlags:
    def test_settings_come_from_flags(self, reading_run, tmp_path):
        made = reading_run()
        other = tmp_path / "with space"
        words = [f"--output_dir={other}", "--generation.emotions_subset=sad,happy", "--seed=5"]
        assert main(made.config, "generate-stories", "--quiet", *words) == 0
        config = json.loads((other / "run.json").read_text())["config"]
        assert config["generation"]["emotions_subset"] == ["sad", "happy"]
        assert config["seed"] == 5
        assert len(list((other / "stories").iterdir())) == 2

    def test_names_with_spaces_and_null_can_be_said(self, small_run, capsys):
        made = small_run(writer={"name": "no/such/model"})
        words = ["--generation.emotions_subset=at ease,grief-stricken", "--writer.name=null"]
        assert main(made.config, "generate-stories", *words, "--model.name=no/such/subject") == 1
        assert "'no/such/subject'" in " ".join(capsys.readouterr().err.split())
        stage = json.loads((made.folder / "stages" / "generate-stories.json").read_text())
        subset = stage["settings"]["generation"]["emotions_subset"]
        assert subset == ["at ease", "grief-stricken"]

    def test_restart_deletes_what_follows_and_runs(self, finished, capsys):
        words = [finished.config, "analyze", "--vectors.neutral_pca=none", "compute-vectors"]
        assert main(*words, "--restart=compute-vectors") == 0
        said = capsys.readouterr().err
        dropped = ", ".join(NAMES[NAMES.index("compute-vectors") :])
        assert f"deleted the results of: {dropped}" in " ".join(said.split())
        ended = [line for line in said.splitlines() if line.endswith(": done")]
        assert ended == ["compute-vectors: done", "analyze: done"]
        assert not (finished.folder / "figures").exists()


class TestJson:
    def test_a_run_is_one_object_on_standard_output(self, finished, capsys):
        assert main(finished.config, "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said["exit_code"] == 0
        assert said["stages"] == dict.fromkeys(NAMES, "complete, skipped")
        assert said["summary"]["subject"]["n_layers"] > 0

    def test_a_stage_gives_its_numbers(self, finished, capsys):
        assert main("logit-lens", "--config", finished.config, "--json", "--emotions=sad") == 0
        assert list(json.loads(capsys.readouterr().out)["logit_lens"]) == ["sad"]

    def test_an_error_is_an_object_too(self, finished, capsys):
        assert main(finished.config, "analyse", "--json") == 2
        said = capsys.readouterr()
        assert json.loads(said.out)["exit_code"] == 2
        assert json.loads(said.out)["error"].startswith("unknown stage 'analyse'")
        assert "unknown stage" in said.err

    def test_an_error_that_nobody_expected_is_an_object_with_its_traceback_aside(
        self, finished, capsys
    ):
        path = finished.folder / "stages" / "analyze.json"
        record = json.loads(path.read_text())
        del record["inputs"]  # nobody wrote it like this
        path.write_text(json.dumps(record))
        with pytest.raises(KeyError):
            main(finished.config, "analyze")
        capsys.readouterr()
        assert main(finished.config, "analyze", "--json") == 1
        said = capsys.readouterr()
        assert json.loads(said.out)["error"].startswith("KeyError: ")
        assert "Traceback" in said.err

    @pytest.mark.parametrize("switch", ["--json=true", "--json=True"])
    def test_a_switch_may_be_given_a_value(self, finished, capsys, switch):
        assert main(finished.config, "analyze", switch, "--quiet=true") == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["exit_code"] == 0
        assert said.err == ""

    def test_a_switch_may_be_switched_off_and_not_be_anything_else(self, finished, capsys):
        assert main(finished.config, "analyze", "--json=false") == 0
        assert capsys.readouterr().out == ""
        assert main(finished.config, "analyze", "--json=yes please") == 2
        assert "expected no value, true or false" in " ".join(capsys.readouterr().err.split())

    def test_the_word_after_json_is_still_a_stage(self, finished, capsys):
        assert main(finished.config, "--json", "analyze") == 0
        assert list(json.loads(capsys.readouterr().out)["stages"]) == ["analyze"]


class TestExitCodes:
    def test_a_changed_setting_is_refused_and_the_cure_cures_it(self, finished, capsys):
        change = ["--vectors.neutral_pca=none", "--logit_lens.top_k=4"]
        assert main(finished.config, "compute-vectors", *change) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "vectors.neutral_pca: was 'document', now 'none'" in said
        cure = said.partition("python -m probes.run ")[2].partition(" To keep both")[0]
        assert main(*shlex.split(cure), "--quiet", "compute-vectors") == 0
        stage = json.loads((finished.folder / "stages" / "compute-vectors.json").read_text())
        assert stage["settings"]["vectors"]["neutral_pca"] == "none"

    def test_a_cure_names_the_folder_that_was_chosen_by_a_flag(self, reading_run, tmp_path, capsys):
        made = reading_run()
        other = f"--output_dir={tmp_path / 'it is here'}"
        assert main(made.config, "compute-vectors", other) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert f"python -m probes.run {made.config} {shlex.quote(other)} extract-activ" in said

    def test_a_failure_is_written_down_with_the_state_of_every_stage(self, reading_run, capsys):
        made = reading_run(activation={"token_offset": 400}, vectors={"neutral_pca": "none"})
        assert main(made.config, "--quiet") == 1
        said = json.loads((made.folder / "run.json").read_text())
        assert said["stages"]["extract-activations"]["complete"] is True
        assert said["stages"]["compute-vectors"]["complete"] is False
        assert "no usable story" in said["failed"]["compute-vectors"]
        assert said["failed"]["compute-vectors"] in capsys.readouterr().err
        assert main(made.config, "generate-stories", "--quiet") == 0
        assert "failed" not in json.loads((made.folder / "run.json").read_text())

    def test_a_folder_below_a_file_is_a_failure_with_the_cure(self, reading_run, tmp_path, capsys):
        (tmp_path / "file").write_text("x")
        made = reading_run()
        assert main(made.config, f"--output_dir={tmp_path / 'file' / 'run'}") == 1
        assert "Choose another with --output_dir" in " ".join(capsys.readouterr().err.split())

    def test_interrupting_keeps_finished_work_and_exits_130(self, small_run, tiny_writer):
        made = small_run(
            writer={"name": str(tiny_writer)},
            generation={"topics_subset": 100, "stories_per_topic": 12, "batch_size": 12},
        )
        said = interrupt(
            [made.config, "generate-stories"], lambda: list(made.folder.glob("stories/*/*.json"))
        )
        assert f"To go on: emotion-probes {made.config} generate-stories" in said
        written = list(made.folder.glob("stories/*/*.json"))
        assert 0 < len(written) < 300
        assert all(json.loads(path.read_text())["texts"] for path in written)

    def test_interrupting_while_reading_keeps_the_shards(self, reading_run):
        made = reading_run(corpus={"per_cell": 900})
        interrupt(
            [made.config, "generate-stories", "generate-neutral", "extract-activations"],
            lambda: list(made.folder.glob("activations/*.safetensors")),
        )
        stage = json.loads((made.folder / "stages" / "extract-activations.json").read_text())
        assert not stage["complete"]

    def test_interrupting_while_validating_says_how_to_go_on_without_starting_over(self, finished):
        words = [finished.config, "validate", "--validation.n_random=500", "--restart=validate"]
        record = finished.folder / "stages" / "validate.json"
        said = interrupt(
            words, lambda: record.exists() and not json.loads(record.read_text())["complete"]
        )
        assert "--restart" not in said
        assert f"{finished.config} validate --validation.n_random=500" in said
