"""Stages that put texts into the folder: written by a model, or the user's own."""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from probes.corpus import Cell, read_cell, write_cell
from probes.models import Models
from probes.reporting import Reporter
from probes.runs import Run
from probes.stimuli import banned
from probes.writing import Raw, Rules, plan_units, prompt_digest, write_unit

Kind = Literal["stories", "neutral"]


def generate_stories(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the stories of every cell; leaves ``stories/``."""
    return _generate(run, models, reporter, "stories", run.story_cells)


def generate_neutral(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the neutral dialogues of every topic; leaves ``neutral/``."""
    return _generate(run, models, reporter, "neutral", run.neutral_cells)


def _generate(
    run: Run, models: Models, reporter: Reporter, kind: Kind, cells: Sequence[Cell]
) -> dict[str, Any]:
    if run.brings_corpus:
        for cell in cells:
            texts = [{"index": i, "text": t} for i, t in enumerate(run.own_texts(kind)[cell])]
            content = {"texts": texts, "rejected": [], "requested": len(texts), "source": "user"}
            write_cell(run.root, cell, content)
    else:
        _write_missing(run, models, reporter, kind, cells)
    counts = count(run, cells)
    if counts["missing"]:
        reporter.note(
            f"{counts['missing']} of {counts['requested']} {kind} could not be filled within "
            f"{run.config.generation.max_attempts} attempts; the run goes on with the others."
        )
    return counts


def _rules(run: Run, kind: Kind, chat: bool) -> Rules:
    generation, neutral = run.config.generation, run.config.neutral
    stories = kind == "stories"
    return Rules(
        texts_per_cell=generation.stories_per_topic if stories else neutral.dialogues_per_topic,
        texts_per_prompt=generation.stories_per_prompt if stories else 1,
        min_words=generation.min_words if stories else neutral.min_words,
        truncation=generation.truncation,
        max_attempts=generation.max_attempts,
        chat=chat,
        suppress=generation.suppress_banned if stories else "never",
        neutral_form=neutral.form,
    )


def _write_missing(
    run: Run, models: Models, reporter: Reporter, kind: Kind, cells: Sequence[Cell]
) -> None:
    generation = run.config.generation
    per_cell = _rules(run, kind, chat=True).texts_per_cell
    units = plan_units(cells, per_cell, generation.batch_size)
    todo = [unit for unit in units if not all((run.root / cell.path).exists() for cell in unit)]
    if not todo:
        return
    writer = models.writer()
    run.pin_model(f"generate-{kind}", writer.name, writer.fingerprint)
    rules = _rules(run, kind, chat=writer.is_chat)
    section = generation if kind == "stories" else run.config.neutral
    sampling: dict[str, Any] = {
        "max_new_tokens": section.max_new_tokens,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k,
    }
    system = run.config.writer.system if writer.is_chat else None

    vocabulary = [_bare(token) for token in writer.token_strings()]

    @functools.cache
    def banned_ids(emotion: str | None) -> frozenset[int]:
        words = banned(emotion) if emotion is not None else frozenset()
        return frozenset(index for index, word in enumerate(vocabulary) if word in words)

    def write(prompts: Sequence[str], seed: int, suppressed: Sequence[str | None]) -> Sequence[Raw]:
        suppress = [banned_ids(emotion) for emotion in suppressed]
        return writer.generate(
            list(prompts), seed=seed, system=system, suppress=suppress, **sampling
        )

    made_from = {
        "writer": {
            "name": writer.name,
            "revision": writer.revision,
            "fingerprint": writer.fingerprint,
            "dtype": str(writer.dtype).removeprefix("torch."),
            "quantize": writer.quantize,
        },
        "prompts": prompt_digest(),
        "sampling": sampling,
        "seed": run.config.seed,
    }
    n_done = (len(cells) - sum(len(unit) for unit in todo)) * per_cell
    total = len(cells) * per_cell
    with reporter.task(f"writing {kind}", total, "texts", n_done) as advance:
        for unit in todo:
            written = write_unit(unit, run.config.topics, rules, run.config.seed, write)
            for cell, content in written.items():
                write_cell(run.root, cell, {**content, **made_from})
            advance(len(unit) * per_cell)


def _bare(token: str) -> str:
    return token.strip().casefold()


def count(run: Run, cells: Sequence[Cell]) -> dict[str, Any]:
    """Count what was kept, rejected (by reason) and missing, in all and per emotion."""
    emotions: dict[str, dict[str, Any]] = {}
    reasons: Counter[str] = Counter()
    accepted = requested = rejected = trimmed = leaked_first = 0
    for cell in cells:
        content = read_cell(run.root, cell)
        kept, refused = content["texts"], content["rejected"]
        kinds = Counter(item["reason"].split(":")[0] for item in refused)
        accepted += len(kept)
        requested += content["requested"]
        rejected += len(refused)
        trimmed += sum(bool(text.get("trimmed")) for text in kept)
        leaked_first += sum(
            item["attempt"] == 1 and item["reason"].startswith("leak") for item in refused
        )
        reasons.update(kinds)
        row = emotions.setdefault(
            cell.emotion or "neutral", {"accepted": 0, "rejected": Counter(), "missing": 0}
        )
        row["accepted"] += len(kept)
        row["rejected"].update(kinds)
        row["missing"] += content["requested"] - len(kept)
    return {
        "accepted": accepted,
        "requested": requested,
        "missing": requested - accepted,
        "rejected": rejected,
        "rejected_by_reason": dict(sorted(reasons.items())),
        "first_attempt_leak_share": leaked_first / requested,
        "trimmed": trimmed,
        "emotions": {
            name: {**row, "rejected": dict(sorted(row["rejected"].items()))}
            for name, row in emotions.items()
        },
    }
