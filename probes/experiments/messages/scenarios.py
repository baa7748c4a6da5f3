"""Implicit scenarios: does a message that implies an emotion, and never names it, point to it.

Two batteries of twelve first-person messages are read where the reply would begin; the second was
held out: nothing was chosen by looking at it. Cosines with the emotions' vectors at the target
layer, as they are and after subtracting the mean of the battery's messages (centered), are judged
by `scenario_matrix`, and so are those with shuffled-label vectors. Messages whose emotion the run
has no vector of are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, RunNumber
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines, read_messages, where_read
from probes.experiments.messages.scenario_matrix import Battery, judge
from probes.experiments.steering.controls import shuffled_vectors
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials
from probes.stimuli import scenarios

PLEASANT = ("happy", "inspired", "loving", "proud", "calm")
UNPLEASANT = ("desperate", "angry", "guilty", "sad", "afraid", "nervous")
BATTERIES = ("first", "held-out")
_READINGS = {
    "centered": "the mean of its battery is subtracted",
    "uncentered": "nothing is subtracted, so an emotion that all messages are close to has a "
    "column of its own color",
}


@dataclass(frozen=True, kw_only=True)
class JudgedBattery(Battery):
    """A battery read in one way: its cosines [message][emotion of the run].

    `shuffled_contrast` is that of vectors from stories with shuffled labels, where there are any.
    """

    matrix: list[list[float]]
    shuffled_contrast: float | None = None


@dataclass(frozen=True)
class BatteryReadings:
    """The emotions that a battery's messages imply, and both readings."""

    emotions: list[str]
    uncentered: JudgedBattery
    centered: JudgedBattery


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
        return [self._finding(name) for name in reversed(BATTERIES)]

    def _finding(self, name: str) -> Finding:
        battery = self.batteries[name].centered
        permuted, within = battery.p < SIGNIFICANT, battery.p_within
        shown = permuted and battery.estimate.above_zero
        beyond_side = within is None or within < SIGNIFICANT
        verdict = "shown" if shown and beyond_side else "shown in part" if shown else "not shown"
        side = "" if within is None else f"p = {within:.2g} within pleasant and unpleasant ones; "
        shuffled = battery.shuffled_contrast
        return Finding(
            f"implicit scenarios, {name}",
            battery.estimate,
            verdict if name == "held-out" else "described",
            spec="+.3f",
            unit="centered cosine above the other emotions",
            n=f"{battery.n} messages",
            control=None if shuffled is None else Control("shuffled labels", Estimate(shuffled)),
            p=battery.p,
            n_null=N_PERMUTATIONS,
            note=f"{side}rank {battery.mean_rank:.1f} of {len(self.emotions)} "
            f"(chance {battery.chance_rank:.1f})",
            rule="How much nearer a message lies to the vector of the emotion that it implies "
            "than to the others'. Called shown when the interval lies above zero and p < .05, "
            "also when pleasant and unpleasant emotions are not mixed; else in part.",
        )

    def paragraph(self) -> str:
        """Tell what was read, and whether it is more than pleasant against unpleasant."""
        held = self.batteries["held-out"]
        battery = held.centered
        text = (
            f"{battery.n} held-out messages imply an emotion without naming it; each was read "
            f"{self.read}, at layer {self.layer}. The cosine with the implied emotion's vector "
            f"lies {battery.estimate:+.3f} above that with the other {battery.n - 1} emotions' "
            f"({held.uncentered.contrast:+.3f} before the messages' mean is subtracted); with the "
            f"emotions permuted as much is reached with p = {battery.p:.2g}"
        )
        if battery.p_within is not None:
            text += (
                f", and with p = {battery.p_within:.2g} when pleasant and unpleasant ones are not "
                "mixed: what the vectors know beyond that side"
            )
        return f"{text}."

    def limits(self) -> list[str]:
        """Say which messages were not used, and what a base model was read at."""
        limits = []
        if self.left_out:
            limits.append(
                f"Implicit scenarios: {self.batteries['first'].centered.n} of 12 messages of each "
                f"battery were used; this run has no vector of {', '.join(self.left_out)}."
            )
        if self.read.endswith("(a base model)"):
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
        number = RunNumber(battery.own, battery.own_interval, battery.n, note)
        return {"scenarios.diagonal": number}


def measure(materials: Materials) -> Scenarios | NotMeasured:
    """Read both batteries and judge them."""
    emotions = materials.emotions
    kept = [scenario for scenario in scenarios() if scenario.emotion in emotions]
    left_out = sorted({s.emotion for s in scenarios() if s.emotion not in emotions})
    if len({scenario.emotion for scenario in kept}) < 2:
        why = f"needs two of its twelve emotions, this run lacks {', '.join(left_out)}"
        return NotMeasured("Implicit scenarios", why)
    model, layer = materials.subject(), materials.layer
    with materials.reporter.task("scenarios", len(kept), "messages") as advance:
        residual = read_messages(model, [s.text for s in kept], layer, advance)
    vectors, shuffled = materials.vectors.at(layer), shuffled_vectors(materials)
    batteries = {}
    for name in BATTERIES:
        rows = [row for row, scenario in enumerate(kept) if scenario.battery == name]
        implied = [kept[row].emotion for row in rows]
        judged_by = partial(
            judge,
            own=[emotions.index(emotion) for emotion in implied],
            sides=[(emotion in PLEASANT) - (emotion in UNPLEASANT) for emotion in implied],
            n_permutations=N_PERMUTATIONS,
            n_bootstrap=materials.config.validation.n_bootstrap,
            seed=materials.seed,
        )
        readings = []
        for level in (0.0, residual[rows].mean(dim=0)):
            matrix, null = (cosines(residual[rows] - level, each) for each in (vectors, shuffled))
            judged, contrast = vars(judged_by(matrix)), judged_by(null).contrast
            readings.append(
                JudgedBattery(**judged, matrix=matrix.tolist(), shuffled_contrast=contrast)
            )
        batteries[name] = BatteryReadings(implied, *readings)
    return Scenarios(model.name, layer, where_read(model), emotions, left_out, batteries)


EXPERIMENT = Experiment(Scenarios, measure)


def scenario_heatmap(result: Scenarios, reading: str = "centered") -> Heatmap:
    """Describe the cosines of both batteries, ``centered`` or ``uncentered``."""
    rows, values, ends, parts = [], [], [], []
    columns = tuple(result.batteries["first"].emotions)
    order = [result.emotions.index(emotion) for emotion in columns]
    for name, battery in result.batteries.items():
        judged: JudgedBattery = getattr(battery, reading)
        rows += [f"{emotion} ({name})" for emotion in battery.emotions]
        values += [tuple(row[column] for column in order) for row in judged.matrix]
        ends.append(len(rows))
        parts.append(f"{name}: {judged.contrast:+.3f}, p={judged.p:.4f}")
    largest = max(abs(value) for row in values for value in row)
    return Heatmap(
        title="Messages that imply an emotion without naming it"
        + ("" if reading == "centered" else f", {reading}"),
        subtitle=f"{result.model}, layer {result.layer}, {len(columns)} of 12 emotions "
        "have a vector in this run",
        caption=f"Row: a message, read {result.read}; {_READINGS[reading]}. "
        "Column: an emotion's vector. If the vectors follow what a message implies, the diagonal "
        "of each battery stands out. Own emotion above the others: " + "; ".join(parts) + ".",
        rows=tuple(rows),
        columns=columns,
        values=tuple(values),
        value_label="cosine",
        x_label="emotion vector",
        y_label="implied emotion (battery)",
        limits=(-largest, largest),
        boundaries=tuple(ends[:-1]),
    )
