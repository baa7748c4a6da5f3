"""What each format makes of a run, in memory, and how to use it; equal runs give equal bytes."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hooks.errors import InvalidInput
from probes.export.control import DOSE, ControlVector, check, control_vector
from probes.export.embedded_file import embedded_file
from probes.export.gguf_file import gguf_bytes, held
from probes.export.hub_folder import hub_files
from probes.export.lm_eval_file import lm_eval_bytes, model_arguments
from probes.export.parquet_files import texts_parquet, vectors_parquet
from probes.export.safetensors_file import safetensors_bytes
from probes.export.source import Source
from probes.export.vllm_folder import serving, vllm_files
from probes.storage import slug
from probes.vectors.emotion_vectors import EmotionVectors


@dataclass(frozen=True)
class ExportChoice:
    """What is exported; None is the format's own default. `repo` is where a hub's cards point."""

    emotions: Sequence[str] | None = None
    layers: Sequence[int] | None = None
    dose: float | None = None
    repo: str = "user/name"
    texts: bool = True


@dataclass(frozen=True)
class ExportFiles:
    """Contents of files by path below the output folder, and what a user should know of them."""

    files: dict[str, bytes]
    notices: list[str] = field(default_factory=list)


def choose(
    vectors: EmotionVectors,
    emotions: Sequence[str],
    layers: Sequence[str],
    dose: float | None,
    repo: str | None = None,
    *,
    texts: bool = True,
) -> ExportChoice:
    """Check what was asked for against what there is; InvalidInput with the nearest name.

    No `emotions` are all; no `layers` the format's default, ``["all"]`` every one.
    """
    for emotion in emotions:
        if emotion not in vectors.emotions:
            near = difflib.get_close_matches(emotion, vectors.emotions, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise InvalidInput(
                f"--emotions: no vector for {emotion!r}{hint} This run has: "
                f"{', '.join(vectors.emotions)}."
            )
    if list(layers) == ["all"]:
        layers = list(map(str, vectors.layers))
    for layer in layers:
        if not layer.isascii() or not layer.isdigit():
            raise InvalidInput(
                f"--layers: expected numbers, as in --layers=10,12, or 'all', got {layer!r}."
            )
        vectors.layer_index(int(layer))
    if dose is not None:
        check(vectors, dose)
    return ExportChoice(
        list(dict.fromkeys(emotions)) or None,
        sorted(set(map(int, layers))) or None,
        dose,
        repo or ExportChoice.repo,
        texts,
    )


def gguf(source: Source, choice: ExportChoice) -> ExportFiles:
    """One ``EMOTION.gguf`` per emotion, for llama.cpp and repeng."""
    controls = _controls(source, choice)
    files = {f"{slug(control.emotion)}.gguf": gguf_bytes(control) for control in controls}
    kept = controls[0].only(held(controls[0]))
    use = f"use: llama-cli -m MODEL.gguf --control-vector-scaled {next(iter(files))}:1"
    notices = [_strength_notice(kept), use]
    if kept.layers != controls[0].layers:
        notices.insert(0, "block 0 was left out: GGUF control vectors have no slot for it.")
    return ExportFiles(files, notices)


def safetensors(source: Source, choice: ExportChoice) -> ExportFiles:
    """One ``EMOTION.safetensors`` per emotion, a tensor per layer."""
    controls = _controls(source, choice)
    files = {f"{slug(it.emotion)}.safetensors": safetensors_bytes(it) for it in controls}
    names = ", ".join(f"resid_post.{layer}" for layer in controls[0].layers)
    return ExportFiles(files, [_strength_notice(controls[0]), f"tensors in each file: {names}"])


def vllm(source: Source, choice: ExportChoice) -> ExportFiles:
    """Vectors that a vLLM server adds and scores with, and the file of ours that it loads."""
    controls = _controls(source, choice)
    notices = [
        _strength_notice(controls[0]),
        *serving(source.vectors.provenance, controls[0].emotion),
    ]
    return ExportFiles(vllm_files(source.vectors, controls), notices)


def _controls(source: Source, choice: ExportChoice) -> list[ControlVector]:
    dose = DOSE if choice.dose is None else choice.dose
    return [
        control_vector(source.vectors, emotion, layers=choice.layers, dose=dose)
        for emotion in choice.emotions or source.vectors.emotions
    ]


def _strength_notice(control: ControlVector) -> str:
    layers = f"layers {', '.join(map(str, control.layers))} (0-based blocks, added to their output)"
    return f"strength s is dose s * {control.dose:g} at each of the {layers}."


def parquet(source: Source, choice: ExportChoice) -> ExportFiles:
    """Vectors of all layers, and the corpus."""
    vectors = source.vectors
    emotions = choice.emotions or vectors.emotions
    files = {"vectors.parquet": vectors_parquet(vectors, emotions, choice.layers or vectors.layers)}
    notices = []
    if not choice.texts:
        return ExportFiles(files)
    if source.has("stories"):
        chosen = [row for row in source.texts("stories") if row["emotion"] in emotions]
        files["stories.parquet"] = texts_parquet(chosen, emotion=True)
    else:
        notices.append(f"{source.root} has no stories: only the vectors are exported.")
    if source.has("neutral"):
        files["neutral.parquet"] = texts_parquet(source.texts("neutral"), emotion=False)
    return ExportFiles(files, notices)


def lm_eval(source: Source, choice: ExportChoice) -> ExportFiles:
    """One ``EMOTION.pt`` per emotion, for the steered models of lm-evaluation-harness."""
    controls, made = _controls(source, choice), source.vectors.provenance
    files = {f"{slug(it.emotion)}.pt": lm_eval_bytes(it, made) for it in controls}
    first = next(iter(files))
    use = f"use: lm_eval --model steered --model_args {model_arguments(made)},steer_path={first}"
    notices = [_strength_notice(controls[0]), use]
    if len(controls[0].layers) > 1:
        notices.insert(1, "several layers in one file want lm_eval 0.4.9.2 or newer.")
    return ExportFiles(files, notices)


def embedded(source: Source, choice: ExportChoice) -> ExportFiles:
    """One ``MODEL.safetensors`` of all emotions at half the size, for `EmotionVectors.load`."""
    name, content = embedded_file(source, choice.layers)
    return ExportFiles({name: content}, [f'load it with EmotionVectors.load("{name}")'])


class Format(NamedTuple):
    """What makes a format, and which flags it takes."""

    make: Callable[[Source, ExportChoice], ExportFiles]
    takes: tuple[str, ...]


FORMATS = {
    "gguf": Format(gguf, ("emotions", "layers", "dose", "vectors")),
    "safetensors": Format(safetensors, ("emotions", "layers", "dose", "vectors")),
    "parquet": Format(parquet, ("emotions", "layers", "without_texts", "vectors")),
    "hub": Format(
        lambda run, choice: ExportFiles(hub_files(run, choice.repo, texts=choice.texts)),
        ("repo", "public", "without_texts"),
    ),
    "lm-eval": Format(lm_eval, ("emotions", "layers", "dose", "vectors")),
    "vllm": Format(vllm, ("emotions", "layers", "dose", "vectors")),
    "embedded": Format(embedded, ("layers",)),
}
