"""``emotion-probes steer``: one prompt, unsteered and steered, side by side."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from hooks import Last, Span, Speaker, TextSpan
from hooks.errors import InvalidInput
from hooks.steering.selection import Rule, Where
from probes.commands import Steer, steered_text
from probes.commands.call import Call
from probes.commands.steered_page import render
from probes.commands.steered_text import Steered, SteeringRequest
from probes.experiments.steering.dose_cost import Budget, SteeringCost, on_texts
from probes.experiments.steering.dose_response import neutral_texts
from probes.runs.models import Models
from probes.storage import StorageError, digest_of, slug, write_text
from probes.vectors.emotion_vectors import EmotionVectors

_AS_TYPED = {"operation", "auto", "split", "max_new_tokens", "temperature", "seed"}


def main(call: Call[Steer]) -> int:
    """Steer one prompt of a finished run."""
    run = call.run(or_shipped=True)
    vectors = EmotionVectors.load(run.vectors_at).using(call.flags.vectors)
    request = read_request(call.flags, vectors)
    settings = run.config.validation
    budget = Budget(settings.max_kl, settings.max_perplexity_ratio)
    texts = neutral_texts(run, settings.n_budget_texts)
    name = f"{slug('-'.join(request.emotions))}-{digest_of(_plain(request))[:8]}.html"
    output = Path(call.flags.output or run.root / "steered" / name)
    if output.suffix != ".html" or output.is_dir():
        raise InvalidInput(f"--output: expected a file that ends in .html, got {output}.")
    model = Models(run.config).subject()
    vectors.check_model(model)
    with call.terminal.task("steer", request.n_conditions, "continuations") as advance:
        gauge = SteeringCost(model, texts)
        conditions = steered_text.write_conditions(model, vectors, gauge, budget, request, advance)
    shared = steered_text.shared_first_tokens(model, vectors.emotions)
    about = _about(model.name, request)
    call.terminal.table(
        f"{about}: {request.prompt!r}",
        _rows(request, conditions, shared, vectors.provenance.target_layer),
    )
    for warning in (warnings := _warnings(conditions, budget)):
        call.terminal.warn(warning)
    call.terminal.result(
        {
            "model": model.name,
            **_plain(request),
            "carriers_steered": steered_text.on_carriers(request.positions)[1],
            "neutral_text_steered": on_texts(request.positions)[1],
            "budget": asdict(budget),
            "shared_first_token": shared,
            "baseline": asdict(conditions[0]),
            "steered": [asdict(condition) for condition in conditions[1:]],
            "warnings": warnings,
        }
    )
    try:  # the text is said by now
        write_text(output, render(request, about, conditions, str(budget), shared))
    except StorageError as error:
        raise StorageError(
            f"the text is above; its page, {output}, could not be written: {error.__cause__}. "
            "Choose another place with --output=FILE.html."
        ) from error
    call.terminal.result({"written": str(output)})
    call.terminal.written([output])
    return 0


def _plain(request: SteeringRequest) -> dict[str, Any]:
    return {**asdict(request), "positions": str(request.positions)}


def _warnings(conditions: list[Steered], budget: Budget) -> list[str]:
    warnings = []
    for condition in conditions:
        cost = condition.cost
        if cost is not None and not condition.within_budget:
            warnings.append(
                f"{condition.name} is past the usable range: KL {cost.kl:.2f} nats and perplexity "
                f"x{cost.perplexity_ratio:.2f} on neutral text, with a budget of {budget}. --auto "
                "finds the largest dose within it."
            )
        if condition.capped:
            warnings.append(
                f"{condition.name}: --auto tries no larger dose, and this one is within the "
                f"budget of {budget}; give --dose to go further."
            )
    return warnings


def read_request(flags: Steer, vectors: EmotionVectors) -> SteeringRequest:
    """Check what was asked for against the run's vectors, before a model is loaded."""
    if not flags.emotion:
        raise InvalidInput(f"--emotion: expected one or more of: {', '.join(vectors.emotions)}.")
    for name in (*flags.emotion, *flags.watch):
        vectors[name]  # raises, naming those there are
    if flags.prompt is None or not flags.prompt.strip():
        raise InvalidInput('--prompt: expected a text to continue, e.g. --prompt "He came in and".')
    layers = list(flags.layers) or [vectors.provenance.target_layer]
    for layer in layers:
        vectors.layer_index(layer)  # raises, naming those there are
    if len(set(layers)) != len(layers):
        raise InvalidInput(f"--layers: expected each layer once, got {layers}.")
    if flags.operation == "project":
        if flags.dose or flags.auto:
            raise InvalidInput("--operation=project removes the direction; it takes no dose.")
    elif flags.auto == bool(flags.dose):
        raise InvalidInput("expected either --dose, e.g. --dose 0.05,0.1, or --auto.")
    return SteeringRequest(
        prompt=flags.prompt,
        emotions=list(dict.fromkeys(flags.emotion)),
        doses=list(flags.dose),
        layers=layers,
        positions=_positions(flags.positions),
        watch=list(dict.fromkeys(flags.watch)),
        **flags.model_dump(include=_AS_TYPED),
    )


