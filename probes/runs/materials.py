"""What an experiment may use: a run's vectors, activations, texts and models.

Activations are read layer by layer: the target layer is kept, and the one that each thread read
last, so experiments that visit each layer once read each once, in the memory of two layers. Neutral
components of all neutral text are fitted once per layer and kept.

Contract: computes nothing but selection, sums and neutral components. Layers are the model's own
numbers, not positions on the axis of what was kept.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hooks import DataError, InvalidInput, LanguageModel
from probes.config import Config
from probes.corpus.cells import Passage, read_corpus
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.runs.ways import CARRIED, SAID, KeptRows, PlacedText, WayRows, Ways
from probes.stimuli import steered_of
from probes.storage import read_object
from probes.vectors.activations import INDEX, Kind, Part, load_layer, load_rows, shard_paths
from probes.vectors.denoising import CellSums
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.neutral import NeutralComponents, neutral_components

_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class StoryRows:
    """What every row of the stories' activations is; the same at all layers.

    `emotion` and `topic` are indices in `Materials.emotions` and `topics`; `index` is the story's
    in its cell, -1 where a row is the mean of a cell's stories; `n_tokens` and `n_texts` are how
    many a row is the mean of.
    """

    emotion: Int[Tensor, "row"]
    topic: Int[Tensor, "row"]
    index: Int[Tensor, "row"]
    n_tokens: Int[Tensor, "row"]
    n_texts: Int[Tensor, "row"]


@dataclass(frozen=True, kw_only=True)
class Stories(StoryRows):
    """Pooled activations of a run's stories at one layer: the mean over each row's tokens."""

    mean: Float[Tensor, "row d_model"]


class Materials:
    """Everything an extraction offers to an experiment."""

    def __init__(
        self,
        run: Run,
        models: Models,
        reporter: Reporter,
        *,
        index: dict[str, Any] | None = None,
        single: bool = False,
    ) -> None:
        """Open a run; `index` is what has been read so far, where the extraction goes on.

        `single` reads stories one by one where cells are kept beside them (see `by_story`).
        """
        if index is not None:
            self.index = index
        self._stories_are: Kind = "single" if single else "stories"
        self.run = run
        self.models = models
        self.reporter = reporter
        self._shards = cache(self._check_shards)
        self._rows = cache(lambda kind: [load_rows(path) for path in self._shards(kind)])
        self._by_layer: dict[int, dict[Any, Any]] = {}
        self._last_of: dict[int, int] = {}
        self._lock = threading.RLock()
        self._components: dict[int, NeutralComponents] = {}

    @property
    def config(self) -> Config:
        """The run's settings."""
        return self.run.config

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.config.seed

    @cached_property
    def vectors(self) -> EmotionVectors:
        """The run's emotion vectors."""
        return EmotionVectors.load(self.run.root)

    @property
    def layer(self) -> int:
        """The target layer."""
        return self.vectors.provenance.target_layer

    @property
    def emotions(self) -> list[str]:
        """Emotions in the order of the vectors."""
        return list(self.run.emotions)

    def steered_emotions(self, *also: str) -> list[str]:
        """Return the emotions that are steered with, in the same order (`stimuli.steered_of`).

        `also` names what an experiment steers with besides, unless the setting says which.
        """
        return steered_of(self.emotions, self.config.validation.steered_emotions, also)

    @cached_property
    def topics(self) -> list[str]:
        """Topics in the order of the corpus."""
        return list(dict.fromkeys(cell.topic for cell in self.run.story_cells))

    @cached_property
    def index(self) -> dict[str, Any]:
        """What the extraction recorded: model, layers, dtype, counts."""
        return read_object(self.run.root / INDEX)

    @property
    def layers(self) -> list[int]:
        """Layers of the model at which the activations of stories were kept."""
        return self._layers_of(self._stories_are)

    def _layers_of(self, kind: Kind) -> list[int]:
        return self.index["single"]["layers"] if kind == "single" else self.index["layers"]

    @property
    def per_cell(self) -> bool:
        """Whether a row is the mean of a cell's stories."""
        return self.index["per_cell"] and self._stories_are == "stories"

    @cached_property
    def by_story(self) -> "Materials":
        """The same with a row per story: itself, or the few layers where they are kept as well.

        Itself, too, where the target layer is not among them: see `per_cell`.
        """
        kept = self.index.get("single") if self.per_cell else None
        if kept is None or self.layer not in kept["layers"]:
            return self
        return Materials(self.run, self.models, self.reporter, index=self.index, single=True)

    @property
    def batch_tokens(self) -> int | None:
        """Padded tokens of a pass, as the run's texts were read: another size rounds otherwise."""
        record = self.run.record("extract-activations")
        return self.config.activation.batch_tokens or (record and record.batch_tokens)

    def subject(self) -> LanguageModel:
        """Return the model under study, checked to be the one the vectors were made from."""
        model = self.models.subject()
        self.vectors.check_model(model)
        return model

    @cached_property
    def d_model(self) -> int:
        """Width of the residual stream."""
        [first, *_] = self._shards("stories" if "stories" in self.index else "said")
        return load_layer(first, "mean", 0).shape[1]

    @cached_property
    def rows(self) -> StoryRows:
        """What every row of the stories' activations is; DataError where there are none."""
        emotions = {name: number for number, name in enumerate(self.emotions)}
        topics = {name: number for number, name in enumerate(self.topics)}
        rows = [row for shard in self._rows("stories") for row in shard.rows]
        return StoryRows(
            emotion=torch.tensor([emotions[row.emotion or ""] for row in rows]),
            topic=torch.tensor([topics[row.topic] for row in rows]),
            index=torch.tensor([-1 if row.index is None else row.index for row in rows]),
            n_tokens=torch.cat([shard.n_tokens for shard in self._rows("stories")]),
            n_texts=torch.cat([shard.n_texts for shard in self._rows("stories")]),
        )

    def stories(self, layer: int | None = None) -> Stories:
        """Return every story's activation at one layer; None is the target layer."""
        return Stories(**vars(self.rows), mean=self._activations("stories", "mean", layer))

    @cached_property
    def _ways(self) -> Ways:
        kept = KeptRows(self._rows, self._activations)
        return Ways(self.run, kept, self.emotions, self.topics)

    @property
    def ways(self) -> list[str]:
        """Ways of expressing an emotion that the run's texts have, in the order of `WAYS`."""
        return self._ways.names

    def units(self, way: str) -> list[str]:
        """Return the names of the topics, or of the frames, that a way's texts stand in."""
        return self._ways.units(way)

    def way(self, way: str, layer: int | None = None) -> WayRows:
        """Return the activations of all texts of a way at one layer; None is the target layer."""
        return self._ways.rows(way, self.layer if layer is None else layer)

    def placed_texts(self, way: str) -> list[PlacedText]:
        """Return the text of every row of a way, in their order, and what stands around it."""
        return self._ways.texts(way)

    def way_texts(self, way: str) -> list[str]:
        """Return what each row of a way is read on: of a frame, from its phrase on."""
        read = {SAID: ("text", "closing"), CARRIED: ("closing",)}.get(way, ("text",))
        return [
            " ".join(filter(None, (getattr(text, piece) for piece in read)))
            for text in self.placed_texts(way)
        ]

    def matched(self, layer: int | None = None) -> Float[Tensor, "row d_model"]:
        """Return what is read on neutral texts in the places of stories, at one layer."""
        return self._activations("matched", "mean", layer)

    @property
    def has_matched(self) -> bool:
        """Whether there are neutral texts in the places of stories."""
        return "matched" in self.index

    def texts(self, stories: StoryRows) -> list[str]:
        """Return each row's own text; DataError when rows are means of cells."""
        return [passage.text for passage in self.passages(stories)]

    def passages(self, stories: StoryRows) -> list[Passage]:
        """Return the text of every row in its place; raises as `texts`."""
        if (stories.index < 0).any():
            raise DataError(
                "activations were kept per cell, not per story; set activation.keep=story and "
                "extract again."
            )
        known = {
            (text.emotion, text.topic, text.index): text.passage
            for text in read_corpus(self.run.root, self.run.story_cells)
        }
        keys = zip(
            stories.emotion.tolist(), stories.topic.tolist(), stories.index.tolist(), strict=True
        )
        return [known[self.emotions[e], self.topics[t], index] for e, t, index in keys]

    def neutral_samples(
        self, kind: Literal["document", "token"], layer: int | None = None
    ) -> tuple[Float[Tensor, "sample d_model"], list[str]]:
        """Return neutral samples at one layer, and the topic of each."""
        per_text = self.config.activation.neutral_tokens_per_text
        topics = []
        for shard in self._rows("neutral"):
            for row, n_tokens in zip(shard.rows, shard.n_tokens.tolist(), strict=True):
                topics += [row.topic] * (min(per_text, n_tokens) if kind == "token" else 1)
        return self._activations("neutral", "tokens" if kind == "token" else "mean", layer), topics

    def neutral_components(
        self, layer: int | None = None, *, without: Collection[str] = ()
    ) -> Float[Tensor, "component d_model"]:
        """Return the components of neutral text at one layer that vectors are freed of, in float64.

        `without` names topics whose neutral text is left out; without any it is what was removed
        from the run's vectors. Raises DataError with fewer than two neutral samples.
        """
        layer = self.layer if layer is None else layer
        left_out = self._neutral_topics & {*without}
        if not left_out:
            return self._whole_components(layer).directions
        key = ("components", left_out)
        return self._once(layer, key, lambda: self._fit_components(layer, left_out)).directions

    @cached_property
    def _neutral_topics(self) -> frozenset[str]:
        return frozenset(row.topic for shard in self._rows("neutral") for row in shard.rows)

    def neutral_share(self, layer: int) -> float:
        """Return the share of neutral variance that the components of one layer hold."""
        return float(self._whole_components(layer).explained_variance_ratio.sum())

    def _whole_components(self, layer: int) -> NeutralComponents:
        if layer not in self._components:
            self._components[layer] = self._fit_components(layer, ())
        return self._components[layer]

    def _fit_components(self, layer: int, without: Collection[str]) -> NeutralComponents:
        settings = self.config.vectors
        if settings.neutral_pca == "none":
            return NeutralComponents(torch.zeros(0, self.d_model).double(), torch.zeros(0).double())
        samples, topics = self.neutral_samples(settings.neutral_pca, layer)
        if len(samples) < 2:
            raise DataError(
                f"expected at least two neutral {settings.neutral_pca} samples after the first "
                f"{self.config.activation.token_offset} tokens, got {len(samples)}. Write more or "
                "longer neutral text, lower activation.token_offset, or set "
                "vectors.neutral_pca=none."
            )
        chosen = samples_without(samples, topics, without)
        try:
            return neutral_components(chosen, settings.pca_variance_threshold)
        except DataError as error:
            raise DataError(f"neutral text at layer {layer}: {error}") from error

    def cell_sums(self, layer: int | None = None) -> CellSums:
        """Return sums and story counts of every cell at one layer, in float64."""
        stories = self.stories(layer)
        shape = len(self.topics), len(self.emotions)
        cell = stories.topic, stories.emotion
        return CellSums.of(stories.mean.double(), cell, stories.n_texts, shape)

    def _stored(self, kind: Kind) -> Kind:
        return self._stories_are if kind == "stories" else kind

    def _check_shards(self, kind: Kind) -> list[Path]:
        stored = self._stored(kind)
        paths = list(shard_paths(self.run.root, stored, self.index)) if stored in self.index else []
        if kind == "stories" and not paths:
            raise DataError("no activations of stories; run extract-activations again.")
        return paths

    def _activations(
        self, kind: Kind, name: Part, layer: int | None
    ) -> Float[Tensor, "row d_model"]:
        layer, layers = self.layer if layer is None else layer, self._layers_of(self._stored(kind))
        if layer not in layers:
            raise InvalidInput(f"no activations at layer {layer}; expected one of {layers}.")
        position = layers.index(layer)

        def read() -> Tensor:
            parts = [load_layer(path, name, position) for path in self._shards(kind)]
            return torch.cat(parts) if parts else torch.zeros(0, self.d_model)

        return self._once(layer, (kind, name), read)

    def _once(self, layer: int, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """Make what belongs to a layer; it is kept at the target layer and each thread's last."""
        with self._lock:
            self._last_of[threading.get_ident()] = layer
            if layer not in self._by_layer:
                alive = {thread.ident for thread in threading.enumerate()}
                self._last_of = {who: its for who, its in self._last_of.items() if who in alive}
                # While vectors are being made there is no target layer yet.
                target = {self.layer} if "vectors" in vars(self) else set()
                in_use = target.union(self._last_of.values())
                kept = {its: made for its, made in self._by_layer.items() if its in in_use}
                self._by_layer = kept
            made = self._by_layer.setdefault(layer, {})
        if key not in made:
            made[key] = make()
        return made[key]


def samples_without(
    samples: Float[Tensor, "sample d_model"], topics: Sequence[str], held_out: Collection[str]
) -> Float[Tensor, "_chosen d_model"]:
    """Select the samples on other topics than those held out; all where fewer than two are left.

    Neutral text knows no emotion: what leaks through it is little, and removing nothing would
    change more.
    """
    chosen = torch.tensor([topic not in held_out for topic in topics], dtype=torch.bool)
    return samples[chosen] if chosen.sum() >= 2 else samples
