"""What models and servers can do for a run, from configs and tokenizers, before hours of work."""

import functools
from collections.abc import Sequence
from typing import Any

from hooks.errors import DataError, InvalidInput, ModelError
from hooks.models import architecture
from hooks.models.architecture import Architecture
from hooks.models.embedded import folder, is_embedded
from hooks.models.precision import quantization_config, resolve_device, resolve_dtype
from hooks.tokens.encoding import encode_prompt, encode_text, is_chat
from probes.config import ModelSettings, WriterSettings
from probes.corpus.brought import OwnTexts
from probes.corpus.cells import n_shared_topics
from probes.corpus.reference import ReferenceTexts
from probes.corpus.writing import Rules, first_prompts
from probes.experiments.folds import MIN_TOPICS
from probes.experiments.steering.doses import papers_layers
from probes.runs.folder import Run
from probes.stages import ask_servers
from probes.stages.cost_of_writing import cells_of
from probes.stages.units import TextKind, grid_of, most_new_tokens, plan, rules


def check_texts(run: Run, kind: TextKind, *, anew: bool) -> None:
    """Check that texts can be written, or the user's own read."""
    if run.brings_corpus:
        for corpus in run.texts.corpora().values():
            corpus.texts  # noqa: B018 - raises, naming a line
        return
    units = plan(run, kind, cells_of(run, kind))
    todo = units if anew else ask_servers.missing(run, units)
    if not todo:
        return
    if run.config.generation.engine != "openai":
        check_writer(run, kind)
    elif anew:  # else the stage asks them first, and nothing is lost
        with ask_servers.connected(run.config, kind, todo[:1]):
            pass


def check_writer(run: Run, kind: TextKind) -> None:
    """Check that the writer is known and that prompt and answer fit into its positions."""
    settings = run.config.writer_model
    n_positions = describe(str(settings.name), settings.revision).n_positions
    if run.config.generation.engine == "vllm":
        n_positions = run.config.vllm.most_tokens(n_positions)
    chat = is_chat(load_tokenizer(settings))
    ruled = rules(run.config, kind, chat=chat)
    longest = max(map(len, first_prompts_of(run, kind, ruled)))
    n_new = most_new_tokens(run.config, kind, ruled)
    if n_positions is not None and longest + n_new > n_positions:
        section = "generation" if kind == "stories" else "neutral"
        raise InvalidInput(
            f"{section}.max_new_tokens: a prompt of {longest} tokens and {n_new} new ones are more "
            f"than the {n_positions} positions of {settings.name}. Lower it, or take another "
            "writer."
        )


def first_prompts_of(run: Run, kind: TextKind, ruled: Rules) -> list[list[int]]:
    """Encode the prompts of the first unit, by the writer where its tokens are ours."""
    config = run.config
    here = config.generation.engine != "openai" and not run.brings_corpus
    tokenizer = load_tokenizer(config.writer_model if here else config.model)
    cells = plan(run, kind, cells_of(run, kind))[0].cells
    prompts = first_prompts(cells, grid_of(config), ruled)
    if not is_chat(tokenizer):
        return [encode_prompt(tokenizer, prompt) for prompt in prompts]
    asked = {"system": config.writer.system, "template": config.writer.chat_template}
    try:
        return [encode_prompt(tokenizer, prompt, **asked) for prompt in prompts]
    except InvalidInput as error:
        given = [
            f"writer.{key}" for key in ("system", "chat_template") if getattr(config.writer, key)
        ]
        cure = f"Leave out {' or '.join(given)}" if given else "Take another writer"
        raise InvalidInput(f"{error}. {cure}; nothing was written.") from error


def check_lengths(run: Run) -> None:
    """Refuse a text that is longer than the subject reads; it is named by file and line."""
    settings = run.config.model
    limit = describe(settings.name, settings.revision).n_positions
    if run.config.activation.engine == "vllm":
        limit = run.config.vllm.most_tokens(limit, n_new=1)
    if limit is None:
        return
    for corpus in run.texts.corpora().values():
        if corpus.is_there:
            _check_lengths(corpus.texts, settings, limit)


