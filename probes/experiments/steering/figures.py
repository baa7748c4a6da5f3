"""What steering does to every emotion's word.

Contract: pure; one dictionary as ``analysis/steering.json`` (``steering_dose_response.json``)
holds it becomes one description. Costs have logarithmic axes; a cost that is not above 0 is a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from probes.figures.description import Bars, Heatmap, Line, Lines, Panel
from probes.figures.estimates import Bar, bars_by_kind
from probes.figures.reading import matrix, need, number, numbers, pair


def steering_matrix(steering: Mapping[str, Any]) -> Heatmap:
    """Describe the change of every word's log-probability under every vector, at the middle dose.

    Raises
    ------
    DataError
        A part is missing or a change is not finite.
    """
    doses = need(steering, "doses", "steering")
    dose = doses[len(doses) // 2]
    emotions = tuple(need(steering, "emotions", "steering"))
    values = matrix(need(dose, "matrix", "steering.doses"), "steering.doses.matrix")
    model, layer = need(steering, "model", "steering"), need(steering, "layer", "steering")
    largest = max(abs(value) for row in values for value in row)
    random = need(dose, "random", "steering.doses")
    matched = dose.get("matched")
    harder = (
        ""
        if matched is None
        else " Against random directions with the stories' own covariance "
        f"({matched['matching']:+.2f}) it is {len(matched['beats_all'])}."
    )
    return Heatmap(
        title="What steering does to the words for emotions",
        subtitle=f"{model}, layer {layer}, dose {dose['dose']:g} of the mean residual norm, "
        f"{len(emotions)} emotions",
        caption=f"Row: the vector that was added. Column: the word. Own words (diagonal) change by "
        f"{dose['matching']:+.2f} on average, other words by {dose['other']:+.2f}, the same words "
        f"under random directions by {random['matching']:+.2f}. {len(random['beats_all'])} of "
        f"{len(emotions)} vectors raise their own word more than each of "
        f"{random['n_directions']} random directions does.{harder}",
        rows=emotions,
        columns=emotions,
        values=tuple(tuple(row) for row in values),
        value_label="change of log-probability (nats)",
        x_label="word",
        y_label="vector",
        limits=(-largest, largest),
    )


def dose_response_curves(values: Mapping[str, Any]) -> Lines:
    """Describe what each dose does and costs at each layer, and where the usable range ends.

    Raises
    ------
    DataError
        A part is missing.
    """
    name = "steering_dose_response"
    layers = need(values, "layers", name)
    target, budget = need(values, "target_layer", name), need(values, "budget", name)
    usable = next((entry["usable"] for entry in layers if entry["layer"] == target), None)
    shown = [entry for entry in layers if entry["layer"] == target] or layers[:1]
    tried = sorted({dose["dose"] for entry in layers for dose in entry["doses"]})
    nats = f"{budget['max_kl']:g} {'nat' if budget['max_kl'] == 1 else 'nats'}"
    times = f"{budget['max_perplexity_ratio']:g} times"

    def line(entry: Mapping[str, Any], label: str, key: str, interval: str) -> Line:
        doses = entry["doses"]
        return Line(
            name=label,
            x=tuple(dose["dose"] for dose in doses),
            y=tuple(dose[key] for dose in doses),
            low=tuple(dose[interval][0] for dose in doses),
            high=tuple(dose[interval][1] for dose in doses),
        )

    def lines(key: str, interval: str) -> tuple[Line, ...]:
        return tuple(line(entry, f"layer {entry['layer']}", key, interval) for entry in layers)

    def costs(label: str, key: str, interval: str, most: str, meaning: str) -> Panel:
        return Panel(
            y_label=label,
            lines=tuple(_above_zero(it) for it in lines(key, interval)),
            height=0.7,
            logarithmic=True,
            level=budget[most],
            level_label=f"budget: {meaning}",
        )

    random = ()
    if shown[0]["doses"][0]["random"] is not None:
        label = f"random, layer {shown[0]['layer']}"
        random = (line(shown[0], label, "random", "random_interval"),)
    return Lines(
        title="What a dose of steering does, and what it costs",
        subtitle=f"{need(values, 'model', name)}, {len(need(values, 'emotions', name))} emotions' "
        f"vectors, neutral text at {need(values, 'n_tokens', name)} tokens",
        caption="Top: change of the emotion's own word, with 95% interval over "
        f"{len(need(values, 'emotions', name))} emotions, beside {need(values, 'n_random', name)} "
        "random directions with the stories' covariance. Below: KL divergence of the next token "
        "from the unsteered model, and perplexity over the unsteered one, with 95% intervals over "
        f"{need(values, 'n_texts', name)} texts, on "
        f"logarithmic axes. Budget (horizontal dashed lines): {nats} and {times}. "
        + (
            f"No dose tried at layer {target} is within it."
            if usable is None
            else f"The vertical dashed line is the largest dose tried at layer {target} that is, "
            "with all smaller ones, within it."
        ),
        x_label="dose (fraction of the mean residual norm)",
        panels=(
            Panel(y_label="own word (nats)", lines=(*lines("own", "own_interval"), *random)),
            costs("KL (nats)", "kl", "kl_interval", "max_kl", nats),
            costs(
                "perplexity ratio",
                "perplexity_ratio",
                "perplexity_interval",
                "max_perplexity_ratio",
                times,
            ),
        ),
        x_ticks=tuple(tried),
        mark=usable,
        mark_label="" if usable is None else f"layer {target}: usable up to {usable:g}",
    )


def _above_zero(line: Line) -> Line:
    """Leave out what a logarithmic axis has no place for."""

    def kept(values: Iterable[float | None]) -> tuple[float | None, ...]:
        return tuple(None if value is None or value <= 0 else value for value in values)

    if line.low is None or line.high is None:
        return replace(line, y=kept(line.y))
    return replace(line, y=kept(line.y), low=kept(line.low), high=kept(line.high))


_OWN, _CONTROL, _EACH = "steered toward it", "other steering", "each emotion"


def judged_gains(found: Mapping[str, Any], key: str, name: str, unit: str) -> Bars:
    """Describe one judge's gains: over all emotions beside the controls, and of each emotion.

    Parameters
    ----------
    key, name, unit
        The judge's entry, what it is called, and in what it scores.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    where = f"free_text.judges.{key}"
    judged = need(need(found, "judges", "free_text"), key, "free_text.judges")
    gain = number(need(judged, "gain", where), where)
    bars = [
        Bar("all: steered toward it", _OWN, gain, pair(judged["gain_interval"], where)),
        Bar("all: steered elsewhere", _CONTROL, number(judged["gain_in_others"], where)),
    ]
    if judged["gain_in_random"] is not None:
        random = number(judged["gain_in_random"], where)
        bars.append(Bar("all: random directions", _CONTROL, random))
    each = numbers(judged["per_emotion"]["gain"], where)
    order = sorted(range(len(each)), key=lambda place: -each[place])
    bars += [Bar(found["emotions"][place], _EACH, each[place]) for place in order]
    low, high = pair(judged["percentile_interval"], where)
    return Bars(
        title=f"Does steered text convey the emotion: {name}",
        subtitle=f"{found['model']}, steered at layer {found['layer']} with dose "
        f"{found['dose']:g}, judged at layer {found['judge_layer']}, n = {len(each)} emotions x "
        f"{len(found['prompts'])} prompts",
        caption="Gain: how much higher the judge scores an emotion in a continuation than in the "
        "unsteered one of the same prompt. The judge comes from stories on other topics and reads "
        "at another layer. Line: 95% interval over emotions "
        "and prompts. Single emotions rest on "
        f"{len(found['prompts'])} texts each. The emotion steered to gains more than "
        f"{judged['percentile']:.0%} [{low:.0%}, {high:.0%}] of the others (chance 50%).",
        value_label=f"gain over unsteered text ({unit})",
        **bars_by_kind(bars, (_OWN, _CONTROL, _EACH), muted=(_CONTROL,)),
    )
