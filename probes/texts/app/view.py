"""What all panels share: the model, the emotion and layer looked at, and whose turn it is."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hooks import EmotionLensError
from probes.texts.app.microscope import Microscope, Reading
from probes.texts.app.pictures import Look
from probes.texts.app.toolkit import run, ui
from probes.texts.dialogue import Turn

Answer = TypeVar("Answer")


class View:
    """One visitor's view of a model; `taking_turns` is held by whoever uses the model."""

    def __init__(self, microscope: Microscope, usable: Mapping[int, float]) -> None:
        self.microscope, self.usable = microscope, usable
        self.emotions = microscope.vectors.emotions
        self.layers = microscope.vectors.layers
        self.layer = microscope.vectors.provenance.target_layer
        self.emotion = self.emotions[0]
        self.taking_turns = asyncio.Lock()

    @property
    def place(self) -> int:
        """Index of the layer on the layer axis."""
        return self.layers.index(self.layer)

    def look(self, reading: Reading) -> Look:
        """Look at a reading for the emotion and layer chosen."""
        where = f"{self.microscope.model.name}, layer {self.layer}"
        emotion = self.emotions.index(self.emotion)
        return Look(reading, self.place, emotion, self.emotions, where)

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
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in turns],
            "tokens": [{"text": text, "turn": turn, "scores": row} for text, turn, row in tokens],
        }


def _or_none(values: Sequence[float]) -> list[float | None]:
    """Replace NaN, which JSON cannot say."""
    return [None if math.isnan(value) else value for value in values]