def _check_lengths(texts: OwnTexts | ReferenceTexts, settings: ModelSettings, limit: int) -> None:
    for cell in texts:
        for index, passage in enumerate(texts[cell]):
            if len(passage.whole.encode()) < limit - 1:  # a token is a byte or more
                continue
            n_tokens = len(encode_text(load_tokenizer(settings), passage.whole))
            if n_tokens > limit:
                raise InvalidInput(
                    f"{texts.where(cell, index)}: expected a text of at most {limit} tokens, which "
                    f"is what {settings.name} reads, got {n_tokens}. Shorten it or split it."
                )


@functools.cache
def describe(name: str, revision: str | None) -> Architecture:
    """Return a model's sizes, looked up once; raises as `hooks.models.architecture.describe`."""
    return architecture.describe(name, revision=revision)


def load_tokenizer(settings: ModelSettings | WriterSettings) -> Any:
    """Return a model's tokenizer, loaded once; ModelError when it cannot be."""
    return _load_tokenizer(str(settings.name), settings.revision)


@functools.cache
def _load_tokenizer(name: str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    source = str(folder(name)) if is_embedded(name) else name
    try:
        return AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"could not load the tokenizer of {name!r}: {error}") from error


def check_subject(run: Run) -> None:
    """Check that the subject is known, can be loaded as asked, and has the layers asked for.

    Raises ModelError when it cannot be found or needs a missing package, InvalidInput for a device
    that is not there, and what `check_layers` raises.
    """
    settings = run.config.model
    if run.config.compute.engine == "local":  # elsewhere the workers' machines decide
        dtype = resolve_dtype(settings.dtype, resolve_device(settings.device))
        quantization_config(settings.quantize, dtype)
    check_layers(run, describe(settings.name, settings.revision).n_layers)


def check_layers(run: Run, n_layers: int) -> list[int]:
    """Return the layers that a run reads of a model of some depth.

    Raises InvalidInput when a layer asked for is out of range or none is read of those that the
    paper steers and the config asks for, DataError when the target is not read.
    """
    config = run.config
    wanted = {
        "activation.layers": config.activation.layers or [],
        "validation.sweep_layers": config.validation.sweep_layers or [],
    }
    for key, asked in wanted.items():
        for layer in asked:
            if not 0 <= layer < n_layers:
                raise InvalidInput(
                    f"{key}: layer {layer} is out of range; {config.model.name} has {n_layers} "
                    f"layers, 0 to {n_layers - 1}."
                )
    layers = config.activation.layers or list(range(n_layers))
    check_target(run, config.target_layer(n_layers), layers)
    if config.validation.paper and not papers_layers(n_layers, layers):
        steered = papers_layers(n_layers, range(n_layers))
        raise InvalidInput(
            f"validation.paper: expected layers from {steered[0]} to {steered[-1]}, the paper's, "
            f"among activation.layers, got {layers}. Add some, or leave validation.paper out."
        )
    return layers


def check_target(run: Run, target: int | None, layers: Sequence[int]) -> None:
    """Check that the target layer, or the choice of one, can be had from the layers read."""
    if target is None:
        cells = [(cell.emotion, cell.topic) for cell in run.story_cells]
        n_topics, n_shared = len({topic for _, topic in cells}), n_shared_topics(cells)
        if n_shared < MIN_TOPICS:
            raise InvalidInput(
                f"model.target_layer=held-out: expected stories of two emotions or more on each of "
                f"at least {MIN_TOPICS} topics, got {n_topics} topics, {n_shared} of them shared. "
                "Write on more topics, the same for every emotion, or set model.target_layer to a "
                "layer."
            )
    elif target not in layers:
        raise DataError(
            f"the target layer {target} is not among activation.layers {layers}; add it, or set "
            "model.target_layer to one of them."
        )
