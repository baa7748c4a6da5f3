"""The cells of the table of ways, with what words reach in the same cells, and the curves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from pydantic import computed_field
from scipy.sparse import csr_matrix
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import SIGNIFICANT, Estimate
from probes.analysis.parallel import parallel_map
from probes.analysis.resampling import permutation_p_value
from probes.experiments import words
from probes.experiments.expression.transfer import (
    Permuted,
    ReadShare,
    Transfer,
    can_be_read,
    draw_units,
    permuted_cells,
    read_accuracy,
    read_way,
)
from probes.experiments.expression.ways import Way, number_units
from probes.runs.materials import Materials
from probes.vectors.normalize import inverse_sd

CURVES = (("said", "shown"), ("shown", "said"), ("carried", "carried"), ("said", "carried"))
SAME_WORDS = "chance, as the words are the same"
_MOST_PERMUTATIONS = 200


@dataclass(frozen=True)
class Shares:
    """How often an emotion is named right: of all, of clusters, of those of its side of valence."""

    accuracy: Estimate
    clusters: Estimate | None
    within_side: Estimate | None
    mean_rank: float


@dataclass(frozen=True, kw_only=True)
class Standardized:
    """A cell read with each dimension of the stream divided by its sd over neutral text.

    A few dimensions hold most of some models' streams, and outvote the others in a cosine. Neutral
    components stay in. What input embeddings read is divided likewise, by their sd over all texts
    of the table.
    """

    shares: Shares
    better: str
    control: Estimate
    excess: Estimate
    p: float
    n_permutations: int

    @property
    def shown(self) -> bool:
        """Whether more is read than words and permuted labels can."""
        return self.excess.above_zero and self.p < SIGNIFICANT


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """What vectors learned from one way read of another, beside words and permuted labels.

    `shares` are without neutral components, `plain` with them; `controls` are accuracies of words,
    `better` names the highest, and `excess` is the accuracy less that one in the same draws.
    `standardized` is there for the pairs of `CURVES`, where there is neutral text.
    """

    learned: str
    read: str
    n_rows: int
    n_learned: int
    n_read: int
    shares: Shares
    plain: Shares
    controls: Mapping[str, Estimate]
    better: str
    excess: Estimate
    null_mean: float
    null_upper: float
    p: float
    n_permutations: int
    standardized: Standardized | None = None

    @property
    def name(self) -> str:
        """What is learned from, and what is read."""
        return f"{self.learned} -> {self.read}"

    @property
    def accuracy(self) -> Estimate:
        """Accuracy over all emotions, without neutral components."""
        return self.shares.accuracy

    @computed_field
    @property
    def shown(self) -> bool:
        """Whether more is read than words and permuted labels can."""
        return self.excess.above_zero and self.p < SIGNIFICANT


@dataclass(frozen=True)
class Curve:
    """Accuracy of one cell at every layer."""

    learned: str
    read: str
    accuracy: Sequence[float]

    @property
    def name(self) -> str:
        """What is learned from, and what is read."""
        return f"{self.learned} -> {self.read}"


@dataclass(frozen=True)
class WayLeftOut:
    """Accuracy on one way by vectors of what shows emotions otherwise, of what says them, of both.

    This decides which vectors a run uses where nobody asks for others (`vectors.way`).
    """

    read: str
    shown: float
    said: float
    both: float


class Table:
    """What all cells share: the ways of a run, their units drawn again, what words tell."""

    def __init__(self, materials: Materials) -> None:
        settings = materials.config.validation
        self.names, self.n_emotions = list(materials.ways), len(materials.emotions)
        self.n_draws = settings.n_refits
        self.n_permutations = min(settings.n_permutations, _MOST_PERMUTATIONS)
        self.groups = EmotionGroups.of(materials.emotions)
        self._materials, self._seed = materials, materials.seed
        labels = {name: materials.way(name) for name in self.names}
        self._emotion = {name: rows.emotion for name, rows in labels.items()}
        self._unit, used = {}, []
        for name, rows in labels.items():
            numbers, self._unit[name] = rows.unit.unique(return_inverse=True)
            # A frame and a topic of the same name are not the same.
            kind = "frame" if name == "said" else "topic"
            units = materials.units(name)
            used.append([f"{kind} {units[number]}" for number in numbers])
        self.units = dict(zip(self.names, number_units(used), strict=True))
        self.here = {name: self._way(name, rows.mean) for name, rows in labels.items()}
        self._weights = draw_units(list(self.here.values()), self.n_draws, self._seed)
        basis = materials.neutral_components()
        self.n_components = len(basis)
        self.freed = {name: way.without(basis) for name, way in self.here.items()}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What can be learned from, and read, unit by unit."""
        return [
            (learned, read)
            for learned in self.names
            for read in self.names
            if can_be_read(self.here[learned], self.here[read])
        ]

    def cells(self, advance: Callable[[int], object]) -> Iterator[Crossing]:
        """Fill the table at the analyzed layer."""
        controls = self._controls()
        alike = {**controls, words.EMBEDDINGS: self._divided(controls[words.EMBEDDINGS])}
        for learned in self.names:
            source = self.freed[learned]
            permuted = self._permuted(source)
            for read in [read for each, read in self.pairs if each == learned]:
                reading = self._read(source, self.here[read], permuted)
                plain = self._read(self.here[learned], self.here[read])
                by_words = self._by_words(controls, learned, read, reading)
                yield Crossing(
                    learned=learned,
                    read=read,
                    n_rows=reading.n_rows,
                    n_learned=len(self.units[learned]),
                    n_read=len(self.units[read]),
                    plain=_shares(plain),
                    controls={name: it.estimate() for name, it in by_words.items()},
                    null_mean=float(reading.null.mean()),
                    null_upper=float(reading.null.quantile(0.95)),
                    **_beside(reading, by_words),
                    standardized=self._standardized(learned, read, alike),
                )
                advance(1)

    def curves(self, advance: Callable[[int], object]) -> list[Curve]:
        """Read some cells at every layer, without neutral components."""
        pairs = [pair for pair in CURVES if pair in self.pairs]
        needed = list(dict.fromkeys(name for pair in pairs for name in pair))

        def read(layer: int) -> list[float]:
            basis = self._materials.neutral_components(layer)
            ways = {name: self._way(name, self._materials.way(name, layer).mean) for name in needed}
            freed = {name: way.without(basis) for name, way in ways.items()}
            return [read_accuracy([freed[one]], ways[other]) for one, other in pairs]

        by_layer = parallel_map(read, self._materials.layers, advance)
        return [
            Curve(*pair, list(accuracy))
            for pair, accuracy in zip(pairs, zip(*by_layer, strict=True), strict=True)
        ]

    def left_out(self) -> list[WayLeftOut]:
        """Read each way by vectors of the others: of what shows, of what says, and of both."""
        shows: dict[str, str] = {"narrated": "voiced", "voiced": "narrated", "carried": "shown"}
        read_by = []
        for read, shown in shows.items():
            if not {read, shown, "said"} <= {*self.names}:
                continue
            accuracies = [
                read_accuracy([self.freed[name] for name in learned], self.here[read])
                for learned in ([shown], ["said"], [shown, "said"])
            ]
            read_by.append(WayLeftOut(read, *accuracies))
        return read_by

    def _standardized(
        self, learned: str, read: str, controls: Mapping[str, Mapping[str, Way]]
    ) -> Standardized | None:
        if (learned, read) not in CURVES or not self._in_spreads:
            return None
        source = self._in_spreads[learned]
        reading = self._read(source, self._in_spreads[read], self._permuted(source))
        by_words = self._by_words(controls, learned, read, reading)
        beside = _beside(reading, by_words)
        return Standardized(**beside, control=by_words[beside["better"]].estimate())

    @cached_property
    def _in_spreads(self) -> dict[str, Way]:
        """Ways in units of the spread of neutral text; none where there is no such text."""
        neutral, _ = self._materials.neutral_samples("document")
        if len(neutral) < 2:
            return {}
        scale = inverse_sd(neutral)
        needed = {name for pair in CURVES for name in pair} & {*self.names}
        rows = {name: self._materials.way(name).mean.double() for name in needed}
        return {name: self._way(name, (each * scale).float()) for name, each in rows.items()}

    def _divided(self, ways: Mapping[str, Way]) -> dict[str, Way]:
        """Divide each dimension by its spread over the rows of all ways."""
        rows = {name: way.rows for name, way in ways.items() if isinstance(way.rows, Tensor)}
        if not rows:
            return {}
        scale = inverse_sd(torch.cat([*rows.values()]))
        return {name: self._way(name, (each * scale).float()) for name, each in rows.items()}

    def _permuted(self, learned: Way) -> Permuted:
        cells = permuted_cells(learned.present, self.n_permutations, self._seed)
        return Permuted(learned, cells)

    def _read(self, learned: Way, read: Way, permuted: Permuted | None = None) -> Transfer:
        return read_way(learned, read, self._weights, self.groups, permuted)

    def _by_words(
        self, controls: Mapping[str, Mapping[str, Way]], learned: str, read: str, reading: Transfer
    ) -> dict[str, ReadShare]:
        """Return what each reader of words names of the same texts in the same draws."""
        by_words = {
            name: self._read(ways[learned], ways[read]).accuracy
            for name, ways in controls.items()
            if learned in ways and read in ways
        }
        if not by_words:
            by_words = {SAME_WORDS: reading.accuracy.all_at(1 / self.n_emotions)}
        return by_words

    def _way(self, name: str, rows: Tensor | csr_matrix) -> Way:
        emotion, unit, units = self._emotion[name], self._unit[name], self.units[name]
        return Way.of(rows, emotion, unit, units, self.n_emotions)

    def _controls(self) -> dict[str, dict[str, Way]]:
        """Give the texts of every way that tells something to readers of words."""
        texts = {name: self._materials.way_texts(name) for name in self.names}
        telling = {
            name: each
            for name, each in texts.items()
            if not words.tell_nothing(each, self._unit[name].tolist())
        }
        every = list(dict.fromkeys(text for each in telling.values() for text in each))
        number = {text: index for index, text in enumerate(every)}
        embedded = words.rare_embeddings(self._materials.subject(), every)
        counted = words.shared_words(every)
        index = {name: torch.tensor([number[text] for text in it]) for name, it in telling.items()}
        return {
            words.WORD_COUNTS: {
                name: self._way(name, counted[at.numpy()]) for name, at in index.items()
            },
            words.EMBEDDINGS: {name: self._way(name, embedded[at]) for name, at in index.items()},
        }


def _beside(reading: Transfer, by_words: Mapping[str, ReadShare]) -> dict[str, Any]:
    """Set what is named beside the better reader of words, and beside permuted labels."""
    better = max(by_words, key=lambda name: by_words[name].value)
    return {
        "shares": _shares(reading),
        "better": better,
        "excess": reading.accuracy.less(by_words[better]),
        "p": permutation_p_value(reading.accuracy.value, reading.null, "greater"),
        "n_permutations": len(reading.null),
    }


def _shares(reading: Transfer) -> Shares:
    return Shares(
        reading.accuracy.estimate(),
        reading.clusters and reading.clusters.estimate(),
        reading.within_side and reading.within_side.estimate(),
        reading.mean_rank,
    )
