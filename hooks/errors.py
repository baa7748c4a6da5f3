"""One root class for everything this project raises on purpose.

An error says what was expected, what came, and what to do next; the command line prints it without
a traceback. Children keep the standard base a caller would catch.
"""


class EmotionLensError(Exception):
    """Root of every error raised on purpose by `hooks` and `probes`."""


class InvalidInput(EmotionLensError, ValueError):
    """A name, setting or tensor that cannot be used; nothing was done with it."""


class ModelError(EmotionLensError, RuntimeError):
    """A model that cannot be found, loaded, or driven through the requested backend."""


class DataError(EmotionLensError, ValueError):
    """A file or tensor that is damaged, truncated, empty or not finite."""


class StaleArtifact(EmotionLensError, RuntimeError):
    """Something on disk was made by another model or under other settings."""
