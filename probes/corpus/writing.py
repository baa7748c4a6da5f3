"""From cells to accepted texts: prompts, rounds of sampling, judging, topping up.

1. Cells are cut into *units*: as many whole cells as fill one batch. A unit's seed depends on the
   run's seed and the unit's cells alone.
2. Round 1 asks for every missing text of the unit in one batch; each answer is judged
   (`filtering`). What was rejected is asked for again, with the round's own seed, up to
   `max_attempts`. From the second round on, tokens that are a banned word may be suppressed
   (`Rules.suppress`).
3. What is still missing is counted. With the number of rounds, a unit can be taken up later as if
   nothing had been between.

The phrasings take turns over topics and over the prompts of a cell, so that first and third person
meet in every topic. It is the same for all emotions, so that none is told apart by it; only where a
cell has a single prompt do they take turns over the emotions as well.

Contract: the model is a function from prompts to raw answers; writes no files.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Literal

from probes.corpus.cells import Cell
from probes.corpus.exchange import Answer
from probes.corpus.filtering import Verdict, fingerprint, judge_dialogue, judge_story, split_stories
from probes.corpus.thoughts import without_thought
from probes.stimuli import (
    STORY_MARKER,
    NeutralPrompt,
    StoryPrompt,
    emotions,
    feeling,
    neutral_prompts,
    story_prompts,
)
from probes.storage import digest_of, seed_of

_LOOKED_AT = 1200
"""Texts of a cell whose prompts are looked at beforehand: all phrasings many times over."""

WriteFn = Callable[[Sequence[str], int, Sequence[str | None]], Sequence[Answer]]
"""(prompts, seed, emotion whose words to suppress or None for each prompt) -> answers, in order."""


@dataclass(frozen=True)
class Rules:
    """What is asked for and what is kept."""

    texts_per_cell: int
    texts_per_prompt: int
    min_words: int
    truncation: Literal["reject", "trim"]
    max_attempts: int
    chat: bool
    """Whether the writer takes instructions (chat) or continues text (base)."""
    suppress: Literal["never", "retries", "always"] = "never"
    """When the writer's tokens for banned words are suppressed."""
    neutral_form: Literal["dialogue", "answer"] = "dialogue"

    @property
    def at_once(self) -> int:
        """Texts that a prompt asks for, at most; who only continues text can be asked for one."""
        return min(self.texts_per_prompt, self.texts_per_cell) if self.chat else 1


@dataclass(frozen=True)
class Grid:
    """The emotions and topics of a run, in order."""

    emotions: Sequence[str]
    topics: Sequence[str]

    def first_turn(self, cell: Cell, rules: Rules) -> int:
        """Return which phrasing the first prompt of a cell has."""
        turn = self.topics.index(cell.topic)
        single = rules.texts_per_cell <= rules.at_once
        if cell.emotion is None or not single:
            return turn
        return turn + self.emotions.index(cell.emotion)


@dataclass(frozen=True)
class Request:
    """One prompt for `count` texts of a cell."""

    cell: Cell
    slots: tuple[int, ...]
    prompt: str
    phrasing: str
    opening: str = ""
    """Text that stands before the answer in the finished text."""


