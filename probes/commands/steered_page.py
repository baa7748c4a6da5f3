"""Continuations side by side as one HTML page, with the words marked that steering changed."""

import difflib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from probes.commands.steered_text import WATCHED, Steered, SteeringRequest, explained
from probes.figures import pages

Fact = tuple[str, str, float]
"""Name and value of a number, and the change that colors it."""


def render(
    request: SteeringRequest,
    about: str,
    conditions: Sequence[Steered],
    budget: str,
    shared: Sequence[str] = (),
) -> str:
    """Return the page, the unsteered condition first; words of `shared` get a star."""
    baseline = conditions[0].text
    articles = [(it, marked(it.text, baseline), _facts(it, request, shared)) for it in conditions]
    shown: dict[str, Any] = {
        "prompt": request.prompt,
        "title": "The same prompt, steered",
        "about": about,
    }
    watched = f" Watched: {WATCHED}" if request.watch else ""
    shown |= {"budget": budget, "explained": explained(request, shared) + watched}
    return pages.render("probes.commands", "steered.html", articles=articles, **shown)


def marked(text: str, baseline: str) -> Markup:
    """Escape a text, mark the words that the baseline lacks, and strike those it alone has."""
    words, before = _pieces(text), _pieces(baseline)
    parts = []
    matcher = difflib.SequenceMatcher(None, before, words, autojunk=False)
    for kind, lost, until, start, stop in matcher.get_opcodes():
        piece, gone = (pages.running("".join(it)) for it in (words[start:stop], before[lost:until]))
        if kind == "equal":
            parts.append(piece)
            continue
        parts += [Markup("<del>{}</del>").format(gone)] if gone else []
        parts += [Markup("<mark>{}</mark>").format(piece)] if piece else []
    return Markup("").join(parts)


def _pieces(text: str) -> list[str]:
    """Words, each with the space after it."""
    pieces: list[str] = []
    for character in text:
        if pieces and (character.isspace() or not pieces[-1][-1].isspace()):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _facts(condition: Steered, request: SteeringRequest, shared: Sequence[str]) -> list[Fact]:
    steered = condition.emotion is not None
    facts = []
    for name, value in condition.shown_words(request.emotions).items():
        star = "*" if name in shared else ""
        spelled = f"{value:+.2f}" if steered else f"{value:.2f}"
        facts.append((f"word “{name}”{star}", spelled, value if steered else 0.0))
    spelled = "-" if condition.perplexity is None else f"{condition.perplexity:.1f}"
    plain = [("perplexity, unsteered model", spelled)]
    plain.append(("repetition", f"{condition.repetition:.0%}"))
    if (cost := condition.cost) is not None:
        plain.append(("neutral text: KL, nats", f"{cost.kl:.2f}"))
        plain.append(("neutral text: perplexity ratio", f"{cost.perplexity_ratio:.2f}"))
    if steered and request.operation != "project":
        plain += [
            (f"coefficient, layer {layer}", f"{coefficient:.4g}")
            for layer, coefficient in condition.coefficients.items()
        ]
    plain += [(f"watched: {name}", words) for name, words in condition.watched_words().items()]
    return facts + [(name, value, 0.0) for name, value in plain]
