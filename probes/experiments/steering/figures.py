"""What steering does to emotions' words, what it costs, and what judges hear in steered texts."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probes.analysis.findings import Estimate
from probes.experiments.steering.claim_slopes import PER
from probes.figures.description import Bars, Heatmap, Line, Lines, Panel
from probes.figures.estimates import Bar, bar_of, bars_by_kind, line_of

if TYPE_CHECKING:
    from probes.experiments.steering.agreement import SteeredAgreement
    from probes.experiments.steering.dose_response import DoseResponse, SweptLayer
    from probes.experiments.steering.free_text import FreeText
    from probes.experiments.steering.steering_words import SteeringWords


def steering_matrix(result: "SteeringWords") -> Heatmap:
    """Describe what every vector did to every word, at the judged dose."""
    dose, n = result.judged, len(result.emotions)
    largest = max(abs(value) for row in dose.matrix for value in row)
    harder = (
        ""
        if dose.matched is None
        else " Against random directions with the stories' own covariance "
        f"({dose.matched.matching:+.2f}) it is {len(dose.matched.beats_all)}."
    )
    return Heatmap(
        title="What steering does to the words for emotions",
        subtitle=f"{result.model}, layer {result.layer}, dose {dose.dose:g} of the mean residual "
        f"norm, {n} emotions",
        caption=f"Row: the vector that was added. Column: the word. Own words (diagonal) change by "
        f"{dose.matching:+.2f} on average, other words by {dose.other:+.2f}, the same words "
        f"under random directions by {dose.random.matching:+.2f}. {len(dose.random.beats_all)} of "
        f"{n} vectors raise their own word more than each of "
        f"{dose.random.n_directions} random directions does.{harder}",
        rows=tuple(result.emotions),
        columns=tuple(result.emotions),
        values=tuple(tuple(row) for row in dose.matrix),
        value_label="change of log-probability (nats)",
        x_label="word",
        y_label="vector",
        limits=(-largest, largest),
    )


def dose_response_curves(result: "DoseResponse") -> Lines:
    """Describe what each dose does and costs at each layer, and where the usable range ends."""
    budget, shown = result.budget, result.shown
    nats = f"{budget.max_kl:g} {'nat' if budget.max_kl == 1 else 'nats'}"
    times = f"{budget.max_perplexity_ratio:g} times"
    own = [_line(entry, "own") for entry in result.layers]
    if shown.doses[0].random is not None:
        own.append(_line(shown, "random", f"random, layer {shown.layer}"))

    def costs(label: str, key: str, most: float, meaning: str) -> Panel:
        return Panel(
            y_label=label,
            lines=tuple(_above_zero(_line(entry, key)) for entry in result.layers),
            height=0.7,
            logarithmic=True,
            level=most,
            level_label=f"budget: {meaning}",
        )

    return Lines(
        title="What a dose of steering does, and what it costs",
        subtitle=f"{result.model}, {len(result.emotions)} emotions' vectors, neutral text at "
        f"{result.n_tokens} tokens",
        caption="Top: change of the emotion's own word, with 95% interval over "
        f"{len(result.emotions)} emotions, beside {result.n_random} "
        "random directions with the stories' covariance. Below: KL divergence of the next token "
        "from the unsteered model, and perplexity over the unsteered one, with 95% intervals over "
        f"{result.n_texts} texts, on logarithmic axes. Budget (horizontal dashed lines): {nats} "
        f"and {times}. "
        + (
            f"No dose tried at layer {shown.layer} is within it."
            if shown.usable is None
            else f"The vertical dashed line is the largest dose tried at layer {shown.layer} that "
            "is, with all smaller ones, within it."
        ),
        x_label="dose (fraction of the mean residual norm)",
        panels=(
            Panel(y_label="own word (nats)", lines=tuple(own)),
            costs("KL (nats)", "kl", budget.max_kl, nats),
            costs("perplexity ratio", "perplexity", budget.max_perplexity_ratio, times),
        ),
        x_ticks=tuple(sorted({dose.dose for entry in result.layers for dose in entry.doses})),
        mark=shown.usable,
        mark_label=""
        if shown.usable is None
        else f"layer {shown.layer}: usable up to {shown.usable:g}",
    )


def _line(entry: "SweptLayer", key: str, name: str | None = None) -> Line:
    """Make a line of one of a layer's estimates."""
    doses = tuple(dose.dose for dose in entry.doses)
    estimates = [dose.estimates[key] for dose in entry.doses]
    return line_of(name or f"layer {entry.layer}", doses, estimates)


