"""``emotion-probes corpus``: the audit of a corpus before a model reads it; no model, no run."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from hooks.errors import InvalidInput
from probes.commands import Corpus, corpus_limits
from probes.commands.call import Call
from probes.commands.terminal import plain
from probes.corpus import audit, audited, reference
from probes.corpus.audit import AuditedText
from probes.corpus.audited import SAID, SHOWN
from probes.corpus.cells import n_shared_topics
from probes.texts import lexical
from probes.texts.lexical import LexicalReading


def main(call: Call[Corpus]) -> int:
    """Audit a corpus; 1 where a limit is passed."""
    flags = call.flags
    if len(call.words) != 1:
        raise InvalidInput(
            f"corpus: expected one file of JSON lines, or {reference.NAME}, got "
            f"{' '.join(call.words) or 'nothing'}."
        )
    source = call.words[0]
    is_ours = source == reference.NAME
    shown = audited.stories(source)
    others = flags.said or (reference.NAME if is_ours else None)
    said = audited.said(others, dict.fromkeys(it.emotion for it in shown)) if others else []
    others = flags.neutral or (reference.NAME if is_ours else None)
    neutral = audited.neutral(others) if others else []
    words = flags.words or ((60, 85) if is_ours else None)
    checks = list(corpus_limits.of_shown(shown, words, flags))
    checks += corpus_limits.of_said(said, shown) if said else []
    checks += corpus_limits.of_neutral(neutral, shown, words) if neutral else []
    readings = _read(shown, said)
    checks += corpus_limits.of_readings(readings)
    described = dict(_described(shown, said, neutral))
    terminal = call.terminal
    terminal.table(f"{source}: what is there", list(described.items()))
    terminal.table("word counts name the emotion (chance counts for nothing)", _rows(readings))
    terminal.table("limits", [(check.name, check.line) for check in checks])
    failed = [check for check in checks if check.wrong]
    terminal.result(
        plain(
            {
                "texts": len(shown),
                "described": described,
                "readings": [asdict(reading) for reading in readings],
                "checks": [{**asdict(check), "ok": not check.wrong} for check in checks],
            }
        )
    )
    if failed:
        terminal.error(f"{len(failed)} limits are passed: {', '.join(it.name for it in failed)}.")
    return 1 if failed else 0


def _described(
    shown: Sequence[AuditedText], said: Sequence[AuditedText], neutral: Sequence[AuditedText]
) -> Iterator[tuple[str, str]]:
    cells = Counter(text.cell for text in shown)
    n_emotions, n_topics = (len({cell[n] for cell in cells}) for n in (0, 1))
    yield "texts", f"{len(shown):,} of {n_emotions} emotions on {n_topics} topics"
    if (n_shared := n_shared_topics(cells)) < n_topics:
        undefined = "; accuracy on held-out topics is not defined" if n_shared < 2 else ""
        yield "topics that emotions share", f"{n_shared} of {n_topics}{undefined}"
    yield "texts per cell", f"{min(cells.values())} to {max(cells.values())}"
    yield "words per text", _lengths([text.text for text in shown])
    for part in ("opening", "closing"):
        parts = {text.topic: value for text in shown if (value := getattr(text, part))}
        if parts:
            yield f"words per {part}", f"{_lengths(list(parts.values()))}; {len(parts)} topics"
    if said:
        n_frames, n_emotions = len({it.topic for it in said}), len({it.emotion for it in said})
        yield "said", f"{len(said):,} texts: {n_frames} frames, {n_emotions} emotions"
    if neutral:
        zeros = [text for text in neutral if text.opening]
        of = f"{len(zeros)} zeros on {len({text.topic for text in zeros})} topics"
        yield "neutral", f"{of}, {len(neutral) - len(zeros)} documents"
    for key in audited.ABOUT:
        counted = Counter(text.about[key] for text in shown if key in text.about)
        if counted:
            yield key, ", ".join(f"{name} {n}" for name, n in counted.most_common())
    names = ", ".join(f"{name} {n}" for name, n in audit.names_in(shown))
    yield "commonest names", names or "none"
    for writer, habits in audit.tics(shown).items():
        spelled = ", ".join(f"{name} {share:.0%}" for name, share in habits.items())
        yield f"habits of writer {writer}", spelled


def _lengths(texts: Sequence[str]) -> str:
    lengths = [len(text.split()) for text in texts]
    mean = sum(lengths) / len(lengths)
    return f"{mean:.0f} on average, {min(lengths)} to {max(lengths)}"


def _read(shown: Sequence[AuditedText], said: Sequence[AuditedText]) -> list[LexicalReading]:
    frames = [replace(text, text=text.whole) for text in said]
    texts = [*shown, *frames]
    readers = {"word counts": lexical.word_counts(texts)}
    readings = lexical.read_all(texts, readers)
    if len({text.about.get("form") for text in shown}) > 1:
        texts = [*(replace(text, about={"form": SHOWN}) for text in shown), *frames]
        together = lexical.read_all(texts, readers)
        readings += [it for it in together if (it.learned, it.read) != (None, SAID)]
    return readings


def _rows(readings: Sequence[LexicalReading]) -> list[tuple[str, str]]:
    rows = []
    for reading in readings:
        learned = (
            "held-out topics"
            if reading.learned is None
            else f"learned from {reading.learned or SHOWN}"
        )
        parts = [f"{reading.accuracy:.1%} (chance {reading.chance:.1%})"]
        parts += [f"cluster {reading.clusters:.0%}"] if reading.clusters else []
        parts += [f"within valence side {reading.within_side:.0%}"] if reading.within_side else []
        rows.append((f"{reading.reader}: {reading.read or SHOWN}, {learned}", "; ".join(parts)))
    return rows
