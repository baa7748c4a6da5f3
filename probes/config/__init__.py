"""One run's settings: frozen, checked before any work; importing them does not import torch."""

from probes.config.loading import config_folder, find_config, load_config, parse_config
from probes.config.mistakes import nearest_key, valid_keys
from probes.config.sections import (
    ActivationSettings,
    Backend,
    ComputeSettings,
    EndpointSettings,
    ModelSettings,
    VllmSettings,
    Way,
    WriterSettings,
)
from probes.config.spelling import is_switch, typed
from probes.config.whole import Config

__all__ = [
    "ActivationSettings",
    "Backend",
    "ComputeSettings",
    "Config",
    "EndpointSettings",
    "ModelSettings",
    "VllmSettings",
    "Way",
    "WriterSettings",
    "config_folder",
    "find_config",
    "is_switch",
    "load_config",
    "nearest_key",
    "parse_config",
    "typed",
    "valid_keys",
]
