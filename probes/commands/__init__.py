"""The commands beside the pipeline: their words, flags and code.

Contract
--------
* Importing this package imports no command, no torch: ``--help`` reads it.
* A command is a function of a `Call`; it gets its own flags checked, and where it works on a run
  the settings of the config too. It returns the exit code.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.commands.call import Call


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes
    ----------
    code
        ``module:function`` below this package.
    usage
        What follows the name.
    summary
        One line.
    flags
        Its own flags and what each means.
    takes_settings
        Whether any other flag is a setting of the config, as in ``--model.name=gpt2``.
    verbatim
        Flags whose value is a text: taken letter by letter, never as a number or a list.
    switches
        Flags that take no value.
    """

    name: str
    code: str
    usage: str
    summary: str
    flags: dict[str, str]
    takes_settings: bool = False
    verbatim: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """What ``emotion-probes NAME --help`` prints."""
        lines = [f"emotion-probes {self.name} {self.usage}", "", f"  {self.summary}", ""]
        width = max((len(flag) for flag in self.flags), default=0) + 2
        lines += [f"  --{flag:<{width}}{meaning}" for flag, meaning in self.flags.items()]
        if self.takes_settings:
            lines.append("  --section.key=value  any setting of the config")
        lines += ["", "  --quiet  no progress;  --json  one JSON object on standard output"]
        return "\n".join(lines) + "\n"

    def run(self, call: "Call") -> int:
        """Import the command's code and run it."""
        module, function = self.code.split(":")
        main: Callable[[Any], int] = getattr(
            importlib.import_module(f"probes.commands.{module}"), function
        )
        return main(call)


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "doctor",
            "doctor:main",
            "MODEL [--backend=B] [--dtype=D] [--device=D] [--quantize=Q]",
            "does this model work? exits with 1 if a check fails",
            {
                "backend": "auto, transformerlens or huggingface",
                "dtype": "auto, float32, bfloat16 or float16",
                "device": "auto, cpu, cuda, mps",
                "quantize": "4bit or 8bit",
                "revision": "branch, tag or commit on the hub",
            },
        ),
        Command(
            "export",
            "export:main",
            "RUN --to=gguf|safetensors|parquet|hub [--emotions=A,B] [--layers=L,M] [--dose=D]\n\n"
            "  RUN  a run's folder, as output/demo, or a config",
            "vectors and corpus for llama.cpp, other tools and the Hugging Face hub",
            {
                "to": "gguf (llama.cpp, repeng), safetensors, parquet, or hub",
                "emotions": "only these; all without it",
                "layers": "numbers or 'all'; without it the target layer (parquet: all)",
                "dose": "what strength 1 stands for, 0.1 without it (gguf, safetensors)",
                "output": "folder for the files; without it RUN/export/FORMAT",
                "dry_run": "show files, sizes and cards; write and push nothing",
                "repo": "hub: where to push, user/name",
                "public": "hub: make a new repository public; without it, it is private",
            },
            switches=("dry_run", "public"),
        ),
        Command(
            "status",
            "status:main",
            "CONFIG [--section.key=value ...]",
            "what of a run is done, what is missing, how long the rest may take; exits with 3 "
            "while something is left",
            {"config": "the same as CONFIG"},
            takes_settings=True,
        ),
        Command(
            "compare",
            "compare:main",
            "RUN_A RUN_B ... [--emotions=A,B] [--layer=L] [--output=FOLDER]",
            "how alike the vectors of runs are (RSA, CKA, Procrustes, cosines), with intervals "
            "over emotions and a null of permuted emotions",
            {
                "emotions": "only these; all that both runs have without it",
                "layer": "a layer of the model; without it each run's target layer",
                "resamples": "permutations and half-samples of emotions, 1000 without it",
                "seed": "of the resampling",
                "output": "folder for comparison.json and a figure of all layers per pair",
            },
        ),
        Command(
            "plan",
            "plan:main",
            "CONFIG [--tokens_per_second=N] [--measure] [--section.key=value ...]",
            "what a run will take: texts, tokens, FLOPs, disk, memory, hours; loads no weights",
            {
                "config": "the config, where it is not the first word",
                "tokens_per_second": "tokens one worker writes per second",
                "reading_tokens_per_second": "tokens one worker reads per second",
                "measure": "load the models; write and read one unit to know rates and lengths",
            },
            takes_settings=True,
            switches=("measure",),
        ),
        Command(
            "steer",
            "steer:main",
            'CONFIG --emotion=A[,B] --dose=D[,D] --prompt="..."',
            "continue a prompt unsteered and steered, side by side, with what steering costs",
            {
                "emotion": "one or more of the run's emotions",
                "dose": "one or more doses: fractions of the mean residual norm",
                "auto": "instead of a dose: the largest one within the perplexity and KL budget",
                "prompt": "the text to continue",
                "layers": "layers to steer, each with the dose; default is the target layer",
                "split": "divide the dose over the layers",
                "operation": "add (default), project, clamp or rotate",
                "positions": "all, prompt, generated, last, speaker:NAME, text:WORDS, span:3-8",
                "max_new_tokens": "length of a continuation (40)",
                "temperature": "0 is greedy (0.8)",
                "seed": "decides every draw (0)",
                "output": "the page to write, FILE.html (steered.html in the run's folder)",
                "config": "the config, instead of the first word",
            },
            takes_settings=True,
            verbatim=("prompt",),
            switches=("auto", "split"),
        ),
        Command(
            "score",
            "score:main",
            'CONFIG --text "..." | --file x.jsonl | --transcript chat.json [--output=A,B]',
            "scores of your own texts: whole, per speaker turn, token by token",
            {
                "config": "the same as CONFIG",
                "text": "one text",
                "file": 'JSON lines: objects with "text" (and "id"), or strings',
                "transcript": 'JSON: a list of turns with "role" and "content"',
                "emotions": "only these; all without it",
                "layer": "a layer of the model; without it the run's target layer",
                "output": "files: .csv or .parquet (a table), .html (tokens in color)",
            },
            takes_settings=True,
            verbatim=("text", "file", "transcript"),
        ),
        Command(
            "sweep",
            "sweep:main",
            "CONFIG --file=corpus.jsonl [--top=20] [--window=32] [--output=FOLDER]",
            "the passages of a file of any size that activate each emotion most",
            {
                "config": "the same as CONFIG",
                "file": 'JSON lines: objects with "text" (and "id"), or strings',
                "top": "passages kept per emotion, 20 without it",
                "window": "tokens per passage, 32 without it",
                "emotions": "only these; all without it",
                "layer": "a layer of the model; without it the run's target layer",
                "output": "folder for passages.jsonl and passages.html; without it RUN/sweep/NAME",
            },
            takes_settings=True,
            verbatim=("file",),
        ),
        Command(
            "track",
            "track:main",
            "CONFIG [--project=NAME] [--mode=offline|online]",
            "a run's numbers and figures to wandb (extra: tracking)",
            {
                "config": "the same as CONFIG",
                "project": "the project's name, emotion-lens without it",
                "mode": "offline (default: a record to send later) or online",
            },
            takes_settings=True,
        ),
        Command(
            "app",
            "app:main",
            "CONFIG [--port=8080] [--show]",
            "a page on this machine: texts, conversations and steering, token by token",
            {
                "host": "address to listen on (127.0.0.1)",
                "port": "port to listen on (8080)",
                "show": "open a browser",
            },
            takes_settings=True,
            switches=("show",),
        ),
    )
}
