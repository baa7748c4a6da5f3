"""Implicit scenarios: does a message that implies an emotion, and never names it, point to it.

Two batteries of first-person messages, four for each of twelve emotions, are read where the reply
would begin; the second was held out: nothing was chosen by looking at it. Cosines with the
emotions' vectors at the target layer, as they are and after subtracting the mean of the battery's
messages (centered), are judged by `scenario_matrix`. Beside them stand vectors of shuffled labels,
vectors and messages without the plane of valence and arousal, readers of the messages' words, and
six messages that imply nothing. Messages whose emotion the run has no vector of are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, RunNumber
from probes.analysis.intervals import mean_over
from probes.analysis.rating_plane import rating_plane
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines, read_messages, where_read
from probes.experiments.messages.scenario_matrix import Battery, judge, mean_place, places
from probes.experiments.messages.worded_messages import read_by_words
from probes.experiments.steering.controls import shuffled_vectors
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials
from probes.stimuli import scenarios
from probes.vectors.denoising import project_out

PLEASANT = ("happy", "inspired", "loving", "proud", "calm")
UNPLEASANT = ("desperate", "angry", "guilty", "sad", "afraid", "nervous")
SIDES = {**dict.fromkeys(PLEASANT, 1), **dict.fromkeys(UNPLEASANT, -1)}
BATTERIES = ("first", "held-out")
_N_EMOTIONS = 12
_READINGS = {
    "centered": "the mean of its battery is subtracted",
    "uncentered": "nothing is subtracted, so an emotion that all messages are close to has a "
    "column of its own color",
}


@dataclass(frozen=True, kw_only=True)
class JudgedBattery(Battery):
    """A battery read in one way: its cosines [message][emotion of the run], those of neutral ones.

    `shuffled_contrast` is that of vectors from stories with shuffled labels, where there are any.
    """

    matrix: list[list[float]]
    neutral: list[list[float]]
    shuffled_contrast: float | None = None


@dataclass(frozen=True)
class Places:
    """Mean place of a battery's messages by the model and by words; `gain` over the better."""

    model: Estimate
    words: Mapping[str, Estimate]
    better: str
    gain: Estimate


@dataclass(frozen=True)
class BatteryReadings:
    """The emotion that each message of a battery implies, both readings, and what stands beside.

    `beyond` is the centered reading without the plane of valence and arousal, where emotions are
    rated.
    """

    emotions: list[str]
    uncentered: JudgedBattery
    centered: JudgedBattery
    places: Places
    beyond: Battery | None