def _positions(spelled: str) -> Where | Rule:
    """Read ``all``, ``last``, ``speaker:assistant``, ``text:some words``, ``span:3-8``, ..."""
    if spelled in get_args(Where):
        return spelled  # type: ignore[return-value]
    kind, _, rest = spelled.partition(":")
    if kind in ("speaker", "text") and rest:
        return Speaker(rest) if kind == "speaker" else TextSpan(rest)
    if kind == "last" and rest.isdigit():
        return Last(int(rest))
    if kind == "span" and (ends := re.fullmatch(r"(\d+)-(\d+)", rest)):
        return Span(int(ends[1]), int(ends[2]))
    raise InvalidInput(
        f"--positions: expected one of {', '.join(get_args(Where))}, speaker:NAME, text:WORDS, "
        f"last:N or span:FROM-TO (tokens of the prompt), got {spelled!r}."
    )


def _about(model: str, request: SteeringRequest) -> str:
    layers = ", ".join(map(str, request.layers))
    where = f"layer {layers}"
    if len(request.layers) > 1:
        where = f"layers {layers}, {'split' if request.split else 'at each'}"
    operation = f"{request.operation}, positions {request.positions}, seed {request.seed}"
    return f"{model}, {where}, {operation}"


def _rows(
    request: SteeringRequest, conditions: list[Steered], shared: list[str], target: int
) -> list[tuple[str, str]]:
    rows = []
    for condition in conditions:
        steered = condition.emotion is not None
        sign, what = ("+", "change") if steered else ("", "log-probability")
        words = [
            f"{word}{'*' if word in shared else ''} {value:{sign}.2f}"
            for word, value in condition.shown_words(request.emotions).items()
        ]
        facts = [f"{what} of words (nats): {', '.join(words)}"]
        if condition.perplexity is not None:
            facts.append(f"perplexity {condition.perplexity:.1f}")
        facts.append(f"repetition {condition.repetition:.0%}")
        if (cost := condition.cost) is not None:
            facts.append(f"neutral text: KL {cost.kl:.2f}, x{cost.perplexity_ratio:.2f}")
        if steered and request.operation != "project":
            added = [f"layer {layer}: {c:.4g}" for layer, c in condition.coefficients.items()]
            facts.append(f"coefficient at {', '.join(added)}")
        facts += [f"{name}: {value}" for name, value in condition.watched_words().items()]
        rows.append((condition.name, f"{condition.text.strip()}\n{'; '.join(facts)}"))
    rows.append(("words and cost", steered_text.explained(request, shared)))
    if request.watch:
        rows.append(("watched", f"{steered_text.WATCHED} Layer {target}."))
    return rows
