"""Which settings decide the outputs of each stage: those that can change them, and no others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from probes.corpus.writing import prompt_digest
from probes.runs.folder import Run
from probes.storage import digest_by_content

TextKind = Literal["stories", "neutral"]
Settings = dict[str, Any]


def _recorded(run: Run, stage: str, *keys: str) -> Any:
    """Return a setting that a stage was begun with; None where there is none."""
    begun = run.record(stage)
    value: Any = begun and begun.settings
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _texts(run: Run, section: TextKind) -> Settings:
    config = run.config
    if run.brings_corpus:
        return _brought(run, section)
    # A server has loaded its model its own way.
    served = config.generation.engine == "openai"
    asked = {"name", "system", "chat_template"} if served else None
    writer = config.writer_model.model_dump(mode="json", include=asked)
    if not writer["chat_template"]:
        del writer["chat_template"]  # as it was before there was any
    settings: Settings = {
        "writer": writer,
        "generation": {**config.deciding_generation(), "topics_subset": list(config.topics)},
        "prompts": prompt_digest(),
        "seed": config.seed,
    }
    if section == "neutral":
        for key in ("emotions_subset", "stories_per_topic", "stories_per_prompt", "min_words"):
            del settings["generation"][key]
        settings["neutral"] = config.neutral.model_dump(mode="json")
    else:
        settings["generation"]["emotions_subset"] = list(config.emotions)
    return settings


def _brought(run: Run, section: TextKind) -> Settings:
    """Return which texts are taken of which corpora; places only where not all are."""
    texts, beside = run.texts, "said" if section == "stories" else "neutral"
    recorded = _recorded(run, f"generate-{section}", "corpus", "file")
    settings: Settings = {"corpus": {"file": texts.corpus(section).digest(recorded)}}
    if beside != section and beside in texts.corpora():
        recorded = _recorded(run, f"generate-{section}", "corpus", beside)
        settings["corpus"][beside] = texts.corpus(beside).digest(recorded)
    if not texts.is_whole:
        settings["places"] = [*texts.topics, *texts.frames]
    if section == "neutral" and run.config.corpus.neutral_subset is not None:
        settings["neutral"] = list(texts.neutral_topics)
    return settings


def _dumped(run: Run, section: str) -> Settings:
    return {section: getattr(run.config, section).model_dump(mode="json")}


def _target(run: Run) -> Settings:
    return {"model": {"target_layer": run.config.model.target_layer}}


def _stories(run: Run) -> Settings:
    settings = _texts(run, "stories")
    return {**settings, "emotions": list(run.emotions)} if run.brings_corpus else settings


def _activations(run: Run) -> Settings:
    model = run.config.model.model_dump(mode="json", exclude={"target_layer"})
    return {"model": model, "activation": run.config.deciding_activation()}


def _vectors(run: Run) -> Settings:
    settings = {**_dumped(run, "vectors"), **_target(run)}
    settings["vectors"]["way"] = run.way
    if run.way == "shown":
        del settings["vectors"]["way"]  # as before there were others
    if run.config.model.target_layer == "held-out":
        # What decides which layer is chosen.
        validation = run.config.validation
        settings |= {"validation": {"n_folds": validation.n_folds}, "seed": run.config.seed}
    return settings


def _described(section: str) -> Callable[[Run], Settings]:
    return lambda run: {**_dumped(run, section), "seed": run.config.seed, **_target(run)}


def _validation(run: Run) -> Settings:
    validation = run.config.deciding_validation()
    del validation["experiments"]
    if run.config.validation.norms is not None:
        recorded = _recorded(run, "validate", "validation", "norms")
        validation["norms"] = digest_by_content(Path(run.config.validation.norms), recorded)
    return {"validation": validation, "seed": run.config.seed, **_target(run)}


SETTINGS: dict[str, Callable[[Run], Settings]] = {
    "generate-stories": _stories,
    "generate-neutral": lambda run: _texts(run, "neutral"),
    "extract-activations": _activations,
    "compute-vectors": _vectors,
    "analyze": _described("analysis"),
    "logit-lens": _described("logit_lens"),
    "validate": _validation,
    "visualize": lambda _run: {},
    "report": lambda _run: {},
}