def _above_zero(line: Line) -> Line:
    """Leave out what a logarithmic axis has no place for."""
    rows = {"y": line.y, "low": line.low, "high": line.high}
    kept = {
        name: tuple(None if value is None or value <= 0 else value for value in values)
        for name, values in rows.items()
        if values is not None
    }
    return replace(line, **kept)


def agreement_curves(result: "SteeredAgreement") -> Lines:
    """Describe agreement with false claims over doses, and the answers where there is no claim."""
    none, doses = Estimate(0.0, 0.0, 0.0), (0.0, *result.doses)
    lines = [line_of(name, doses, [none, *it.curve]) for name, it in result.emotions.items()]
    lines.append(line_of("random directions", doses, [none, *result.random]))
    alone = [Line(name=name, x=doses, y=(0.0, *it.alone)) for name, it in result.emotions.items()]
    slopes = ", ".join(f"{name} {it.false.value:+.2f}" for name, it in result.emotions.items())
    return Lines(
        title="What steering does to agreement with false claims",
        subtitle=f"{result.model}, layer {', '.join(map(str, result.layers))}, {result.n_pairs} "
        "pairs of claims",
        caption="Change of the log-odds of agreeing: with false claims, and where the same "
        "questions are asked without a claim. Bands: 95% interval over pairs; of "
        f"{result.n_random} random directions from the lowest to the highest. Unsteered, true "
        f"claims are agreed with by {result.discrimination.value:+.2f} nats more than false ones. "
        f"Slopes with false claims per {PER:g} of dose: {slopes}.",
        x_label="dose (fraction of the mean residual norm)",
        panels=(
            Panel(y_label="false claims (nats)", lines=tuple(lines)),
            Panel(y_label="no claim (nats)", lines=tuple(alone)),
        ),
        x_ticks=doses,
    )


_OWN, _CONTROL, _EACH = "steered toward it", "other steering", "each emotion"


def judged_gains(result: "FreeText", key: str, name: str, unit: str) -> Bars:
    """Describe one judge's gains: over all emotions beside the controls, and of each emotion."""
    judged = result.judges[key]
    bars = [
        bar_of("all: steered toward it", _OWN, Estimate(judged.gain, *judged.gain_interval)),
        Bar("all: steered elsewhere", _CONTROL, judged.gain_in_others),
    ]
    if judged.gain_in_random is not None:
        bars.append(Bar("all: random directions", _CONTROL, judged.gain_in_random))
    each = dict(zip(result.emotions, judged.per_emotion.gain, strict=True))
    bars += [Bar(emotion, _EACH, each[emotion]) for emotion in sorted(each, key=lambda e: -each[e])]
    return Bars(
        title=f"Does steered text convey the emotion: {name}",
        subtitle=f"{result.model}, steered at layer {result.layer} with dose {result.dose:g}, "
        f"judged at layer {result.judge_layer}, n = {result.n}",
        caption="Gain: how much higher the judge scores an emotion in a continuation than in the "
        "unsteered one of the same prompt. The judge comes from stories on other topics and reads "
        "at another layer. Line: 95% interval over emotions "
        "and prompts. Single emotions rest on "
        f"{len(result.prompts)} texts each. The emotion steered to gains more than "
        f"{judged.beaten:.0%} of the others (chance 50%).",
        value_label=f"gain over unsteered text ({unit})",
        **bars_by_kind(bars, (_OWN, _CONTROL, _EACH), muted=(_CONTROL,)),
    )
