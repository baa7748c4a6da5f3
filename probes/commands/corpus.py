"""``emotion-probes corpus``: the audit of a corpus before a model reads it; no model, no run."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.commands import Corpus
from probes.commands.call import Call
from probes.commands.terminal import plain
from probes.corpus import audit, reference
from probes.corpus.audit import AuditedText
from probes.corpus.brought import read_rows
from probes.stimuli import emotions
from probes.texts import lexical
from probes.texts.lexical import LexicalReading

_SHOWN = 5
_ABOUT = ("form", "person", "tense", "area", "writer")
SAID = "said"
_TIMES_CHANCE = 2


@dataclass(frozen=True)
class CorpusCheck:
    """One limit, and what passes it, by where it stands."""

    name: str
    value: str
    limit: str
    wrong: Sequence[str]

    @property
    def line(self) -> str:
        """What the table says."""
        if not self.wrong:
            return f"{self.value} (limit: {self.limit})"
        more = f" and {len(self.wrong) - _SHOWN} more" if len(self.wrong) > _SHOWN else ""
        return (
            f"TOO MUCH: {self.value} (limit: {self.limit}): {'; '.join(self.wrong[:_SHOWN])}{more}"
        )


def main(call: Call[Corpus]) -> int:
    """Audit a corpus; 1 where a limit is passed."""
    flags = call.flags
    if len(call.words) != 1:
        raise InvalidInput(
            f"corpus: expected one file of JSON lines, or {reference.NAME}, got "
            f"{' '.join(call.words) or 'nothing'}."
        )
    is_ours = call.words[0] == reference.NAME
    shown = list(_reference() if is_ours else _own(call.words[0]))
    said = [text for text in shown if text.about.get("form") == SAID]
    shown = [text for text in shown if text.about.get("form") != SAID]
    said += list(_said()) if is_ours else []
    words = flags.words or ((60, 85) if is_ours else None)
    checks = list(_checks(shown, words, flags))
    readings = _read(shown, said, flags)
    checks += list(_across(readings))
    terminal = call.terminal
    terminal.table(f"{call.words[0]}: what is there", list(_described(shown, said)))
    terminal.table("word counts name the emotion (chance counts for nothing)", _rows(readings))
    terminal.table("limits", [(check.name, check.line) for check in checks])
    failed = [check for check in checks if check.wrong]
    terminal.result(
        plain(
            {
                "texts": len(shown),
                "described": dict(_described(shown, said)),
                "readings": [asdict(reading) for reading in readings],
                "checks": [{**asdict(check), "ok": not check.wrong} for check in checks],
            }
        )
    )
    if failed:
        terminal.error(f"{len(failed)} limits are passed: {', '.join(it.name for it in failed)}.")
    return 1 if failed else 0


def _own(path: str) -> Iterator[AuditedText]:
    for row, where in read_rows(Path(path), ("emotion", "topic", ("ending", "text"))):
        about = {key: str(row[key]) for key in _ABOUT if key in row}
        text = row.get("ending") or row["text"]
        yield AuditedText(row["emotion"], row["topic"], text, where, about)


def _reference() -> Iterator[AuditedText]:
    by_name = {situation.name: situation for situation in reference.situations()}
    for ending in reference.endings():
        situation = by_name[ending.topic]
        about = {key: getattr(situation, key) for key in _ABOUT if key != "writer"}
        where = f"{ending.emotion} / {ending.topic}"
        about["writer"] = ending.writer
        yield AuditedText(ending.emotion, ending.topic, ending.text, where, about)


def _said() -> Iterator[AuditedText]:
    for emotion in emotions():
        phrase = reference.phrase_of(emotion)
        for frame in reference.frames():
            where = f"{emotion} / {frame.name}"
            text = frame.filled(phrase)
            yield AuditedText(emotion, frame.name, text, where, {"form": SAID})


def _described(
    shown: Sequence[AuditedText], said: Sequence[AuditedText]
) -> Iterator[tuple[str, str]]:
    lengths = [len(text.text.split()) for text in shown]
    cells = Counter(text.cell for text in shown)
    n_emotions, n_topics = (len({text.cell[n] for text in shown}) for n in (0, 1))
    yield "texts", f"{len(shown):,} of {n_emotions} emotions on {n_topics} topics"
    yield "texts per cell", f"{min(cells.values())} to {max(cells.values())}"
    mean = sum(lengths) / len(lengths)
    yield "words per text", f"{mean:.0f} on average, {min(lengths)} to {max(lengths)}"
    if said:
        yield "said", f"{len(said):,} frames that name an emotion"
    for key in _ABOUT:
        counted = Counter(text.about[key] for text in shown if key in text.about)
        if counted:
            yield key, ", ".join(f"{name} {n}" for name, n in counted.most_common())
    yield "commonest names", ", ".join(f"{name} {n}" for name, n in audit.names_in(shown))
    for writer, habits in audit.tics(shown).items():
        spelled = ", ".join(f"{name} {share:.0%}" for name, share in habits.items())
        yield f"habits of writer {writer}", spelled


def _checks(
    shown: Sequence[AuditedText], words: tuple[int, int] | None, flags: Corpus
) -> Iterator[CorpusCheck]:
    gaps = [f"{emotion} / {topic}" for emotion, topic in audit.missing_cells(shown)]
    yield CorpusCheck("cells without a text", str(len(gaps)), "0", gaps)
    if words is not None:
        low, high = words
        wrong = [
            f"{text.where} ({n} words)"
            for text in shown
            if not low <= (n := len(text.text.split())) <= high
        ]
        yield CorpusCheck(
            "texts of another length", str(len(wrong)), f"0 outside {low}-{high}", wrong
        )
    named = [f"{text.where} ({', '.join(words)})" for text, words in audit.leaking(shown)]
    yield CorpusCheck("texts that name an emotion", str(len(named)), "0", named)
    pairs = [f"{a} and {b} ({share:.2f})" for share, a, b in audit.alike(shown, flags.alike)]
    yield CorpusCheck(
        "pairs that are nearly the same", str(len(pairs)), f"0 above {flags.alike:g}", pairs
    )
    runs = [f"{words!r} in {n}" for words, n in audit.repeated(shown, flags.repeats).items()]
    limit = f"0 in more than {flags.repeats} texts"
    yield CorpusCheck("five words in a row, repeated", str(len(runs)), limit, runs)
    signatures = [
        f"{it.emotion}: {it.word} ({it.n} of {it.of})"
        for it in audit.signatures(shown, flags.signature)
    ]
    limit = (
        f"0 in over {flags.signature:.0%} of an emotion's texts, three times as often as elsewhere"
    )
    yield CorpusCheck("signature words", str(len(signatures)), limit, signatures)


def _read(
    shown: Sequence[AuditedText], said: Sequence[AuditedText], flags: Corpus
) -> list[LexicalReading]:
    texts = [*shown, *said]
    how: dict[str, Any] = {"n_resamples": flags.resamples, "seed": flags.seed}
    readings = lexical.read_all(texts, {"word counts": lexical.word_counts(texts)}, **how)
    if said and len({text.about.get("form") for text in shown}) > 1:
        both = [AuditedText(t.emotion, t.topic, t.text, t.where, {"form": "shown"}) for t in shown]
        texts = [*both, *said]
        readings += lexical.read_all(texts, {"word counts": lexical.word_counts(texts)}, **how)
    return readings


def _across(readings: Sequence[LexicalReading]) -> Iterator[CorpusCheck]:
    for reading in readings:
        if reading.learned is None or SAID not in (reading.learned, reading.read):
            continue
        most = _TIMES_CHANCE * reading.chance
        wrong = [f"{reading.accuracy.value:.1%}"] if reading.accuracy.value > most else []
        name = f"{reading.reader}, {reading.learned} -> {reading.read}"
        yield CorpusCheck(name, f"{reading.accuracy.value:.1%}", f"{most:.1%}, twice chance", wrong)


def _rows(readings: Sequence[LexicalReading]) -> list[tuple[str, str]]:
    rows = []
    for reading in readings:
        learned = (
            "held-out topics" if reading.learned is None else f"learned from {reading.learned}"
        )
        parts = [f"{reading.accuracy:.1%} (chance {reading.chance:.1%})"]
        parts += [f"cluster {reading.clusters:.0%}"] if reading.clusters else []
        parts += [f"within valence side {reading.within_side:.0%}"] if reading.within_side else []
        rows.append((f"{reading.reader}: {reading.read or 'all'}, {learned}", "; ".join(parts)))
    return rows
