"""What writing will take: requests, tokens, time and money, before the start.

What a draft is like, and how often one is asked for again, come from this run's finished cells
(`look`); before there are any from one answer of the server; without a server from four letters per
token and answers of full length.

Contract: writes nothing. No rejections are known before some were seen: `generation.max_attempts`
gives the bound. Requests at once are taken not to slow each other down.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probes.config import Config, EndpointSettings
from probes.corpus.cells import Cell, read_cell
from probes.corpus.endpoint import Greeting
from probes.corpus.writing import Rules, first_prompts
from probes.runs.folder import Run
from probes.runs.reporting import duration
from probes.stages.units import TextKind, WritingUnit, grid_of, most_new_tokens, rules
from probes.vectors.activations import Kind

_LETTERS_PER_TOKEN = 4.0
_SAMPLE = 300
"""Cells that are looked at for an estimate."""
Content = dict[str, Any]
"""What a cell's file holds."""


@dataclass(frozen=True)
class Asked:
    """Texts of one kind that are asked for."""

    cells: int
    texts: int
    prompts: int
    """First drafts."""
    prompt_tokens: float
    """Length of a prompt."""
    new_tokens: int
    """Limit of an answer."""


@dataclass(frozen=True)
class Seen:
    """What earlier work says about texts of one kind; None where nothing is known."""

    drafts_per_prompt: float | None = None
    """Answers to a prompt until its texts were kept or given up."""
    prompt_tokens: float | None = None
    """Of a draft, as the writer counts them."""
    tokens_per_draft: float | None = None
    """New tokens of an answer, as the writer counts them."""
    kept_per_text: float | None = None
    """Share of the texts asked for that were kept in the end."""
    tokens_per_text: float | None = None
    """Tokens of a text that was kept, as the subject counts them."""
    letters_per_text: float | None = None


@dataclass(frozen=True)
class Amount:
    """What is written and read."""

    drafts: float
    prompt_tokens: float
    new_tokens: float
    kept: float
    read: float
    """Tokens of the texts that are kept."""
    letters: float

    def __add__(self, other: "Amount") -> "Amount":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Amount(*[one + another for one, another in pairs])


def amount(asked: Asked, seen: Seen) -> Amount:
    """Work out what is written and read; unseen drafts are taken to be kept and of full length."""
    drafts = asked.prompts * (seen.drafts_per_prompt or 1.0)
    kept = asked.texts * (1.0 if seen.kept_per_text is None else seen.kept_per_text)
    read = kept * (seen.tokens_per_text or asked.new_tokens * asked.prompts / asked.texts)
    letters = seen.letters_per_text
    return Amount(
        drafts=drafts,
        prompt_tokens=drafts * (seen.prompt_tokens or asked.prompt_tokens),
        new_tokens=drafts * (seen.tokens_per_draft or asked.new_tokens),
        kept=kept,
        read=read,
        letters=kept * letters if letters else read * _LETTERS_PER_TOKEN,
    )


def asked_for(
    config: Config, kind: TextKind, n_cells: int, ruled: Rules, prompt_tokens: float
) -> Asked:
    """Count what writing a number of cells asks for."""
    return Asked(
        cells=n_cells,
        texts=n_cells * ruled.texts_per_cell,
        prompts=n_cells * math.ceil(ruled.texts_per_cell / ruled.at_once),
        prompt_tokens=prompt_tokens,
        new_tokens=most_new_tokens(config, kind, ruled),
    )


def cells_of(run: Run, kind: Kind) -> list[Cell]:
    """Return the cells of one kind of text."""
    texts = run.texts
    return {
        "stories": texts.story_cells,
        "said": texts.said_cells,
        "neutral": texts.neutral_cells,
        "matched": texts.matched_cells,
    }[kind]


