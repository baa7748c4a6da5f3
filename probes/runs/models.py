"""The two models of a run, loaded when first needed and at most once; imports no torch."""

from typing import TYPE_CHECKING

from probes.config import Backend, Config, ModelSettings, WriterSettings

if TYPE_CHECKING:
    from hooks import LanguageModel


class Models:
    """Writer and subject of a run."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._writer: LanguageModel | None = None
        self._subject: LanguageModel | None = None

    def writer(self) -> "LanguageModel":
        """Return the model that writes; the subject itself when the config names no writer."""
        if self._config.writer.name is None:
            return self.subject()
        if self._writer is None:
            self._writer = load(self._config.writer_model, "huggingface")
        return self._writer

    def subject(self) -> "LanguageModel":
        """Return the model under study."""
        if self._subject is None:
            self._writer = None  # two large models rarely fit one device
            settings = self._config.model
            self._subject = load(settings, settings.backend)
        return self._subject


def load(settings: ModelSettings | WriterSettings, backend: Backend) -> "LanguageModel":
    """Load a model as some settings say."""
    import hooks

    return hooks.load(
        settings.name,
        backend=backend,
        dtype=settings.dtype,
        device=settings.device,
        device_map=settings.device_map,
        quantize=settings.quantize,
        revision=settings.revision,
    )
