"""What is typed and printed: other encodings, control characters, numbers that are none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command_line import ROOT, main

from probes.run import overview


def run(*words, stdin=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "probes.run", *words],
        cwd=ROOT,
        capture_output=True,
        input=stdin,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_bytes_of_another_encoding_are_refused_in_one_line(finished):
    ran = run("score", finished.config, b"--text=caf\xe9")
    assert ran.returncode == 2
    assert b"expected words in UTF-8" in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_terminal_that_is_not_utf_8_gets_escapes(finished):
    text = "--text=The d\u00e9j\u00e0 vu \u2014 \U0001f600 of the door."
    words = ("score", finished.config, text)
    ran = run(*words, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.returncode == 0, ran.stderr
    assert b"strongest emotions" in ran.stdout
    assert ran.stdout.isascii()


def test_whoever_reads_no_further_is_no_error(finished):
    words = " ".join([sys.executable, "-m", "probes.run", "status", finished.config, "--json"])
    ran = subprocess.run(
        ["bash", "-c", f"{words} | true"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert b"Traceback" not in ran.stderr
    assert b"nobody expected" not in ran.stderr


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "\x07", "\u202egnp", "\x9b31m", "a\rb"])
def test_no_text_and_no_name_moves_the_cursor(finished, tmp_path, capsys, hostile):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"id": hostile, "text": f"He closed {hostile} the door."}))
    assert main("score", finished.config, f"--file={path}") == 0
    printed = capsys.readouterr()
    assert not set(hostile) & {"\x1b", "\x07", "\u202e", "\x9b", "\r"} & set(printed.out)


def test_line_readers_agree_on_what_we_write(finished, tmp_path, capsys):
    path = tmp_path / "x.jsonl"
    text = "He closed\u2028the door\u2029behind\x85him."
    path.write_text(json.dumps({"text": text}) + "\n")
    assert main("sweep", finished.config, f"--file={path}", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    [passages] = finished.folder.glob("sweep/*/passages.jsonl")
    content = passages.read_text()
    assert content.splitlines() == content.removesuffix("\n").split("\n")
    assert all("\u2028" in json.loads(line)["text"] for line in content.splitlines())


def test_new_files_follow_the_umask(reading_run):
    made = reading_run()
    ran = subprocess.run(
        ["bash", "-c", f"umask 077; {sys.executable} -m probes.run {made.config} generate-stories"],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0, ran.stderr
    modes = {path.stat().st_mode & 0o777 for path in made.folder.rglob("*.json")}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--generation.temperature=inf"], "generation.temperature: Input should be a finite"),
        (["--validation.doses=nan"], "finite number"),
        (["--seed=1", "--seed=2"], "--seed is given twice: '1', then '2'"),
        (["analize"], "did you mean 'analyze'?"),
        (["--restrt=analyze"], "did you mean --restart?"),
        (["--output_dir", "--json"], "--output_dir: expected a value"),
    ],
)
def test_wrong_words_are_refused_with_a_hint(reading_run, capsys, words, message):
    made = reading_run()
    assert main(made.config, *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not made.folder.exists()


def test_a_mistyped_command_gets_a_hint(finished, capsys):
    assert main("statsu", finished.config) == 2
    assert "Did you mean 'status'?" in " ".join(capsys.readouterr().err.split())


def test_a_key_given_twice_in_a_file_is_refused(finished, capsys):
    path = Path(finished.config)
    path.write_text(path.read_text() + "seed: 1\nseed: 2\n")
    assert main("status", finished.config) == 2
    assert "the key 'seed' is given twice" in " ".join(capsys.readouterr().err.split())


def test_folders_and_names_are_taken_letter_by_letter(reading_run, tmp_path, monkeypatch):
    made = reading_run()
    monkeypatch.chdir(tmp_path)
    for folder in ("20261128", "a,b", "[x]", "1e3"):
        assert main(made.config, "generate-stories", f"--output_dir={folder}", "--quiet") == 0
        assert (tmp_path / folder / "stages" / "generate-stories.json").is_file()
        record = json.loads((tmp_path / folder / "run.json").read_text())
        assert record["config"]["output_dir"] == folder


def test_labels_that_look_alike_and_a_neutral_file_of_stories_are_refused(reading_run, capsys):
    made = reading_run()
    stories = made.folder.parent / "stories.jsonl"
    assert main(made.config, f"--corpus.neutral={stories}") == 2
    assert "the same file as corpus.stories" in " ".join(capsys.readouterr().err.split())
    stories.write_text(stories.read_text().replace('"sad"', '"Sad "', 1))
    assert main(made.config) == 2
    assert "'Sad ', 'sad'" in " ".join(capsys.readouterr().err.split())
    assert not made.folder.exists()


def test_a_finished_run_needs_its_corpus_file_no_more(finished, tmp_path, capsys):
    values = yaml.safe_load(Path(finished.config).read_text())
    moved = {}
    for kind, path in values["corpus"].items():
        text = Path(path).read_text()
        moved[kind] = tmp_path / f"renamed-{kind}.jsonl"
        moved[kind].write_text(text)
    words = [f"--corpus.{kind}={path}" for kind, path in moved.items()]
    assert main("status", finished.config, *words, "--quiet") == 0
    assert main(finished.config, *words, "--quiet") == 0
    for path in moved.values():
        path.unlink()
    assert main("status", finished.config, *words, "--quiet") == 0
    assert main("score", finished.config, *words, "--text=He closed the door.") == 0
    assert main(finished.config, *words, "--quiet") == 0


def test_a_bad_last_line_is_named_before_the_first_is_scored(finished, tmp_path, capsys):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "He closed the door."}\n' * 3 + '{"text": 3}\n')
    for command in ("score", "sweep"):
        assert main(command, finished.config, f"--file={path}", "--model.name=no/such") == 2
        assert "x.jsonl, line 4: expected" in " ".join(capsys.readouterr().err.split())


def test_the_text_is_said_before_its_page_is_written(finished, capsys):
    (finished.folder / "steered").write_text("in the way")
    words = ["--emotion=sad", "--dose=0.1", "--prompt=He closed the door, and"]
    assert main("steer", finished.config, *words, "--max_new_tokens=4") == 1
    printed = capsys.readouterr()
    assert "unsteered" in printed.out
    assert "--output=FILE.html" in " ".join(printed.err.split())


def test_an_experiment_whose_numbers_are_not_finite_fails_and_stops_no_other(
    finished, capsys, monkeypatch
):
    monkeypatch.setattr("probes.stages.validate.to_json", lambda _result: {"r": float("nan")})
    finished.run().record_path("validate").unlink()
    (finished.folder / "analysis" / "steering.json").unlink()
    assert main(finished.config, "validate") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "steering: expected finite numbers" in said
    assert "nobody expected" not in said


def test_exports_are_the_same_bytes_in_every_process(finished, tmp_path):
    for place in "ab":
        ran = run(
            "export",
            str(finished.folder),
            "--to=safetensors",
            f"--output={tmp_path / place}",
            PYTHONHASHSEED="random",
        )
        assert ran.returncode == 0, ran.stderr
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 3
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_pushed_names_no_key_and_no_system_message(finished, capsys):
    assert main(finished.config, "--quiet") == 0
    record = json.loads((finished.folder / "run.json").read_text())
    record["config"]["writer"]["system"] = "You are my secret."
    record["config"]["generation"]["api_key_env"] = "MY_SECRET_KEY"
    record["config"]["validation"]["api_key_env"] = "MY_OTHER_KEY"
    (finished.folder / "run.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert main("export", str(finished.folder), "--to=hub", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "--- model/config.yaml ---" in shown
    assert "dataset/stories.parquet" in shown
    assert "secret" not in shown.lower()
    assert "MY_OTHER_KEY" not in shown
    assert main("export", str(finished.folder), "--to=hub", "--dry-run", "--without-texts") == 0
    assert "dataset/" not in capsys.readouterr().out


def test_a_project_that_wandb_refuses_is_one_line(finished, capsys):
    assert main("track", finished.config, "--project=a/b") == 2
    assert "wandb refused" in " ".join(capsys.readouterr().err.split())


def test_the_help_says_what_exit_codes_mean():
    assert "2    wrong words or settings; nothing was done" in overview()
