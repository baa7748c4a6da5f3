"""Implicit scenarios: does a message that implies an emotion, and never names it, point to it.

1. Two batteries of twelve first-person messages are read where the reply would begin; the second
   was held out: nothing was chosen by looking at it.
2. Cosine of each with every emotion's vector, at the target layer: as it is (uncentered), and after
   subtracting the mean residual of the battery's messages (centered).
3. `scenario_matrix` judges each battery beside permutations; shuffled-label vectors are judged the
   same way.

Messages whose emotion the run has no vector of are left out, and counted.
"""

from collections.abc import Mapping
from typing import Any

from probes.experiments.legacy import Experiment, Measured
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines, place, read_messages
from probes.experiments.messages.scenario_matrix import judge
from probes.experiments.steering.controls import shuffled_vectors
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.figures.reading import matrix, need
from probes.runs.materials import Materials
from probes.stimuli import scenarios

PLEASANT = ("happy", "inspired", "loving", "proud", "calm")
UNPLEASANT = ("desperate", "angry", "guilty", "sad", "afraid", "nervous")
BATTERIES = ("first", "held-out")


def measure(materials: Materials) -> Measured:
    """Read both batteries and judge them."""
    emotions = materials.emotions
    kept = [scenario for scenario in scenarios() if scenario.emotion in emotions]
    left_out = sorted({s.emotion for s in scenarios() if s.emotion not in emotions})
    if len({scenario.emotion for scenario in kept}) < 2:
        sentence = (
            f"Implicit scenarios: this run has vectors of fewer than two of their twelve emotions "
            f"(missing: {', '.join(left_out)}), so nothing was measured."
        )
        return Measured({"batteries": None}, [], sentence, [sentence])
    model, layer = materials.subject(), materials.layer
    with materials.reporter.task("scenarios", len(kept), "messages") as advance:
        residual = read_messages(model, [s.text for s in kept], layer, advance)
    sets = {"own": materials.vectors.at(layer)}
    if (shuffled := shuffled_vectors(materials)) is not None:
        sets["shuffled"] = shuffled
    batteries: dict[str, Any] = {}
    for name in BATTERIES:
        rows = [row for row, scenario in enumerate(kept) if scenario.battery == name]
        own = [emotions.index(kept[row].emotion) for row in rows]
        sides = [_side(kept[row].emotion) for row in rows]
        readings = {"uncentered": residual[rows]}
        readings["centered"] = residual[rows] - residual[rows].mean(dim=0)
        batteries[name] = {"emotions": [kept[row].emotion for row in rows]}
        for reading, values in readings.items():
            matrices = {which: cosines(values, vectors) for which, vectors in sets.items()}
            options = {
                "n_permutations": N_PERMUTATIONS,
                "seed": materials.seed,
            }
            judged = {which: judge(m, own, sides, **options) for which, m in matrices.items()}
            batteries[name][reading] = {
                "matrix": matrices["own"].tolist(),
                **judged["own"].to_json(),
                "shuffled_contrast": judged["shuffled"].contrast if "shuffled" in judged else None,
            }
    values = {
        "model": model.name,
        "layer": layer,
        "read": place(model),
        "emotions": emotions,
        "left_out": left_out,
        "batteries": batteries,
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the matrix of messages and emotions, centered and as it is."""
    if values["batteries"] is None:
        return {}
    return {
        "scenarios": scenario_heatmap(values),
        "scenarios_uncentered": scenario_heatmap(values, "uncentered"),
    }


EXPERIMENT = Experiment(measure, figures)


def _side(emotion: str) -> int:
    return 1 if emotion in PLEASANT else -1 if emotion in UNPLEASANT else 0


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            f"implicit scenarios, {name}",
            f"own emotion {found['contrast']:+.3f} above the others in centered cosine "
            f"[{found['contrast_interval'][0]:+.3f}, {found['contrast_interval'][1]:+.3f}], "
            f"n={found['n']}, {_p(found)}{_shuffled(found)}; uncentered {plain['contrast']:+.3f}, "
            f"{_p(plain)}; rank {found['mean_rank']:.1f} "
            f"[{found['mean_rank_interval'][0]:.1f}, {found['mean_rank_interval'][1]:.1f}] of "
            f"{len(values['emotions'])} (chance {found['chance_rank']:.1f})",
        )
        for name in BATTERIES
        for found in [values["batteries"][name]["centered"]]
        for plain in [values["batteries"][name]["uncentered"]]
    ]


def _p(found: Mapping[str, Any]) -> str:
    within = found["p_within"]
    more = "" if within is None else f" ({within:.4f} within pleasant and unpleasant ones)"
    return f"p={found['p']:.4f}{more}"


def _shuffled(found: Mapping[str, Any]) -> str:
    contrast = found["shuffled_contrast"]
    return "" if contrast is None else f", shuffled labels {contrast:+.3f}"


def _paragraph(values: Mapping[str, Any]) -> str:
    held = values["batteries"]["held-out"]
    found = held["centered"]
    sentence = (
        f"{found['n']} held-out messages imply an emotion without naming it. The residual stream "
        f"was read {values['read']}, at layer {values['layer']}. The cosine with the implied "
        f"emotion's vector lies {found['contrast']:+.3f} above that with the other "
        f"{found['n'] - 1} emotions' (95% interval over messages "
        f"[{found['contrast_interval'][0]:+.3f}, {found['contrast_interval'][1]:+.3f}]; "
        f"{held['uncentered']['contrast']:+.3f} before the messages' mean is subtracted). Among "
        f"all {len(values['emotions'])} emotions the implied one has rank {found['mean_rank']:.1f} "
        f"on average, where guessing gives {found['chance_rank']:.1f}. Dealing the emotions out "
        f"anew reaches as much with p={found['p']:.4f}"
    )
    if found["p_within"] is not None:
        sentence += (
            f", and p={found['p_within']:.4f} when pleasant and unpleasant ones are not mixed: the "
            "second number is what the vectors know beyond that side"
        )
    if found["shuffled_contrast"] is not None:
        sentence += (
            f". Vectors from stories with shuffled labels reach {found['shuffled_contrast']:+.3f}"
        )
    return sentence + "."


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    if values["left_out"]:
        kept = values["batteries"]["first"]["centered"]["n"]
        limits.append(
            f"Implicit scenarios: {kept} of 12 messages of each battery were used; this run has no "
            f"vector of {', '.join(values['left_out'])}."
        )
    if values["read"].endswith("(a base model)"):
        limits.append(
            "Implicit scenarios: a base model was read at the end of the message, which is not a "
            "place where it prepares a reply."
        )
    return limits


_READINGS = {
    "centered": "the mean of its battery is subtracted",
    "uncentered": "nothing is subtracted, so an emotion that all messages are close to has a "
    "column of its own color",
}


def scenario_heatmap(scenarios: Mapping[str, Any], reading: str = "centered") -> Heatmap:
    """Describe the cosines of both batteries with the emotions that they imply.

    Parameters
    ----------
    reading
        ``centered`` or ``uncentered``.

    Raises
    ------
    DataError
        A part is missing or a cosine is not finite.
    """
    batteries = need(scenarios, "batteries", "scenarios")
    everything = need(scenarios, "emotions", "scenarios")
    rows, values, ends, parts = [], [], [], []
    columns = tuple(next(iter(batteries.values()))["emotions"])
    places = [everything.index(emotion) for emotion in columns]
    for name, battery in batteries.items():
        found = need(battery, reading, f"scenarios.{name}")
        cosine = matrix(need(found, "matrix", f"scenarios.{name}"), f"scenarios.{name}.matrix")
        rows += [f"{emotion} ({name})" for emotion in battery["emotions"]]
        values += [tuple(row[place] for place in places) for row in cosine]
        ends.append(len(rows))
        parts.append(f"{name}: {found['contrast']:+.3f}, p={found['p']:.4f}")
    largest = max(abs(value) for row in values for value in row)
    return Heatmap(
        title="Messages that imply an emotion without naming it"
        + ("" if reading == "centered" else f", {reading}"),
        subtitle=f"{scenarios['model']}, layer {scenarios['layer']}, {len(columns)} of 12 emotions "
        "have a vector in this run",
        caption=f"Row: a message, read {scenarios['read']}; {_READINGS[reading]}. "
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