def plan_units(cells: Sequence[Cell], texts_per_cell: int, batch_size: int) -> list[list[Cell]]:
    """Cut cells into units of about `batch_size` texts, at least one cell each."""
    size = max(1, batch_size // texts_per_cell)
    return [list(cells[start : start + size]) for start in range(0, len(cells), size)]


def unit_seed(seed: int, unit: Sequence[Cell], attempt: int) -> int:
    """Seed of a unit's round: the run's seed, the unit's cells and the round decide it."""
    return seed_of(seed, *[(cell.emotion, cell.topic) for cell in unit], attempt)


def prompt_digest() -> str:
    """Digest of every prompt template, recorded with the texts."""
    prompts = [vars(prompt) for prompt in (*story_prompts(), *neutral_prompts())]
    return digest_of([prompts, [feeling(emotion) for emotion in emotions()], STORY_MARKER])


def _request(cell: Cell, grid: Grid, slots: tuple[int, ...], rules: Rules) -> Request:
    turn = grid.first_turn(cell, rules) + slots[0] // rules.at_once
    if cell.emotion is None:
        neutral: NeutralPrompt = neutral_prompts()[turn % len(neutral_prompts())]
        if rules.neutral_form == "answer":
            question = neutral.question.format(topic=cell.topic)
            opening = f"Person: {question}\nAssistant: "
            return Request(
                cell, slots, question if rules.chat else opening.rstrip(), neutral.id, opening
            )
        template = neutral.template if rules.chat else neutral.plain_template
        return Request(cell, slots, template.format(topic=cell.topic), neutral.id)
    story: StoryPrompt = story_prompts()[turn % len(story_prompts())]
    fields: dict[str, Any] = {"topic": cell.topic, "emotion": cell.emotion}
    fields["feeling"] = feeling(cell.emotion)
    if len(slots) > 1:
        template = story.batch_template
        fields |= {"count": len(slots), "marker": STORY_MARKER}
    else:
        template = story.template if rules.chat else story.plain_template
    return Request(cell, slots, template.format(**fields), story.id)


def first_prompts(unit: Sequence[Cell], grid: Grid, rules: Rules) -> list[str]:
    """Return the prompts of a unit's first round; of a cell's thousands, the first of them."""
    few = replace(rules, texts_per_cell=min(rules.texts_per_cell, _LOOKED_AT))
    return [
        _request(cell, grid, slots, rules).prompt
        for cell in unit
        for slots in _missing_slots({}, few)
    ]


def _texts(request: Request, raw: Answer) -> list[tuple[str, bool]]:
    """Return the texts in one answer, without a thought before them, and whether each is whole."""
    spoken = without_thought(raw.text)
    if spoken is None:
        return [("", False)] * len(request.slots)
    if len(request.slots) == 1:
        return [(request.opening + spoken.lstrip(), raw.finished)]
    stories = split_stories(spoken, STORY_MARKER, finished=raw.finished)
    return [(story, True) for story in stories[: len(request.slots)]]


def _judge(text: str, finished: bool, cell: Cell, rules: Rules, seen: set[str]) -> Verdict:
    limits: dict[str, Any] = {"min_words": rules.min_words, "truncation": rules.truncation}
    if cell.emotion is None:
        return judge_dialogue(text, finished=finished, seen=seen, **limits)
    return judge_story(text, finished=finished, emotion=cell.emotion, seen=seen, **limits)


def write_unit(
    unit: Sequence[Cell],
    grid: Grid,
    rules: Rules,
    seed: int,
    write: WriteFn,
    begun: Mapping[Cell, dict[str, Any]] | None = None,
) -> dict[Cell, dict[str, Any]]:
    """Write all texts of a unit; `begun` is what an earlier call with fewer attempts returned.

    Returns the content of each cell's file: ``texts`` by index, ``rejected`` (index, attempt,
    reason, words that named the emotion), ``requested``, ``attempts`` (rounds of the whole unit),
    and ``usage`` of answers that say what they cost.
    """
    begun = begun or {cell: {"texts": [], "rejected": [], "attempts": 0} for cell in unit}
    accepted = {cell: {text["index"]: text for text in begun[cell]["texts"]} for cell in unit}
    rejected = {cell: list(begun[cell]["rejected"]) for cell in unit}
    usage = {cell: Counter(begun[cell]["usage"]) for cell in unit if "usage" in begun[cell]}
    seen = {fingerprint(text["text"]) for texts in accepted.values() for text in texts.values()}
    rounds = max(content["attempts"] for content in begun.values())
    for attempt in range(rounds + 1, rules.max_attempts + 1):
        requests = [
            _request(cell, grid, slots, rules)
            for cell in unit
            for slots in _missing_slots(accepted[cell], rules)
        ]
        if not requests:
            break
        rounds = attempt
        suppress = rules.suppress == "always" or (rules.suppress == "retries" and attempt > 1)
        raws = write(
            [request.prompt for request in requests],
            unit_seed(seed, unit, attempt),
            [request.cell.emotion if suppress else None for request in requests],
        )
        for request, raw in zip(requests, raws, strict=True):
            cell, texts = request.cell, _texts(request, raw)
            usage.setdefault(cell, Counter()).update(vars(raw.usage))
            for slot, written in zip_longest(request.slots, texts):
                made = {"index": slot, "attempt": attempt, "phrasing": request.phrasing}
                if raw.refusal is not None:
                    reason = f"refused by the server: {raw.refusal}"
                    rejected[cell].append({**made, "reason": reason})
                    continue
                if written is None:
                    rejected[cell].append({**made, "reason": "missing"})
                    continue
                text, finished = written
                verdict = _judge(text, finished, cell, rules, seen)
                if verdict.rejected is None:
                    seen.add(fingerprint(verdict.text))
                    kept = {"text": verdict.text, "trimmed": verdict.trimmed}
                    accepted[cell][slot] = {**made, **kept}
                else:
                    named = {"named": list(verdict.named)} if verdict.named else {}
                    rejected[cell].append({**made, "reason": verdict.rejected, **named})
    return {
        cell: {
            "texts": [accepted[cell][slot] for slot in sorted(accepted[cell])],
            "rejected": rejected[cell],
            "requested": rules.texts_per_cell,
            "attempts": rounds,
            **({"usage": dict(usage[cell])} if cell in usage else {}),
        }
        for cell in unit
    }


def _missing_slots(accepted: dict[int, Any], rules: Rules) -> list[tuple[int, ...]]:
    missing = [slot for slot in range(rules.texts_per_cell) if slot not in accepted]
    size = rules.at_once
    return [tuple(missing[start : start + size]) for start in range(0, len(missing), size)]
