"""What all panels share: the model, the emotion and layer looked at, and whose turn it is."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from hooks import EmotionLensError
from probes.texts.app.look import COSINE, Z_OF_TOKEN, Look
from probes.texts.app.microscope import Microscope, Watch
from probes.texts.app.reading import Reading
from probes.texts.app.toolkit import run, ui
from probes.texts.dialogue import Turn
from probes.vectors.neutral_tokens import NeutralTokens
from probes.vectors.zero import Zero

Answer = TypeVar("Answer")


class View:
    """One visitor's view of a model; `taking_turns` is held by whoever uses the model.

    Scores are z where there are `neutral` tokens, until the visitor wants cosines.
    """

    def __init__(
        self,
        microscope: Microscope,
        usable: Mapping[int, float],
        neutral: NeutralTokens | None = None,
    ) -> None:
        self.microscope, self.usable, self.neutral = microscope, usable, neutral
        self.as_z = neutral is not None
        self.emotions = microscope.vectors.emotions
        self.layers = microscope.vectors.layers
        self.layer = microscope.vectors.provenance.target_layer
        self.emotion = self.emotions[0]
        self.taking_turns = asyncio.Lock()

    @property
    def place(self) -> int:
        """Index of the layer on the layer axis."""
        return self.layers.index(self.layer)

    @property
    def zero(self) -> Zero | None:
        """What neutral tokens score at the layer looked at; None where the run kept none."""
        return self.neutral.at(self.layer) if self.neutral else None

    @property
    def explained(self) -> str:
        """What scores are; a run without neutral tokens has cosines alone."""
        if self.neutral is None:
            return f"{COSINE} This run kept no neutral tokens, which z-scores need."
        return f"{Z_OF_TOKEN} The run kept {self.neutral.n:,}." if self.as_z else COSINE

    def look(self, reading: Reading) -> Look:
        """Look at a reading for the emotion and layer chosen."""
        where = f"{self.microscope.model.name}, layer {self.layer}"
        emotion = self.emotions.index(self.emotion)
        zero = self.zero if self.as_z else None
        return Look(reading, self.place, emotion, self.emotions, where, zero)

    def on_page(self, show: Watch) -> Watch:
        """Return what shows a reading on the page when a thread that writes tells of it."""
        page = asyncio.get_running_loop()
        return partial(page.call_soon_threadsafe, show)

    async def in_thread(self, work: Callable[[], Answer]) -> Answer | None:
        """Do work of the model; None after an error, which is shown."""
        try:
            return await run.io_bound(work)
        except (EmotionLensError, RuntimeError) as error:  # out of memory is a RuntimeError
            ui.notify(str(error), type="negative", multi_line=True)
            return None

    def described(self, reading: Reading, turns: Sequence[Turn]) -> dict[str, Any]:
        """Return a reading at the layer looked at, as JSON takes it."""
        scores = reading.scores[self.place].tolist()
        tokens = zip(reading.tokens, reading.turn, scores, strict=True)
        return {
            "model": self.microscope.model.name,
            "fingerprint": self.microscope.model.fingerprint,
            "layer": self.layer,
            "emotions": self.emotions,
            **({} if reading.z is None else {"z": _or_none(reading.z[self.place].tolist())}),
            **self._neutral_tokens(),
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in turns],
            "tokens": [{"text": text, "turn": turn, "scores": row} for text, turn, row in tokens],
        }

    def _neutral_tokens(self) -> dict[str, Any]:
        """Return mean and sd of neutral tokens' scores, from which z is made."""
        if self.neutral is None or self.zero is None:
            return {}
        mean, sd = self.zero.mean[0].tolist(), self.zero.sd[0].tolist()
        return {"neutral_tokens": {"n": self.neutral.n, "mean": mean, "sd": sd}}


def _or_none(values: Sequence[float]) -> list[float | None]:
    """Replace NaN, which JSON cannot say."""
    return [None if math.isnan(value) else value for value in values]
