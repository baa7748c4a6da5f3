"""The command line: ``python -m probes.run`` and ``emotion-probes``.

Contract: thin. Words and flags become a `Config` and a list of stages; every flag is checked before
any work begins. ``--help`` imports nothing but this file.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.config import Config
    from probes.runs import Run
    from probes.terminal import Terminal

HELP = """\
emotion-lens: emotion vectors in the residual stream of language models

  python -m probes.run CONFIG [STAGE ...] [--section.key=value ...]
  emotion-probes run-all --config CONFIG [--section.key=value ...]
  emotion-probes STAGE --config CONFIG [--section.key=value ...]
  emotion-probes doctor MODEL [--backend=B] [--dtype=D] [--device=D] [--quantize=Q]

CONFIG   a YAML file, or the name of one in configs/: demo, medium, default
STAGE    none means all, in this order; a complete stage is skipped
  generate-stories      write stories for every (emotion, topic) cell, keep the good ones
  generate-neutral      write emotionally neutral dialogues on the same topics
  extract-activations   read resid_post, average it over each text's tokens
  compute-vectors       mean difference, neutral components projected out
  analyze               cosine, PCA, k-means, UMAP; all layers compared
  logit-lens            read the vectors through the unembedding
  validate              steer toward each emotion's word, beside random and other controls
  visualize             figures as PNG and interactive HTML

Flags
  --section.key=value   any setting of the config, e.g. --model.name=gpt2 --seed=1
  --output_dir=FOLDER   where everything is written
  --restart=STAGE       delete a stage's results and what follows from them, then run
  --emotions=A,B        logit-lens: show only these emotions
  --quiet               no progress, only tables and errors
  --help                this text

doctor loads MODEL, compares the backends and the unembedding with the model itself, and exits
with 1 if a check fails. Exit codes: 0 done, 1 failed, 2 wrong words or settings, 130 interrupted.
"""

_RUN_FLAGS = ("config", "restart", "emotions", "quiet")
_DOCTOR_FLAGS = ("backend", "dtype", "device", "quantize", "revision")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or "--help" in words or "-h" in words or words == ["help"]:
        print(HELP, end="")
        return 0 if words else 2
    from hooks.errors import EmotionLensError, InvalidInput
    from probes.terminal import Terminal

    terminal = Terminal(quiet="--quiet" in words)
    try:
        positional, flags = _parse(words)
        if positional[:1] == ["doctor"]:
            return _doctor(positional[1:], flags, terminal)
        return _pipeline(positional, flags, terminal)
    except InvalidInput as error:
        terminal.error(str(error))
        return 2
    except EmotionLensError as error:
        terminal.error(str(error))
        return 1
    except KeyboardInterrupt:
        terminal.error("Interrupted. Finished work is kept: the same command goes on from here.")
        return 130


def _parse(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Split words and flags with Fire, which also turns values into Python's."""
    import fire

    parsed: list[tuple[list[str], dict[str, Any]]] = []

    def collect(*positional: str, **flags: Any) -> None:
        parsed.append(([str(word) for word in positional], flags))

    # Fire would take the word after a bare --quiet for its value.
    words = ["--quiet=True" if word == "--quiet" else word for word in words]
    fire.Fire(collect, command=words, name="emotion-probes")
    return parsed[0]


def _doctor(names: list[str], flags: dict[str, Any], terminal: "Terminal") -> int:
    from hooks.errors import InvalidInput

    _refuse_unknown(flags, _DOCTOR_FLAGS, "doctor")
    if len(names) != 1:
        raise InvalidInput(
            "doctor: expected one model, e.g. emotion-probes doctor embedded:gemma-3-270m, got "
            f"{' '.join(names) or 'none'}."
        )
    from hooks.doctor import diagnose

    diagnosis = diagnose(names[0], **flags)
    marks = {True: "ok", False: "FAILED", None: "note"}
    rows = [(f"{marks[c.passed]:6} {c.name}", c.detail) for c in diagnosis.checks]
    terminal.table(f"doctor: {names[0]}", rows)
    return 0 if diagnosis.ok else 1


def _refuse_unknown(flags: dict[str, Any], known: Sequence[str], command: str) -> None:
    import difflib

    from hooks.errors import InvalidInput

    for flag in flags:
        if flag not in known:
            near = difflib.get_close_matches(flag, known, n=1)
            hint = f"did you mean --{near[0]}?" if near else f"expected one of: {', '.join(known)}."
            raise InvalidInput(f"{command}: unknown flag --{flag}; {hint}")


