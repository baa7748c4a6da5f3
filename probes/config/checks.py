"""What several settings of a config have to agree on, checked before any work."""

import difflib
from collections.abc import Sequence

from hooks.errors import InvalidInput
from probes.config.sections import ModelSettings, WriterSettings
from probes.config.whole import Config
from probes.stimuli import check_emotions, emotions, topics


def check_values(config: Config, source: str) -> None:
    """Refuse settings that do not fit together, naming source, setting and what was expected."""

    def refuse(problem: str) -> None:
        raise InvalidInput(f"{source}: {problem}")

    generation, layers = config.generation, config.activation.layers
    brought = config.corpus.stories is not None
    for key, subset, known in (
        ("emotions_subset", generation.emotions_subset, emotions()),
        ("topics_subset", generation.topics_subset, topics()),
        ("frames_subset", config.corpus.frames_subset, ()),
        ("neutral_subset", config.corpus.neutral_subset, ()),
    ):
        section = "generation" if known else "corpus"
        if known and isinstance(subset, int) and subset > len(known) and not brought:
            refuse(
                f"{section}.{key}: expected at most {len(known)}, as many as there are, "
                f"got {subset}. null takes all."
            )
        if subset in (0, []) or (isinstance(subset, int) and subset < 0):
            refuse(
                f"{section}.{key}: expected null, an integer of 1 or more, or a list of "
                f"at least one name, got {subset!r}."
            )
        if isinstance(subset, list) and len(set(subset)) != len(subset):
            refuse(f"{section}.{key}: a name is listed twice in {subset}.")
    if generation.engine == "openai" and not generation.base_urls:
        refuse(
            "generation.base_urls: expected the address of at least one server for "
            "generation.engine=openai, such as http://localhost:8000/v1, got none."
        )
    if generation.engine != "openai" and generation.base_urls:
        refuse(
            f"generation.base_urls is set and generation.engine is {generation.engine}; set "
            "generation.engine=openai to ask these servers."
        )
    loaded: list[tuple[str, ModelSettings | WriterSettings, str]]
    loaded = [("model", config.model, config.activation.engine)]
    if not brought:
        section = "model" if config.writer.name is None else "writer"
        loaded.append((section, config.writer_model, generation.engine))
    for section, settings, engine in loaded:
        if engine != "vllm":
            continue
        if settings.quantize is not None:
            refuse(
                f"{section}.quantize: vLLM does not take {settings.quantize!r}; set "
                f"vllm.quantization to its own name of one, and {section}.quantize=null."
            )
        if settings.device_map is not None:
            refuse(
                f"{section}.device_map: vLLM spreads a model over vllm.tensor_parallel_size GPUs; "
                f"set that, and {section}.device_map=null."
            )
    by_vllm, compute = "vllm" in [engine for *_, engine in loaded], config.compute
    if by_vllm and compute.engine == "ray" and 0 < compute.gpus_per_worker < config.vllm.n_gpus:
        refuse(
            f"compute.gpus_per_worker: vLLM spreads a model over {config.vllm.n_gpus} GPUs "
            "(vllm.tensor_parallel_size times vllm.pipeline_parallel_size), expected as many for "
            f"each worker, got {compute.gpus_per_worker:g}."
        )
    if config.activation.engine == "vllm":
        for key in ("compile", "batch_tokens"):
            if getattr(config.activation, key):
                refuse(f"activation.{key} has no meaning for activation.engine=vllm; leave it out.")
    if not brought:  # a user's corpus may hold any emotions; its run checks them against the file
        check_emotions(config.emotions)
        if len(config.emotions) < 2:
            refuse(
                "generation.emotions_subset: expected at least two emotions (a vector is a "
                f"difference from the mean over emotions), got {len(config.emotions)}."
            )
        try:
            check_steered(config, config.emotions)
        except InvalidInput as error:
            refuse(str(error))
    if any(not topic.strip() for topic in config.topics):
        refuse("generation.topics_subset: a topic is empty.")
    if "\0" in config.output_dir:
        refuse("output_dir: expected a folder's path, got a NUL character.")
    if layers is not None and (not layers or min(layers) < 0 or len(set(layers)) != len(layers)):
        refuse(f"activation.layers: expected null or distinct layers from 0, got {layers}.")
    others = {k: v for k, v in vars(config.corpus).items() if k not in ("stories", "neutral")}
    if not brought and (given := [key for key, value in others.items() if value is not None]):
        refuse(
            f"corpus.{given[0]} is set and corpus.stories is not: it is about a corpus, and this "
            "run writes its texts. Set corpus.stories=reference, or to a file."
        )
    if brought != (config.corpus.neutral is not None):
        refuse(
            "corpus: expected both corpus.stories and corpus.neutral, or neither; neutral text is "
            "needed to clean the vectors, and to measure what steering costs."
        )


def check_steered(config: Config, emotions: Sequence[str]) -> None:
    """Refuse to steer with one emotion, with one named twice, or with one that a run lacks."""
    steered, key = config.validation.steered_emotions, "validation.steered_emotions"
    if steered is None:
        return
    if len(steered) < 2:
        raise InvalidInput(
            f"{key}: expected null or at least two emotions, which are compared, got {steered}."
        )
    if len(set(steered)) != len(steered):
        raise InvalidInput(f"{key}: a name is listed twice in {steered}.")
    for name in steered:
        if name not in emotions:
            near = difflib.get_close_matches(name.casefold(), emotions, n=1, cutoff=0.0)[0]
            raise InvalidInput(
                f"{key}: expected emotions of this run, got {name!r}; of the {len(emotions)} that "
                f"it has the nearest is {near!r}. null takes those of the default that it has."
            )
