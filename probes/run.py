"""The command line: ``python -m probes.run`` and ``emotion-probes``; ``--help`` is light."""

import importlib
import io
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hooks.errors import EmotionLensError, InvalidInput
from probes.commands import COMMANDS, Pipeline
from probes.commands.flags import Flags, aligned

if TYPE_CHECKING:
    from probes.commands.terminal import Terminal

HELP = """\
emotion-lens: emotion vectors in the residual stream of language models

  python -m probes.run CONFIG [STAGE ...] [--section.key=value ...]
  emotion-probes run-all CONFIG [--section.key=value ...]
  emotion-probes STAGE CONFIG [--section.key=value ...]
  emotion-probes COMMAND ...

CONFIG   a YAML file, or the name of one in configs/: demo, reference, gemma,
         self_written, medium, default
         (--config CONFIG is the same)
STAGE    none means all, in this order; a complete stage is skipped
  generate-stories      stories of every emotion on every topic, written or from a corpus
  generate-neutral      emotionally neutral texts, written or from a corpus
  extract-activations   read resid_post, average it over each text's tokens
  compute-vectors       mean difference, neutral components projected out
  analyze               cosine, PCA, k-means, UMAP; all layers compared
  logit-lens            read the vectors through the unembedding
  validate              experiments that could prove the vectors wrong, with controls
  visualize             figures as PNG and interactive HTML
  report                report.html and report.md: what was found, how far to trust it

COMMAND  (emotion-probes COMMAND --help says more)
{commands}

Flags of a run
{run_flags}

Flags of every command
{common_flags}

Exit codes
  0    done
  1    failed: a model, a file, a check of doctor
  2    wrong words or settings; nothing was done
  3    status: something is left to do
  130  interrupted with Ctrl-C: ends within two seconds, finished work is kept
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that is not UTF-8 gets escapes, no error
            stream.reconfigure(errors="backslashreplace")
    if not words or "--help" in words or "-h" in words or words == ["help"]:
        kind = COMMANDS.get(words[0]) if words else None
        print(overview() if kind is None else kind.help(), end="")
        return 0 if words else 2
    from probes.commands.interruption import EXIT_CODE, ends_soon
    from probes.commands.terminal import Terminal

    terminal = Terminal(quiet=_is_on("quiet", words), as_json=_is_on("json", words))

    def interrupted() -> int:
        terminal.error(f"Interrupted. Finished work is kept. To go on: {_again(words)}")
        return terminal.finish(EXIT_CODE)

    try:
        with ends_soon(interrupted):
            return terminal.finish(_answer(words, terminal))
    except BrokenPipeError:  # who reads has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain at its end
        return 1
    except KeyboardInterrupt:
        code = interrupted()
        if arguments is None:  # as a program: what libraries clean up at exit can take long
            sys.stderr.flush()
            os._exit(code)
        return code


def _answer(words: list[str], terminal: "Terminal") -> int:
    """Run the command; errors become words and an exit code."""
    try:
        with terminal.reserved():
            from probes.commands.call import read_call

            call = read_call(words, terminal)
            return importlib.import_module(f"probes.commands.{call.flags.name()}").main(call)
    except EmotionLensError as error:
        terminal.error(str(error))
        return 2 if isinstance(error, InvalidInput) else 1
    except BrokenPipeError:
        raise
    except Exception as error:
        # A last resort: whoever meets this has met a defect of ours.
        terminal.error(
            f"an error that nobody expected, {type(error).__name__}: {error}. Please report it "
            f"with {_keep_traceback()}. Finished work is kept."
        )
        return 1


def _keep_traceback() -> str:
    """Write the error that is being handled to a file; return its path, or the error itself."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="emotion-lens-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(traceback.format_exc())
        return file.name
    except OSError:
        return traceback.format_exc()


def _is_on(switch: str, words: Sequence[str]) -> bool:
    """Tell whether a switch of every command is given: ``--json``, also as ``--json=true``."""
    given = [word.lower() for word in words if word.partition("=")[0] == f"--{switch}"]
    return bool(given) and given[-1] in (f"--{switch}", f"--{switch}=true")


def _again(words: list[str]) -> str:
    """Spell the same command once more, without what would delete finished work again."""
    kept = [word for word in words if not word.startswith("--restart=")]
    if "--restart" in kept:
        index = kept.index("--restart")
        del kept[index : index + 2]
    return shlex.join(["emotion-probes", *kept])


def overview() -> str:
    """Return what ``--help`` prints."""
    common = Flags.meanings()
    of_run = {name: text for name, text in Pipeline.meanings().items() if name not in common}
    settings = {
        "section.key=value": "any setting of the config, e.g. --model.name=gpt2 --seed=1",
        "output_dir=FOLDER": "where everything is written",
    }
    return HELP.format(
        commands=aligned({name: kind.summary() for name, kind in COMMANDS.items()}),
        run_flags=aligned(settings | of_run, "--"),
        common_flags=aligned({**common, "help": "this text"}, "--"),
    )


if __name__ == "__main__":
    sys.exit(main())