@dataclass(frozen=True)
class Scenarios(Result):
    """What the messages point to; `read` says where, `left_out` names emotions without a vector."""

    model: str
    layer: int
    read: str
    emotions: list[str]
    left_out: list[str]
    batteries: Mapping[str, BatteryReadings]

    def findings(self) -> list[Finding]:
        """Say how far the implied emotion stands out, in the held-out messages first."""
        findings = []
        for name in reversed(BATTERIES):
            findings += [self._finding(name), *self._beyond(name)]
        return findings

    def _finding(self, name: str) -> Finding:
        readings = self.batteries[name]
        battery, place = readings.centered, readings.places
        within = battery.p_within
        shown = battery.p < SIGNIFICANT and battery.contrast.above_zero
        more = (within is None or within < SIGNIFICANT) and place.gain.above_zero
        verdict = "shown" if shown and more else "shown in part" if shown else "not shown"
        shuffled = battery.shuffled_contrast
        beside = "" if shuffled is None else f"; vectors of shuffled labels {shuffled:+.3f}"
        return Finding(
            f"implicit scenarios, {name}",
            battery.contrast,
            verdict if name == "held-out" else "described",
            spec="+.3f",
            unit="centered cosine above the other emotions",
            n=f"{battery.n} messages of {len(battery.by_emotion)} emotions",
            control=Control(
                f"{place.better}, by place among the emotions ({place.model:.2f} by the model)",
                place.words[place.better],
                place.gain,
            ),
            p=battery.p,
            n_null=N_PERMUTATIONS,
            note=f"{_within(battery)}rank {battery.mean_rank.value:.1f} of {len(self.emotions)} "
            f"(chance {battery.chance_rank:.1f}){beside}",
            margins=[battery.contrast, place.gain],
            rule="How much nearer messages lie to the vector of the emotion that they imply than "
            "to the others'. Called shown when the interval over emotions lies above zero and "
            "p < .05, also when pleasant and unpleasant emotions are not mixed, and the own "
            "emotion has a better place among the others than by the better of word counts and "
            "input embeddings; else in part.",
        )

    def _beyond(self, name: str) -> list[Finding]:
        """Say what is left without valence and arousal, and of how many emotions by themselves."""
        battery = self.batteries[name].beyond
        if battery is None:
            return []
        n = sum(it.q < SIGNIFICANT for it in battery.by_emotion.values())
        n_vectors = len(self.emotions)
        alone = f"{n} of {len(battery.by_emotion)} emotions by themselves (q < .05)"
        if 1 / n_vectors >= SIGNIFICANT:  # the least that being nearest of all can give
            alone = f"{n_vectors} vectors are too few to tell emotions one by one"
        return [
            Finding(
                f"implicit scenarios, {name}, beyond valence and arousal",
                battery.contrast,
                "shown" if battery.p < SIGNIFICANT and battery.contrast.above_zero else "not shown",
                spec="+.3f",
                unit="centered cosine above the other emotions",
                n=f"{battery.n} messages",
                p=battery.p,
                n_null=N_PERMUTATIONS,
                note=f"{_within(battery)}{alone}",
                margins=[battery.contrast],
                rule="The same with what follows people's ratings of valence and arousal taken out "
                "of vectors and messages.",
            )
        ]

    def paragraph(self) -> str:
        """Tell what was read, and whether it is more than pleasant against unpleasant."""
        held = self.batteries["held-out"]
        battery, place, n = held.centered, held.places, len(held.centered.by_emotion)
        by_words = ", ".join(f"{it.value:.2f} by {name}" for name, it in place.words.items())
        columns = [self.emotions.index(name) for name in battery.by_emotion]
        nearest = [max(row[column] for column in columns) for row in battery.neutral]
        neutral = sum(nearest) / len(nearest)
        text = (
            f"{battery.n} held-out messages imply one of {n} emotions without naming it; each was "
            f"read {self.read}, at layer {self.layer}. The cosine with the implied emotion's "
            f"vector lies {battery.contrast:+.3f} above that with the other {n - 1} emotions' "
            f"({held.uncentered.contrast.value:+.3f} before the messages' mean is subtracted); "
            f"with the emotions permuted as much is reached with p = {battery.p:.2g}"
        )
        if battery.p_within is not None:
            text += (
                f", and with {_p_within(battery)} when pleasant and unpleasant ones are not mixed: "
                "what the vectors know beyond that side"
            )
        return (
            f"{text}. Of the other {n - 1} emotions {place.model:.2f} lie farther than the own "
            f"one, {by_words}, and .5 by chance. The cosine with the nearest emotion is "
            f"{neutral:+.3f} for messages that imply nothing, that of the others with their own "
            f"{battery.own.value:+.3f}."
        )

    def limits(self) -> list[str]:
        """Say which messages were not used, and what a base model was read at."""
        limits = []
        if self.left_out:
            n = len(self.batteries["first"].centered.by_emotion)
            limits.append(
                f"Implicit scenarios: messages of {n} of {_N_EMOTIONS} emotions were used; this "
                f"run has no vector of {', '.join(self.left_out)}."
            )
        if self.read.endswith("of the text (a base model)"):
            limits.append(
                "Implicit scenarios: a base model was read at the end of the message, where it "
                "prepares no reply."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the matrix of messages and emotions, centered and as it is."""
        return {
            "scenarios": scenario_heatmap(self),
            "scenarios_uncentered": scenario_heatmap(self, "uncentered"),
        }

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return the mean cosine of a message with the emotion that it implies."""
        battery = self.batteries["held-out"].uncentered
        note = "our own held-out messages, uncentered cosine"
        own = battery.own
        number = RunNumber(own.value, own.ends, len(battery.by_emotion), note)
        return {"scenarios.diagonal": number}


def _p_within(battery: Battery) -> str:
    p, floor = battery.p_within or 1.0, 1 / (battery.n_within + 1)
    return f"p {'<=' if p <= floor * (1 + 1e-9) else '='} {p:.2g}"


def _within(battery: Battery) -> str:
    return "" if battery.p_within is None else f"{_p_within(battery)} within sides; "


def measure(materials: Materials) -> Scenarios | NotMeasured:
    """Read both batteries and judge them."""
    emotions = materials.emotions
    kept = [it for it in scenarios() if it.emotion is None or it.emotion in emotions]
    asked = dict.fromkeys(it.emotion for it in scenarios() if it.emotion is not None)
    left_out = sorted({*asked} - {*emotions})
    if len(asked) - len(left_out) < 2:
        why = f"needs two of its twelve emotions, this run lacks {', '.join(left_out)}"
        return NotMeasured("Implicit scenarios", why)
    model, layer = materials.subject(), materials.layer
    answering = materials.config.validation.paper
    with materials.reporter.task("scenarios", len(kept), "messages") as advance:
        residual = read_messages(
            model, [it.text for it in kept], layer, advance, answering=answering
        )
    vectors, shuffled = materials.vectors.at(layer), shuffled_vectors(materials)
    plane = rating_plane(vectors, emotions)
    neutral = residual[[row for row, it in enumerate(kept) if it.emotion is None]]
    batteries = {}
    for name in BATTERIES:
        rows = [row for row, it in enumerate(kept) if it.battery == name]
        implied = [str(kept[row].emotion) for row in rows]
        own = [emotions.index(emotion) for emotion in implied]
        judged_by = partial(
            judge,
            own=own,
            emotions=emotions,
            sides=SIDES,
            n_permutations=N_PERMUTATIONS,
            seed=materials.seed,
        )
        center, readings = residual[rows].mean(dim=0), []
        for level in (torch.zeros_like(center), center):
            matrix, null = (cosines(residual[rows] - level, it) for it in (vectors, shuffled))
            of_none = cosines(neutral - level, vectors)
            readings.append(
                JudgedBattery(
                    **vars(judged_by(matrix)),
                    matrix=matrix.tolist(),
                    neutral=of_none.tolist(),
                    shuffled_contrast=judged_by(null).contrast.value,
                )
            )
        apart, beyond = residual[rows] - center, None
        if len(plane):
            some, along = (project_out(it, plane, orthonormal=True) for it in (apart, vectors))
            beyond = judged_by(cosines(some, along))
        by_words = read_by_words(materials, [kept[row].text for row in rows])
        beside = _places(cosines(apart, vectors), by_words, own)
        batteries[name] = BatteryReadings(implied, readings[0], readings[1], beside, beyond)
    read = where_read(model, answering=answering)
    return Scenarios(model.name, layer, read, emotions, left_out, batteries)


EXPERIMENT = Experiment(Scenarios, measure)


def _places(
    cosine: Float[Tensor, "message emotion"],
    by_words: Mapping[str, Float[Tensor, "message emotion"]],
    own: list[int],
) -> Places:
    """Set the model's places beside those of the better reader of words."""
    place = places(cosine, own)
    of_words = {name: places(each, own) for name, each in by_words.items()}
    better = max(of_words, key=lambda name: float(of_words[name].mean()))
    return Places(
        mean_place(place, own),
        {name: mean_place(each, own) for name, each in of_words.items()},
        better,
        mean_over(place - of_words[better], torch.tensor(own)),
    )


def scenario_heatmap(result: Scenarios, reading: str = "centered") -> Heatmap:
    """Describe the mean cosines of each emotion's messages, ``centered`` or ``uncentered``."""
    rows, values, ends, parts = [], [], [], []
    columns = tuple(dict.fromkeys(result.batteries["first"].emotions))
    order = [result.emotions.index(emotion) for emotion in columns]
    for name, battery in result.batteries.items():
        judged: JudgedBattery = getattr(battery, reading)
        of_each: dict[str, list[list[float]]] = {column: [] for column in columns}
        for emotion, row in zip(battery.emotions, judged.matrix, strict=True):
            of_each[emotion].append(row)
        rows += [f"{emotion} ({name})" for emotion in columns]
        values += [_mean_row(each, order) for each in of_each.values()]
        ends.append(len(rows))
        parts.append(f"{name}: {judged.contrast.value:+.3f}, p={judged.p:.4f}")
    if neutral := getattr(result.batteries["held-out"], reading).neutral:
        rows.append("neutral")
        values.append(_mean_row(neutral, order))
    largest = max(abs(value) for row in values for value in row)
    return Heatmap(
        title="Messages that imply an emotion without naming it"
        + ("" if reading == "centered" else f", {reading}"),
        subtitle=f"{result.model}, layer {result.layer}, {len(columns)} of {_N_EMOTIONS} emotions "
        "have a vector in this run",
        caption=f"Row: the messages of an emotion, read {result.read}; {_READINGS[reading]}. "
        "Column: an emotion's vector. If the vectors follow what a message implies, the diagonal "
        "of each battery stands out. Last row: messages that imply nothing. Own emotion above the "
        "others: " + "; ".join(parts) + ".",
        rows=tuple(rows),
        columns=columns,
        values=tuple(values),
        value_label="cosine",
        x_label="emotion vector",
        y_label="implied emotion (battery)",
        limits=(-largest, largest),
        boundaries=tuple(ends),
    )


def _mean_row(rows: list[list[float]], order: list[int]) -> tuple[float, ...]:
    return tuple(sum(row[column] for row in rows) / len(rows) for column in order)
