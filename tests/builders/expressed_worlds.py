"""Made-up materials in which what each way of expressing an emotion holds is known."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from hooks import LanguageModel
from probes.runs.materials import Materials
from probes.runs.reporting import Silent

WAYS = ["said", "narrated", "voiced", "shown", "carried"]
EMOTIONS = [
    "angry", "afraid", "sad", "lonely", "guilty", "bored",
    "happy", "proud", "calm", "grateful", "hopeful", "amused",
]  # fmt: skip


_LOUD = 5


class World(Materials):
    """Frames that say emotions, and stories that show them and carry them over, at two layers.

    A row is its emotion's direction in its way, its unit's, its own cell's and noise; at layer 0
    the first of these is missing. Directions of two ways have the cosine `alike`. One dimension is
    `loud` in all text, whatever it says.
    """

    def __init__(
        self,
        model: Callable[[], LanguageModel] | None = None,
        *,
        emotions: Sequence[str] = EMOTIONS,
        alike: float = 1.0,
        shuffled: bool = False,
        noise: float = 0.5,
        n_frames: int = 6,
        n_topics: int = 8,
        d_model: int = 48,
        n_neutral: int = 200,
        loud: float = 0.0,
        layers: Sequence[int] = (0, 1),
        ways: Sequence[str] = WAYS,
        seed: int = 0,
        **validation: int,
    ) -> None:
        self.reporter = Silent()
        self._model, self._emotions, self._layers, self._ways = model, emotions, layers, ways
        self._frames = [f"frame {n}" for n in range(n_frames)]
        self._topics = [f"topic {n}" for n in range(n_topics)]
        self._settings = {"n_refits": 40, "n_permutations": 60, **validation}
        self._generator = torch.Generator().manual_seed(seed)
        shape = len(emotions), d_model
        common = self._draw(*shape)
        # Of what two ways have in common, the square is their cosine.
        own = {name: self._draw(*shape) for name in ("said", "shown", "carried")}
        mixed = {
            name: alike**0.5 * common + (1 - alike) ** 0.5 * each for name, each in own.items()
        }
        self._rows = {
            (name, layer): self._made(mixed[name] * (layer > 0), units, noise, shuffled)
            for layer in layers
            for name, units in (
                ("said", n_frames), ("shown", n_topics), ("carried", n_topics)
            )
        }  # fmt: skip

        self._neutral = self._draw(n_neutral, d_model)
        for text in (self._neutral, *self._rows.values()):
            text[:, _LOUD] += loud * self._draw(len(text))

    def _draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)

    def _made(self, own: Tensor, n_units: int, noise: float, shuffled: bool) -> Tensor:
        n_emotions, d_model = own.shape
        rows = own.repeat(n_units, 1, 1)
        if shuffled:
            keys = torch.rand(n_units, n_emotions, generator=self._generator)
            rows = torch.stack([each[key.argsort()] for each, key in zip(rows, keys, strict=True)])
        rows = rows + 2 * self._draw(n_units, 1, d_model) + noise * self._draw(*rows.shape)
        return rows.flatten(0, 1)

    @property
    def config(self) -> Any:
        settings = {"steered_emotions": None, **self._settings}
        return SimpleNamespace(validation=SimpleNamespace(**settings))

    @property
    def seed(self) -> int:
        return 0

    @property
    def index(self) -> dict[str, Any]:
        return {"model": "made-up", "layers": self.layers}

    @property
    def layers(self) -> list[int]:
        return list(self._layers)

    @property
    def layer(self) -> int:
        return self._layers[-1]

    @property
    def emotions(self) -> list[str]:
        return list(self._emotions)

    @property
    def ways(self) -> list[str]:
        return list(self._ways)

    @property
    def vectors(self) -> Any:
        norm = torch.full((len(self._layers),), 10.0)
        return SimpleNamespace(residual_norm=norm, layer_index=self.layers.index)

    def units(self, way: str) -> list[str]:
        return self._frames if way == "said" else self._topics

    def way(self, way: str, layer: int | None = None) -> Any:
        kind = way if way in ("said", "carried") else "shown"
        mean = self._rows[kind, self.layer if layer is None else layer]
        n_units, n_emotions = len(self.units(way)), len(self.emotions)
        unit = torch.arange(n_units).repeat_interleave(n_emotions)
        chosen = self._chosen(way, unit)
        emotion = torch.arange(n_emotions).repeat(n_units)
        return SimpleNamespace(emotion=emotion[chosen], unit=unit[chosen], mean=mean[chosen])

    @staticmethod
    def _chosen(way: str, unit: Tensor) -> Tensor:
        if way not in ("narrated", "voiced"):
            return torch.ones_like(unit, dtype=torch.bool)
        return unit % 2 == ["narrated", "voiced"].index(way)

    def way_texts(self, way: str) -> list[str]:
        """Every emotion has a word of its own in stories, and another in frames."""
        rows = self.way(way)
        texts = []
        for emotion, unit in zip(rows.emotion.tolist(), rows.unit.tolist(), strict=True):
            name, where = self.emotions[emotion], _spelled(unit)
            if way == "said":
                texts.append(f"{name} in the {where} room")
            elif way == "carried":
                texts.append(f"the {where} van drove on")
            else:
                texts.append(f"{_spelled(emotion)}sign {_spelled(emotion)}mark on {where} day")
        return texts

    def neutral_samples(self, kind: Any, layer: int | None = None) -> tuple[Tensor, list[str]]:
        assert kind == "document"
        return self._neutral, ["a topic"] * len(self._neutral)

    def subject(self) -> LanguageModel:
        assert self._model is not None
        return self._model()

    def neutral_components(self, layer: int | None = None, *, without: Any = ()) -> Tensor:
        width = self.way("said", layer).mean.shape[1]
        return torch.eye(width, dtype=torch.float64)[:1]


def _spelled(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number)) + "o"
