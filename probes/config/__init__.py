"""One run's settings: frozen, checked before any work, refused when a key is unknown.

Contract
--------
* `load_config` reads a YAML file (a path, or the name of a file in `configs/`), applies overrides
  such as ``{"model.name": "gpt2"}``, and returns a `Config`.
* An unknown key is refused with the nearest valid one; a wrong type with what was expected.
* Nothing here touches a model; importing this package does not import torch.
"""

from probes.config.loading import config_folder, find_config, load_config, parse_config
from probes.config.mistakes import nearest_key, valid_keys
from probes.config.sections import (
    ActivationSettings,
    AnalysisSettings,
    Backend,
    ComputeSettings,
    CorpusSettings,
    Dtype,
    EndpointSettings,
    GenerationSettings,
    LogitLensSettings,
    ModelSettings,
    NeutralSettings,
    Quantize,
    Section,
    ValidationSettings,
    VectorSettings,
    WriterSettings,
)
from probes.config.whole import Config

__all__ = [
    "ActivationSettings",
    "AnalysisSettings",
    "Backend",
    "ComputeSettings",
    "Config",
    "CorpusSettings",
    "Dtype",
    "EndpointSettings",
    "GenerationSettings",
    "LogitLensSettings",
    "ModelSettings",
    "NeutralSettings",
    "Quantize",
    "Section",
    "ValidationSettings",
    "VectorSettings",
    "WriterSettings",
    "config_folder",
    "find_config",
    "load_config",
    "nearest_key",
    "parse_config",
    "valid_keys",
]
