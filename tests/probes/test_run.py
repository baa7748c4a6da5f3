"""The command line: both forms, every flag checked before any work, honest exit codes."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probes import run as command
from probes.commands import COMMANDS, Pipeline
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
    """Run a command, press Ctrl-C once `begun()`, and return what it printed on one line."""
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
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "Interrupted. Finished work is kept" in printed
    assert "Traceback" not in printed
    return " ".join(printed.split())


class TestHelp:
    def test_names_every_stage_and_every_command_and_their_flags(self, capsys):
        assert main("--help") == 0
        shown = capsys.readouterr().out
        assert all(f"\n  {name} " in shown for name in (*NAMES, *COMMANDS))
        assert all(f"\n  --{flag} " in shown for flag in Pipeline.meanings())

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_a_command_says_what_it_does_and_what_every_flag_means(self, capsys, name):
        assert main(name, "--help") == 0
        assert capsys.readouterr().out == COMMANDS[name].help()

    def test_imports_nothing_heavy(self):
        assert python("-c", HELP_WITHOUT_TORCH).returncode == 0

    def test_no_words_are_a_wrong_command_with_the_same_text(self, capsys):
        assert main() == 2
        assert "python -m probes.run CONFIG" in capsys.readouterr().out


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
            (["CONFIG", "--restart"], "--restart: expected a value, got nothing"),
            (["logit-lens", "--config", "CONFIG", "--emotions=sad,hapy"], "'hapy' is not in this"),
            (["CONFIG", "analyze", "--emotions=sad"], "no such stage was asked for"),
            (["CONFIG", "--seed=one"], "seed: Input should be a valid integer"),
            (["CONFIG", "--seed"], "--seed: expected a value, got nothing"),
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
        printed = capsys.readouterr()
        assert message in " ".join(printed.err.split())
        assert "Traceback" not in printed.err
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
        assert not made.folder.exists()


class TestJson:
    def test_an_error_is_an_object_too(self, finished, capsys):
        assert main(finished.config, "analyse", "--json") == 2
        printed = capsys.readouterr()
        assert json.loads(printed.out)["exit_code"] == 2
        assert json.loads(printed.out)["error"].startswith("unknown stage 'analyse'")
        assert "unknown stage" in printed.err

    def test_an_error_that_nobody_expected_is_one_line_and_kept_in_a_file(
        self, finished, capsys, monkeypatch
    ):
        def broken(_run):
            raise ZeroDivisionError("by nobody")

        monkeypatch.setattr("probes.commands.status.progress_of", broken)
        assert main("status", finished.config, "--json") == 1
        printed = capsys.readouterr()
        error = json.loads(printed.out)["error"]
        assert "ZeroDivisionError: by nobody. Please report it with" in error
        assert "Traceback" not in printed.err
        [path] = re.findall(r"with (\S+\.txt)\.", error)
        assert "in broken" in Path(path).read_text()
        Path(path).unlink()

    @pytest.mark.parametrize("switch", ["--json=true", "--json=True"])
    def test_a_switch_may_be_given_a_value(self, finished, capsys, switch):
        assert main(finished.config, "analyze", switch, "--quiet=true") == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)["exit_code"] == 0
        assert printed.err == ""

    def test_a_switch_may_be_switched_off_and_not_be_anything_else(self, finished, capsys):
        assert main(finished.config, "analyze", "--json=false") == 0
        assert capsys.readouterr().out == ""
        assert main(finished.config, "analyze", "--json=yes please") == 2
        assert "expected no value, true or false" in " ".join(capsys.readouterr().err.split())

    def test_the_word_after_json_is_still_a_stage(self, finished, capsys):
        assert main(finished.config, "--json", "analyze") == 0
        assert list(json.loads(capsys.readouterr().out)["stages"]) == ["analyze"]


class TestExitCodes:
    @pytest.mark.slow
    def test_interrupting_keeps_finished_work_and_exits_130(self, small_run, tiny_writer):
        made = small_run(
            writer={"name": str(tiny_writer)},
            generation={"topics_subset": 100, "stories_per_topic": 12, "batch_size": 12},
        )
        printed = interrupt(
            [made.config, "generate-stories"], lambda: list(made.folder.glob("stories/*/*.json"))
        )
        assert f"To go on: emotion-probes {made.config} generate-stories" in printed
        written = list(made.folder.glob("stories/*/*.json"))
        assert 0 < len(written) < 300
        assert all(json.loads(path.read_text())["texts"] for path in written)

    @pytest.mark.slow
    def test_interrupting_while_reading_keeps_the_shards(self, reading_run):
        made = reading_run(corpus={"per_cell": 900})
        interrupt(
            [made.config, "generate-stories", "generate-neutral", "extract-activations"],
            lambda: list(made.folder.glob("activations/*.safetensors")),
        )
        stage = json.loads((made.folder / "stages" / "extract-activations.json").read_text())
        assert not stage["complete"]

    @pytest.mark.slow
    def test_interrupting_while_validating_says_how_to_go_on_without_starting_over(self, finished):
        words = [finished.config, "validate", "--validation.n_random=500", "--restart=validate"]
        record = finished.folder / "stages" / "validate.json"
        printed = interrupt(
            words, lambda: record.exists() and not json.loads(record.read_text())["complete"]
        )
        assert "--restart" not in printed
        assert f"{finished.config} validate --validation.n_random=500" in printed
