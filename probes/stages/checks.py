"""Whether the subject and its layers can be had, from a model's config, before hours of writing."""

from collections.abc import Sequence

from hooks.errors import DataError, InvalidInput
from hooks.models.architecture import describe
from hooks.models.precision import quantization_config, resolve_device, resolve_dtype
from probes.experiments.folds import MIN_TOPICS
from probes.runs.folder import Run


def check_subject(run: Run) -> None:
    """Check that the subject is known, can be loaded as asked, and has the layers asked for.

    Raises ModelError when it cannot be found or needs a missing package, InvalidInput for a device
    that is not there, and what `check_layers` raises.
    """
    settings = run.config.model
    if run.config.compute.engine == "local":  # elsewhere the workers' machines decide
        dtype = resolve_dtype(settings.dtype, resolve_device(settings.device))
        quantization_config(settings.quantize, dtype)
    check_layers(run, describe(settings.name, revision=settings.revision).n_layers)


def check_layers(run: Run, n_layers: int) -> list[int]:
    """Return the layers that a run reads of a model of some depth.

    Raises InvalidInput when a layer asked for is out of range, DataError when the target is not
    read.
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
    return layers


def check_target(run: Run, target: int | None, layers: Sequence[int]) -> None:
    """Check that the target layer, or the choice of one, can be had from the layers read."""
    if target is None:
        n_topics = len({cell.topic for cell in run.story_cells})
        if n_topics < MIN_TOPICS:
            raise InvalidInput(
                f"model.target_layer=held-out: expected stories on at least {MIN_TOPICS} topics, "
                f"got {n_topics}. Write on more topics, or set model.target_layer to a layer."
            )
    elif target not in layers:
        raise DataError(
            f"the target layer {target} is not among activation.layers {layers}; add it, or set "
            "model.target_layer to one of them."
        )
