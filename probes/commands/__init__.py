"""The pipeline and the commands beside it, and their flags; imports no command and no torch.

The module of a command's name has its ``main``, from a `Call` to an exit code.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from probes.commands.flags import BARE, LISTED, Flags, Names, RunFlags, Switch, flag

_Way = Literal["shown", "said", "carried", "both"]
_WAYS = "of what the corpus shows, says or carries, or both of shown and said; else the run's own"
_EMOTIONS = "only these; all without it"
_LAYER = "a layer of the model; without it the run's target layer"
_OR_SHIPPED = (
    "\n\n  CONFIG  of a run that is made, or vectors that come with the package:\n"
    "          embedded:gemma-3-270m or embedded:smollm2-135m-instruct"
)
_Layers = Annotated[tuple[int, ...], LISTED]
_Above0 = Annotated[float, Field(gt=0)]
_Doses = Annotated[tuple[_Above0, ...], LISTED]
_Operation = Literal["add", "project", "clamp", "rotate"]
_JSON_LINES = 'JSON lines: objects with "text" (and "id"), or strings'


class Pipeline(RunFlags):
    """Run the stages of a config."""

    restart: Names = flag("make this stage and what follows again; results stay until then", ())
    put_back: Switch = flag("undo a --restart that has not ended: the old results again", False)
    emotions: Names = flag("logit-lens: show only these emotions", ())
    only: Names = flag("validate: run and show only these experiments; a wrong name lists all", ())
    dry_run: Switch = flag("what writing takes: requests, tokens, time, cost; no writing", False)
    full: Switch = flag("at the end every number, and not the claims alone", False)


def _word_limits(value: Any) -> Any:
    ends = re.fullmatch(r"(\d+)-(\d+)", value) if isinstance(value, str) else None
    if isinstance(value, str) and ends is None:
        raise ValueError("two numbers, as 60-85")
    return value if ends is None else (int(ends[1]), int(ends[2]))


class Corpus(Flags):
    """Whether a corpus is any good, before a model reads it; exits with 1 if a limit is passed."""

    usage: ClassVar = (
        "FILE|reference [--said=FILE|reference] [--neutral=FILE|reference] [--words=60-85]\n\n"
        "  FILE  JSON lines: emotion, topic, text; optionally opening, closing, form"
    )
    said: str | None = flag("frames that say an emotion: opening, text (the phrase), closing")
    neutral: str | None = flag("neutral texts: documents, and with an opening zeros of a topic")
    words: Annotated[tuple[int, int] | None, BeforeValidator(_word_limits)] = flag(
        "shortest and longest text, as 60-85; reference has these limits, others none"
    )
    signature: float = flag("share of an emotion's texts that may hold one word", 0.25, gt=0, le=1)
    alike: float = flag("overlap of five-character pieces of two texts", 0.5, gt=0, le=1)
    repeats: int = flag("texts that may share five words in a row", 2, ge=1)


class Doctor(Flags):
    """Check that a model works; exits with 1 if a check fails."""

    usage: ClassVar = (
        "MODEL [--backend=B] [--dtype=D] [--device=D] [--quantize=Q]\n"
        "       emotion-probes doctor --all-architectures [--seconds=120]\n"
        "       emotion-probes doctor [MODEL] --vllm [--vllm-python=.venv-vllm/bin/python]"
    )
    backend: str = flag("auto, transformerlens or huggingface", "auto")
    dtype: str = flag("auto, float32, bfloat16 or float16", "auto")
    device: str = flag("auto, cpu, cuda, mps", "auto")
    quantize: str | None = flag("4bit or 8bit")
    revision: str | None = flag("branch, tag or commit on the hub")
    all_architectures: Switch = flag(
        "instead of MODEL a tiny random one of every causal architecture in transformers", False
    )
    vllm: Switch = flag("compare vLLM with our hooks; without MODEL a small one", False)
    vllm_python: str = flag("vllm: the Python of its environment", ".venv-vllm/bin/python")
    seconds: _Above0 = flag("all-architectures: time for one of them", 120.0)


class Export(Flags):
    """Vectors and corpus for llama.cpp, other tools and the Hugging Face hub."""

    usage: ClassVar = (
        "RUN --to=FORMAT [--emotions=A,B] [--layers=L,M] [--dose=D]\n\n"
        "  RUN  a run's folder, as output/demo, a config, or embedded:gemma-3-270m"
    )
    to: Literal["gguf", "safetensors", "parquet", "hub", "lm-eval", "vllm", "embedded"] = flag(
        "gguf (llama.cpp, repeng), safetensors, parquet, hub, lm-eval (a steered model of "
        "lm-evaluation-harness), vllm (a server), or embedded (all vectors, half the size)",
        ...,
    )
    emotions: Names = flag(_EMOTIONS, ())
    layers: Names = flag("numbers or 'all'; without it the target layer (parquet: all)", ())
    vectors: _Way | None = flag(f"{_WAYS} (not hub, embedded)")
    dose: float | None = flag(
        "what strength 1 stands for, 0.1 without it (gguf, safetensors, lm-eval, vllm)"
    )
    output: str | None = flag("folder for the files; without it RUN/export/FORMAT")
    dry_run: Switch = flag("show files, sizes, cards and settings; write and push nothing", False)
    repo: str | None = flag("hub: where to push, user/name")
    without_texts: Switch = flag("hub, parquet: leave stories and neutral texts at home", False)
    public: Switch = flag("hub: make a new repository public; without it, it is private", False)


class Status(RunFlags):
    """What is done, what is missing, how long it may take; exits with 3 while something is left."""

    usage: ClassVar = "CONFIG [--full] [--section.key=value ...]"
    full: Switch = flag("what was found too: every number", False)


class Compare(Flags):
    """How alike the vectors of runs are, beside chance, and how they read each other's stories."""

    usage: ClassVar = "RUN_A RUN_B ... [--emotions=A,B] [--layer=L] [--output=FOLDER]"
    emotions: Names = flag("only these; all that both runs have without it", ())
    layer: int | None = flag("a layer of the model; without it each run's target layer", ge=0)
    resamples: int = flag("permutations and half-samples of emotions", 1000, ge=20)
    seed: int = flag("of the resampling", 0, ge=0)
    output: str | None = flag("folder for comparison.json and a figure of all layers per pair")


