"""The command line: ``python -m probes.run`` and ``emotion-probes``.

Contract: thin. Words and flags become a `Call`; every flag is checked before any work begins.
``--help`` imports nothing but this file and the list of commands.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probes.commands import COMMANDS, Command

if TYPE_CHECKING:
    from probes.terminal import Terminal

HELP = """\
emotion-lens: emotion vectors in the residual stream of language models

  python -m probes.run CONFIG [STAGE ...] [--section.key=value ...]
  emotion-probes run-all --config CONFIG [--section.key=value ...]
  emotion-probes STAGE --config CONFIG [--section.key=value ...]
  emotion-probes COMMAND ...

CONFIG   a YAML file, or the name of one in configs/: demo, medium, default
STAGE    none means all, in this order; a complete stage is skipped
  generate-stories      write stories for every (emotion, topic) cell, keep the good ones
  generate-neutral      write emotionally neutral dialogues on the same topics
  extract-activations   read resid_post, average it over each text's tokens
  compute-vectors       mean difference, neutral components projected out
  analyze               cosine, PCA, k-means, UMAP; all layers compared
  logit-lens            read the vectors through the unembedding
  validate              experiments that could prove the vectors wrong, with controls
  visualize             figures as PNG and interactive HTML

COMMAND  (emotion-probes COMMAND --help says more)
{commands}

Flags of a run
  --section.key=value   any setting of the config, e.g. --model.name=gpt2 --seed=1
  --output_dir=FOLDER   where everything is written
  --restart=STAGE       delete a stage's results and what follows from them, then run
  --emotions=A,B        logit-lens: show only these emotions
  --only=A,B            validate: run and show only these experiments
  --dry-run             what writing will take (requests, tokens, time, cost); writes nothing
  --quiet               no progress, only tables and errors
  --help                this text

Exit codes: 0 done, 1 failed, 2 wrong words or settings, 130 interrupted.
"""

_PIPELINE = Command(
    "run-all",
    "pipeline:main",
    "",
    "",
    dict.fromkeys(("config", "restart", "emotions", "only", "dry_run"), ""),
    takes_settings=True,
)
_SWITCHES = ("--quiet", "--dry-run", "--dry_run", "--public")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or "--help" in words or "-h" in words or words == ["help"]:
        print(_help(words), end="")
        return 0 if words else 2
    from hooks.errors import EmotionLensError, InvalidInput
    from probes.terminal import Terminal

    terminal = Terminal(quiet="--quiet" in words)
    try:
        return _dispatch(words, terminal)
    except InvalidInput as error:
        terminal.error(str(error))
        return 2
    except EmotionLensError as error:
        terminal.error(str(error))
        return 1
    except KeyboardInterrupt:
        terminal.error("Interrupted. Finished work is kept: the same command goes on from here.")
        return 130


def _help(words: list[str]) -> str:
    named = COMMANDS.get(words[0]) if words else None
    if named is not None:
        return named.help
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return HELP.format(commands="\n".join(lines))


def _dispatch(words: list[str], terminal: "Terminal") -> int:
    from probes.commands.call import Call, refuse_unknown

    positional, flags = _parse(words)
    flags.pop("quiet", None)
    command = COMMANDS.get(positional[0]) if positional else None
    if command is None:
        command = _PIPELINE
    else:
        positional = positional[1:]
    own = {name: flags.pop(name) for name in command.flags if name in flags}
    if not command.takes_settings:
        refuse_unknown(flags, list(command.flags), command.name)
    return command.run(Call(positional, own, flags, terminal))


def _parse(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Split words and flags with Fire, which also turns values into Python's."""
    import fire

    parsed: list[tuple[list[str], dict[str, Any]]] = []

    def collect(*positional: str, **flags: Any) -> None:
        parsed.append(([str(word) for word in positional], flags))

    # Fire would take the word after a bare switch for its value.
    words = [f"{word}=True" if word in _SWITCHES else word for word in words]
    fire.Fire(collect, command=words, name="emotion-probes")
    return parsed[0]


if __name__ == "__main__":
    sys.exit(main())
