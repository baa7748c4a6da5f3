"""What writing will ask of servers: requests, tokens, time and money, before the start.

1. Texts to write and their first prompts are counted, not guessed.
2. Tokens per prompt and per answer, and how often a draft is asked for again, come from what this
   run's finished cells recorded; before there are any, from one answer of the server; without a
   server, from the rule of four letters per token and answers of full length.
3. Time is new tokens over the stated rate; without one, the time of one request times their number
   over how many are under way at once, as if these did not slow each other down.
4. Cost is tokens times the stated prices.

Contract: pure arithmetic. It knows no rejections before it has seen some: `most_requests` is the
bound.
"""

from dataclasses import dataclass

_LETTERS_PER_TOKEN = 4.0


@dataclass(frozen=True)
class Work:
    """What is to be written."""

    texts: int
    requests: int
    """First drafts."""
    letters: float
    """Letters of one prompt, on the average."""
    max_new_tokens: int
    max_attempts: int


@dataclass(frozen=True)
class Seen:
    """What was asked and answered before."""

    texts: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None = None
    """Of one request, where it was measured."""


@dataclass(frozen=True)
class Terms:
    """What a server can do and what it costs."""

    at_once: int
    tokens_per_second: float | None = None
    input_price: float | None = None
    output_price: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What is to be expected; None where nothing is known."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    most_requests: int
    most_completion_tokens: int
    seconds: float | None
    cost: float | None
    most_cost: float | None


def estimate(work: Work, seen: Seen | None, terms: Terms) -> Estimate:
    """Estimate the work from what was seen; see the module's text."""
    if seen is None or not seen.requests:
        drafts = 1.0
        prompt = work.letters / _LETTERS_PER_TOKEN
        completion = float(work.max_new_tokens)
    else:
        drafts = max(1.0, seen.requests / seen.texts / (work.requests / max(work.texts, 1)))
        prompt = seen.prompt_tokens / seen.requests
        completion = seen.completion_tokens / seen.requests
    requests = work.requests * drafts
    most = work.requests * work.max_attempts
    seconds = None
    if terms.tokens_per_second is not None:
        seconds = requests * completion / terms.tokens_per_second
    elif seen is not None and seen.seconds is not None:
        seconds = requests * seen.seconds / max(1, min(terms.at_once, requests))
    return Estimate(
        requests=round(requests),
        prompt_tokens=round(requests * prompt),
        completion_tokens=round(requests * completion),
        most_requests=most,
        most_completion_tokens=most * work.max_new_tokens,
        seconds=seconds,
        cost=_cost(terms, requests * prompt, requests * completion),
        most_cost=_cost(terms, most * prompt, float(most * work.max_new_tokens)),
    )


def _cost(terms: Terms, prompt_tokens: float, completion_tokens: float) -> float | None:
    if terms.input_price is None or terms.output_price is None:
        return None
    return (prompt_tokens * terms.input_price + completion_tokens * terms.output_price) / 1e6


def duration(seconds: float) -> str:
    """Spell a time as a person would."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
