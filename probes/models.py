"""The two models of a run, loaded when first needed and at most once.

Contract: importing this module does not import torch.
"""

from typing import TYPE_CHECKING

from probes.config import Config

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
            import hooks

            settings = self._config.writer_model
            self._writer = hooks.load(
                settings.name,
                backend="huggingface",
                dtype=settings.dtype,
                device=settings.device,
                device_map=settings.device_map,
                quantize=settings.quantize,
                revision=settings.revision,
            )
        return self._writer

    def subject(self) -> "LanguageModel":
        """Return the model under study."""
        if self._subject is None:
            import hooks

            self._writer = None  # two large models rarely fit one device
            settings = self._config.model
            self._subject = hooks.load(
                settings.name,
                backend=settings.backend,
                dtype=settings.dtype,
                device=settings.device,
                device_map=settings.device_map,
                quantize=settings.quantize,
                revision=settings.revision,
            )
        return self._subject