def recorded(
    run: Run, kind: TextKind, texts_per_prompt: int, n_tokens: Callable[[str], int] | None = None
) -> Seen | None:
    """Look at a sample of the run's finished cells; see `look`."""
    done = [cell for cell in cells_of(run, kind) if (run.root / cell.path).exists()]
    sample = done[:: max(1, len(done) // _SAMPLE)]
    return look((read_cell(run.root, cell) for cell in sample), texts_per_prompt, n_tokens)


def look(
    contents: Iterable[Content],
    texts_per_prompt: int,
    n_tokens: Callable[[str], int] | None = None,
) -> Seen | None:
    """Count drafts, kept texts and lengths of cells (`n_tokens`: the subject's), or None."""
    texts: list[str] = []
    asked = prompts = 0
    usage: Counter[str] = Counter()
    counted: Counter[str] = Counter()  # of cells whose tokens the writer counted
    for content in contents:
        texts += [text["text"] for text in content["texts"]]
        asked += content["requested"]
        prompts += math.ceil(content["requested"] / texts_per_prompt)
        spent = content.get("usage", {})
        usage.update(spent)
        counted.update({} if spent.get("uncounted") else spent)
    if not texts:
        return None
    drafts = counted["requests"]
    return Seen(
        drafts_per_prompt=usage["requests"] / prompts if usage["requests"] else None,
        prompt_tokens=counted["prompt_tokens"] / drafts if drafts else None,
        tokens_per_draft=counted["completion_tokens"] / drafts if drafts else None,
        kept_per_text=len(texts) / asked,
        tokens_per_text=sum(map(n_tokens, texts)) / len(texts) if n_tokens else None,
        letters_per_text=sum(len(text.encode()) for text in texts) / len(texts),
    )


def estimated(
    run: Run, kind: TextKind, todo: Sequence[WritingUnit], greeting: Greeting | None
) -> Iterator[tuple[str, str]]:
    """Yield what the units that are not there will take, as rows of name and value."""
    config, endpoint = run.config, run.config.endpoint
    ruled = rules(config, kind, chat=endpoint.api == "chat")
    cells = [cell for unit in todo for cell in unit.cells]
    prompts = first_prompts(cells[:: max(1, len(cells) // _SAMPLE)], grid_of(config), ruled)
    letters = sum(map(len, prompts)) / len(prompts)
    asked = asked_for(config, kind, len(cells), ruled, letters / _LETTERS_PER_TOKEN)
    seen, basis = _seen(run, kind, ruled, greeting)
    expected = amount(asked, seen)
    requests, most = round(expected.drafts), asked.prompts * ruled.max_attempts
    most_tokens = most * asked.new_tokens
    yield "to write", f"{asked.texts:,} {kind} in {asked.cells:,} cells"
    yield "requests", f"about {requests:,}, at most {most:,}"
    yield "prompt tokens", f"about {round(expected.prompt_tokens):,}"
    yield "new tokens", f"about {round(expected.new_tokens):,}, at most {most_tokens:,}"
    at_once = min(requests, endpoint.concurrency * max(1, len(config.generation.base_urls)))
    yield "time", _time(expected, endpoint, at_once, greeting)
    if config.generation.engine == "openai":
        about = cost(endpoint, expected.prompt_tokens, expected.new_tokens)
        prompts_at_most = most * expected.prompt_tokens / expected.drafts
        at_most = cost(endpoint, prompts_at_most, float(most_tokens))
        known = f"about {about:,.2f}, at most {at_most:,.2f}, in the prices' currency"
        prices = "unknown; endpoint.input_price and output_price state prices per million tokens"
        yield "cost", prices if math.isnan(about) else known
    yield "basis", basis


def cost(endpoint: EndpointSettings, prompt_tokens: float, new_tokens: float) -> float:
    """Return what tokens cost at the stated prices; NaN without these."""
    if endpoint.input_price is None or endpoint.output_price is None:
        return math.nan
    return (prompt_tokens * endpoint.input_price + new_tokens * endpoint.output_price) / 1e6


def _time(
    expected: Amount, endpoint: EndpointSettings, at_once: int, greeting: Greeting | None
) -> str:
    rate = endpoint.tokens_per_second
    if rate is not None:
        seconds = expected.new_tokens / rate
        return f"about {duration(seconds)} at {rate:g} new tokens per second"
    if greeting is None:
        return "unknown; endpoint.tokens_per_second states a rate"
    seconds = expected.drafts * greeting.seconds / max(1, at_once)
    return (
        f"about {duration(seconds)}, if {at_once} requests at once take "
        f"{greeting.seconds:.1f} s each as one did alone"
    )


def _seen(run: Run, kind: TextKind, ruled: Rules, greeting: Greeting | None) -> tuple[Seen, str]:
    """Return what finished cells or one answer say of a draft, and which of them it was."""
    earlier = recorded(run, kind, ruled.at_once)
    if earlier is not None and earlier.tokens_per_draft is not None:
        return earlier, "cells of this run that are finished"
    if greeting is None:
        return Seen(), "no answer seen: 4 letters per token, answers of full length"
    usage = greeting.answer.usage
    if usage.uncounted or not usage.completion_tokens:
        return Seen(), "the server counts no tokens: 4 letters per token, answers of full length"
    of_one = Seen(
        prompt_tokens=usage.prompt_tokens / usage.requests,
        tokens_per_draft=usage.completion_tokens / usage.requests,
    )
    return of_one, "one answer, without rejections"