def _pipeline(positional: list[str], flags: dict[str, Any], terminal: "Terminal") -> int:
    from probes import stages
    from probes.models import Models

    own = {name: flags.pop(name) for name in _RUN_FLAGS if name in flags}
    source, names = _source_and_stages(positional, own)
    config = _load(source, flags)
    chosen = stages.find_stages(names)
    emotions = _shown_emotions(own.get("emotions"), chosen)
    dropped = [
        stage for name in _listed(own.get("restart")) for stage in stages.find_stages([name])
    ]

    from probes.runs import Run

    run = Run(config, _again(source, flags))
    if emotions:
        _check_shown(emotions, run)
    run.prepare()
    for stage in dropped:
        terminal.note(f"deleted the results of: {', '.join(stages.restart(run, stage))}")
    models = Models(config)
    for stage in chosen:
        ran = stages.run_stage(run, stage, models, terminal)
        terminal.note(f"{stage.name}: {'done' if ran else 'complete, skipped'}")
    run.write_summary(stages.NAMES)
    _show(run, names, emotions, terminal)
    return 0


def _again(source: str, flags: dict[str, Any]) -> str:
    """Spell a config and the flags that change it, as a shell takes them, for cures."""
    import shlex

    def spelled(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

    return shlex.join([source, *(f"--{key}={spelled(value)}" for key, value in flags.items())])


def _source_and_stages(positional: list[str], own: dict[str, Any]) -> tuple[str, list[str]]:
    """Tell CONFIG from STAGEs in either form of the command."""
    from hooks.errors import InvalidInput
    from probes import stages

    if "config" in own:
        names = [word for word in positional if word != "run-all"]
        return str(own["config"]), names
    if not positional or positional[0] in (*stages.NAMES, "run-all"):
        raise InvalidInput(
            "expected a config: python -m probes.run CONFIG [STAGE ...], or "
            "emotion-probes STAGE --config CONFIG. See --help."
        )
    return positional[0], [word for word in positional[1:] if word != "run-all"]


def _load(source: str, flags: dict[str, Any]) -> "Config":
    from probes.config import load_config

    return load_config(source, {key: _value(key, value) for key, value in flags.items()})


def _value(key: str, value: Any) -> Any:
    """Undo what a shell cannot say: null, and lists whose names hold spaces."""
    if value == "null":  # Fire knows Python's None; "none" is a value of vectors.neutral_pca
        return None
    if isinstance(value, str) and key.endswith("_subset"):
        return _listed(value)
    return value


def _listed(value: Any) -> list[str]:
    """Return a flag's names: Fire gives a tuple, a list or a string with commas."""
    if value is None:
        return []
    parts = value if isinstance(value, tuple | list) else str(value).split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _shown_emotions(value: Any, chosen: Sequence[Any]) -> list[str]:
    from hooks.errors import InvalidInput

    if value is not None and "logit-lens" not in [stage.name for stage in chosen]:
        raise InvalidInput("--emotions chooses what logit-lens shows; no such stage was asked for.")
    return _listed(value)


def _check_shown(emotions: Sequence[str], run: "Run") -> None:
    from hooks.errors import InvalidInput

    unknown = [emotion for emotion in emotions if emotion not in run.emotions]
    if unknown:
        raise InvalidInput(
            f"--emotions: {unknown[0]!r} is not in this run; it has: {', '.join(run.emotions)}."
        )


def _show(run: "Run", names: list[str], emotions: list[str], terminal: "Terminal") -> None:
    """Print the tables that belong to the stages asked for."""
    from probes import summary
    from probes.storage import read_json

    lens = run.root / "analysis" / "logit_lens.json"
    if lens.is_file() and (names == ["logit-lens"] or emotions):
        found = read_json(lens)["emotions"]
        rows = [
            (name, " ".join(token.strip() for token, _ in found[name]["top"]))
            for name in (emotions or found)
        ]
        terminal.table("top tokens of each emotion vector", rows)
    if not names:
        terminal.table(f"results in {run.root}", summary.rows(summary.write_summary(run)))


if __name__ == "__main__":
    sys.exit(main())