class Plan(RunFlags):
    """What a run will take: texts, tokens, FLOPs, disk, memory, hours; loads no weights."""

    usage: ClassVar = "CONFIG [--tokens_per_second=N] [--measure] [--section.key=value ...]"
    tokens_per_second: _Above0 | None = flag("tokens one worker writes per second")
    reading_tokens_per_second: _Above0 | None = flag("tokens one worker reads per second")
    measure: Switch = flag("load the models; write and read one unit to know rates", False)


class Steer(RunFlags):
    """Continue a prompt unsteered and steered, side by side, with what steering costs."""

    usage: ClassVar = f'CONFIG --emotion=A[,B] --dose=D[,D] --prompt="..."{_OR_SHIPPED}'
    emotion: Names = flag("one or more of the run's emotions", ())
    dose: _Doses = flag("one or more doses: fractions of the mean residual norm", ())
    auto: Switch = flag("instead: the largest dose within the perplexity and KL budget", False)
    prompt: str | None = flag("the text to continue")
    watch: Names = flag("emotions whose scores to show of the tokens as they are written", ())
    layers: _Layers = flag("layers to steer, each with the dose; default is the target layer", ())
    vectors: _Way | None = flag(_WAYS)
    split: Switch = flag("divide the dose over the layers", False)
    operation: _Operation = flag("add, project, clamp or rotate", "add")
    positions: str = flag("all, prompt, generated, last, speaker:WHO, text:WORDS, span:3-8", "all")
    max_new_tokens: int = flag("length of a continuation", 40, ge=1)
    temperature: float = flag("0 is greedy", 0.8, ge=0)
    seed: int = flag("decides every draw", 0, ge=0)
    output: str | None = flag("the page to write, FILE.html; without it one below RUN/steered")


class Score(RunFlags):
    """Scores of your own texts: whole, per speaker turn, token by token."""

    usage: ClassVar = (
        f'CONFIG --text "..." | --file x.jsonl | --transcript chat.json [--output=A,B]{_OR_SHIPPED}'
    )
    text: str | None = flag("one text")
    file: str | None = flag(_JSON_LINES)
    transcript: str | None = flag(
        "JSON: a conversation of OpenAI's or ShareGPT's form, or one a line"
    )
    emotions: Names = flag(_EMOTIONS, ())
    layer: int | None = flag(_LAYER)
    vectors: _Way | None = flag(_WAYS)
    output: Names = flag("files: .csv or .parquet (a table), .html (tokens in color)", ())


class Sweep(RunFlags):
    """The passages of a file of any size that activate each emotion most."""

    usage: ClassVar = (
        f"CONFIG --file=corpus.jsonl [--top=20] [--window=32] [--output=FOLDER]{_OR_SHIPPED}"
    )
    file: str | None = flag(_JSON_LINES)
    top: int = flag("passages kept per emotion", 20, ge=1)
    window: int = flag("tokens per passage", 32, ge=2)
    emotions: Names = flag(_EMOTIONS, ())
    layer: int | None = flag(_LAYER)
    vectors: _Way | None = flag(_WAYS)
    output: str | None = flag("folder for what is kept; without it one below RUN/sweep")


class Shift(RunFlags):
    """What a second training does to emotions: one run's vectors in two models."""

    usage: ClassVar = "CONFIG --other=MODEL [--template=chat] [--other-run=FOLDER]"
    other: str | None = flag("the model after training, or before it: an id or a folder")
    revision: str | None = flag("branch, tag or commit of the other model on the hub")
    other_run: str | None = flag("a run of the other model, whose own vectors are read beside")
    template: Literal["plain", "chat"] = flag(
        "what both read: plain (Person: ... Assistant:) or the chat template of one", "plain"
    )
    layer: int | None = flag(_LAYER)
    vectors: _Way | None = flag(_WAYS)
    output: str | None = flag("FILE.json, with a figure beside it; without it in RUN/analysis")


class Track(RunFlags):
    """A run's numbers and figures to wandb (extra: tracking)."""

    usage: ClassVar = "CONFIG [--project=NAME] [--mode=offline|online]"
    project: str = flag("the project's name", "emotion-lens")
    mode: Literal["offline", "online"] = flag("offline (a record to send later), online", "offline")


class App(RunFlags):
    """A page on this machine: texts, conversations and steering, token by token."""

    usage: ClassVar = (
        f"CONFIG [--port=8080] [--host=ADDRESS --allow-host=NAME] [--show]{_OR_SHIPPED}"
    )
    host: str = flag("address to listen on", "127.0.0.1")
    allow_host: Names = flag(
        "names by which others may call it; alone: any", (), json_schema_extra=BARE
    )
    vectors: _Way | None = flag(_WAYS)
    port: int = flag("port to listen on", 8080, ge=1, le=65535)
    show: Switch = flag("open a browser", False)


COMMANDS: dict[str, type[Flags]] = {
    command.name(): command
    for command in (
        *(Doctor, Corpus, Export, Status, Compare, Shift),
        *(Plan, Steer, Score, Sweep, Track, App),
    )
}
