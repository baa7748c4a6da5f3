"""One run's settings, whole: its sections, and what follows from them."""

from typing import Any

from pydantic import Field

from hooks.errors import InvalidInput
from probes.config import sections
from probes.config.sections import Section, WriterSettings
from probes.stimuli import emotions, topics


class Config(Section):
    """All settings of a run."""

    model: sections.ModelSettings
    writer: WriterSettings = WriterSettings()
    generation: sections.GenerationSettings = sections.GenerationSettings()
    endpoint: sections.EndpointSettings = sections.EndpointSettings()
    compute: sections.ComputeSettings = sections.ComputeSettings()
    vllm: sections.VllmSettings = sections.VllmSettings()
    neutral: sections.NeutralSettings = sections.NeutralSettings()
    corpus: sections.CorpusSettings = sections.CorpusSettings()
    activation: sections.ActivationSettings = sections.ActivationSettings()
    vectors: sections.VectorSettings = sections.VectorSettings()
    analysis: sections.AnalysisSettings = sections.AnalysisSettings()
    logit_lens: sections.LogitLensSettings = sections.LogitLensSettings()
    validation: sections.ValidationSettings = sections.ValidationSettings()
    output_dir: str = Field(min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**32)  # more is not a seed to scikit-learn

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotion concepts of this run."""
        return _subset(emotions(), self.generation.emotions_subset)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of this run."""
        return _subset(topics(), self.generation.topics_subset)

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide the numbers, not where and how fast."""
        elsewhere = {"output_dir", "corpus", "compute", "endpoint", "vllm"}
        values = self.model_dump(mode="json", exclude=elsewhere)
        values["generation"] = self.deciding_generation()
        values["activation"] = self.deciding_activation()
        if not self.writer.chat_template:
            del values["writer"]["chat_template"]  # as it was before there was any
        values["validation"] = self.deciding_validation()
        return values

    def deciding_generation(self) -> dict[str, Any]:
        """Return the settings of `generation` that decide its texts."""
        values = self.generation.model_dump(
            mode="json", exclude={"base_urls", "api_key_env", "served_as"}
        )
        if not self.generation.extra_body:
            del values["extra_body"]  # as it was before there was any
        if self.generation.engine == "local":
            del values["engine"]  # as it was before there was another
        elif self.generation.engine == "vllm":
            values |= self.vllm.deciding
        else:
            values |= {"api": self.endpoint.api, "send_top_k": self.endpoint.send_top_k}
            if not self.endpoint.send_seed:
                values["send_seed"] = False
        return values

    def deciding_activation(self) -> dict[str, Any]:
        """Return the settings of `activation` that decide what is read, and vLLM's where it is."""
        values = self.activation.model_dump(mode="json")
        if self.activation.engine == "local":
            del values["engine"]  # as it was before there was another
        else:
            values |= self.vllm.deciding
        return values

    def deciding_validation(self) -> dict[str, Any]:
        """Return the settings of `validation` that decide its results: who judges, not where."""
        values = self.validation.model_dump(mode="json", exclude={"judge_base_url", "api_key_env"})
        if self.validation.judge_base_url is None:
            values["judge_model"] = None
        return values

    def n_gpus(self, engine: str) -> float:
        """Return how many GPUs share the memory of a model that an engine loads, at least 1."""
        n_gpus = self.vllm.n_gpus if engine == "vllm" else self.compute.gpus_per_worker
        return max(1.0, float(n_gpus))

    @property
    def writer_model(self) -> WriterSettings:
        """The writer's settings with the name filled in."""
        if self.writer.name is not None:
            return self.writer
        shared = ("revision", "dtype", "device", "device_map", "quantize")
        values = {key: getattr(self.model, key) for key in shared}
        asked = {key: getattr(self.writer, key) for key in ("system", "chat_template")}
        return WriterSettings(name=self.model.name, **asked, **values)

    def target_layer(self, n_layers: int) -> int | None:
        """Return the layer that the analyses look at; None when it is chosen on held-out topics."""
        layer = self.model.target_layer
        if layer == "held-out":
            return None
        if layer is None:
            return default_target_layer(n_layers)
        if layer >= n_layers:
            raise InvalidInput(
                f"model.target_layer: layer {layer} is out of range; {self.model.name} has "
                f"{n_layers} layers, 0 to {n_layers - 1}."
            )
        return layer


def default_target_layer(n_layers: int) -> int:
    """Return the layer two thirds of the way through the model."""
    return min(round(n_layers * 2 / 3), n_layers - 1)


def _subset(everything: tuple[str, ...], subset: int | list[str] | None) -> tuple[str, ...]:
    if subset is None:
        return everything
    return everything[:subset] if isinstance(subset, int) else tuple(subset)
