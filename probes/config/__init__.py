"""One run's settings: frozen, checked before any work, refused when a key is unknown."""

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
