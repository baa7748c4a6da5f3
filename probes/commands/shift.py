"""``emotion-probes shift``: what a second training does to emotions, in two models of one kind."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel
from hooks.errors import DataError, InvalidInput
from hooks.generation.last_token import at_end
from hooks.models.local_files import public_name
from hooks.tokens.encoding import encode_text, is_chat
from probes.analysis.results import plain_values
from probes.commands import Shift
from probes.commands.call import Call
from probes.commands.terminal import Terminal
from probes.config import Config
from probes.experiments import to_json
from probes.experiments.messages.reading import answer_begun
from probes.experiments.training.emotion_shift import EmotionShift
from probes.experiments.training.measured_shift import OtherRun, TwoReadings, measure
from probes.figures import draw_all
from probes.report.claims import display_name
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.stages.checks import describe, load_tokenizer
from probes.stages.write_report import HTML as REPORT
from probes.stimuli import challenges
from probes.storage import digest_of, write_json
from probes.texts.dialogue import USER, Turn, lay_out
from probes.vectors.emotion_vectors import EmotionVectors

QUESTION = "what does a second training do to emotions?"
_MIN_SHARED = 3
Ids = list[list[int]]
"""Token ids of every prompt: the challenging ones, then the neutral ones."""


def main(call: Call[Shift]) -> int:
    """Read both models, one after the other, and judge what lies between them."""
    flags, run = call.flags, call.run()
    other = _other_config(run, flags)
    output = _output(run, flags)
    vectors = EmotionVectors.load(run.root).using(flags.vectors)
    layer = vectors.provenance.target_layer if flags.layer is None else flags.layer
    vectors.layer_index(layer)  # raises, naming those there are
    other_run = None if flags.other_run is None else _other_run(flags.other_run, vectors, layer)
    tokenizers = [load_tokenizer(config.model) for config in (run.config, other)]
    ids = shown_prompts(flags.template, tokenizers)
    materials = Materials(run, Models(run.config), call.terminal)
    sides = [(run.config, vectors), (other, other_run and other_run.vectors)]
    read = [
        _read(config, made, prompts, layer, call.terminal)
        for (config, made), prompts in zip(sides, ids, strict=True)
    ]
    readings = TwoReadings(
        torch.stack([residual for residual, _ in read]),
        other=public_name(other.model.name),
        template=flags.template,
        same_tokens=ids[0] == ids[1],
        same_weights=read[0][1] == read[1][1],
    )
    result = measure(materials, readings, vectors, layer, other_run)
    folder = output.parent if flags.output else run.root / "figures"
    _show(call.terminal, result, run.left_by("compute-vectors"), output, folder)
    if not flags.output and (run.root / REPORT).is_file():
        again = f"python -m probes.run {run.source} report --restart=report"
        call.terminal.note(f"the scorecard has it; a report that has it: {again}")
    return 0


def _other_config(run: Run, flags: Shift) -> Config:
    """Return the run's config with the other model; refuse one that is no partner of the run's."""
    model = run.config.model
    if not flags.other:
        raise InvalidInput(
            "--other: expected the model that a second training made of the run's, or the run's "
            "was made of; got nothing."
        )
    names = [(model.name, model.revision), (flags.other, flags.revision)]
    if len({(_place(name), revision) for name, revision in names}) == 1:
        raise InvalidInput(
            f"--other: expected another model than the run's, got the same: {model.name}."
        )
    kinds = [describe(name, revision) for name, revision in names]
    told = [f"{it.kind}, {it.n_layers} layers, d_model {it.d_model}" for it in kinds]
    if told[0] != told[1]:
        raise InvalidInput(
            f"--other: expected a model of the run's architecture ({model.name}: {told[0]}), got "
            f"{flags.other}: {told[1]}. Vectors mean something in a model that was trained from "
            "theirs, or theirs from it."
        )
    changes = {"name": flags.other, "revision": flags.revision}
    return run.config.model_copy(update={"model": model.model_copy(update=changes)})


def _place(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.resolve()) if path.is_dir() else name


def _output(run: Run, flags: Shift) -> Path:
    """Return the file to write: by default one for each other model and choice of flags."""
    if flags.output is None:
        name = re.sub(r"[^\w.-]+", "-", display_name(str(flags.other)), flags=re.ASCII)[:60]
        asked = flags.model_dump(include={"other", "revision", "template", "layer", "vectors"})
        return run.root / "analysis" / f"shift_{name}-{digest_of(asked)[:8]}.json"
    path = Path(flags.output).expanduser()
    if path.suffix != ".json" or path.is_dir():
        raise InvalidInput(f"--output: expected a file that ends in .json, got {path}.")
    return path


def _other_run(folder: str, vectors: EmotionVectors, layer: int) -> OtherRun:
    path = Path(folder).expanduser()
    others = EmotionVectors.load(path).using(vectors.way)
    others.layer_index(layer)  # raises, naming those there are
    n_shared = len({*vectors.emotions} & {*others.emotions})
    if n_shared < _MIN_SHARED:
        raise DataError(
            f"--other-run: expected a run with at least {_MIN_SHARED} of the run's emotions, got "
            f"{n_shared} in {path}."
        )
    return OtherRun(path.name, others)


def shown_prompts(template: str, tokenizers: Sequence[Any]) -> list[Ids]:
    """Return what both models read: every prompt in one template, up to where a reply begins.

    Tokenizers are the run's model's and the other's; a chat template is the other's, or the run's
    model's where the other has none. Raises InvalidInput where neither has one, or it is other
    tokens to either.
    """
    pairs = challenges()
    texts = [*(pair.text for pair in pairs), *(pair.neutral for pair in pairs)]
    prompts = [answer_begun(text) for text in texts]
    if template == "chat":
        chat = next((it for it in reversed(tokenizers) if is_chat(it)), None)
        if chat is None:
            raise InvalidInput(
                "--template=chat: neither model has a chat template; leave the flag out."
            )
        prompts = [lay_out(chat, [Turn(USER, text)], answering=True).text for text in texts]
    ids = [[encode_text(tokenizer, prompt) for prompt in prompts] for tokenizer in tokenizers]
    if template == "chat" and ids[0] != ids[1]:
        raise InvalidInput(
            "--template=chat: expected tokenizers that cut the chat template alike, and these make "
            "other tokens of it. Leave the flag out: both models then read plain lines."
        )
    return ids


def _read(
    config: Config, made: EmotionVectors | None, ids: Ids, layer: int, terminal: Terminal
) -> tuple[Float[Tensor, "set prompt d_model"], str]:
    """Read one model at the last token of every prompt; returns its fingerprint too.

    The model is gone when this returns: two large ones rarely fit one device. Raises StaleArtifact
    when vectors are given that were made from another.
    """
    model: LanguageModel = Models(config).subject()
    if made is not None:
        made.check_model(model)
    with terminal.task(f"reading {display_name(model.name)}", len(ids), "prompts") as advance:
        residual = at_end(model, ids, [layer], progress=advance)
    return (
        rearrange(residual, "(set prompt) 1 d_model -> set prompt d_model", set=2),
        model.fingerprint,
    )


def _show(
    terminal: Terminal, result: EmotionShift, made_with: str | None, output: Path, folder: Path
) -> None:
    """Print what shifted; write it to a file, and its figure to a folder."""
    about = f"{result.other} less {result.model}, layer {result.layer}"
    terminal.table(f"{about}: {QUESTION}", [(it.name, it.line) for it in result.findings()])
    for limit in result.limits():
        terminal.warn(limit)
    content: Mapping[str, Any] = {
        "experiment": "shift",
        "question": QUESTION,
        "vectors": made_with,
        **to_json(result),
        "paper_numbers": {
            name: it if isinstance(it, str) else plain_values(it)
            for name, it in result.paper_numbers().items()
        },
    }
    write_json(output, content)
    # One figure, named as the file; none where nothing shifts.
    figures = dict(zip([output.stem], result.figures().values(), strict=False))
    files = [output, *draw_all(figures, folder)]
    terminal.written(files)
    terminal.result({**content, "files": [str(path) for path in files]})
