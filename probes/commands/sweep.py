"""``emotion-probes sweep``: the passages of a file that activate each emotion most."""

import csv
import hashlib
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from hooks import LanguageModel
from hooks.errors import InvalidInput
from probes.commands import Sweep
from probes.commands.call import Call
from probes.commands.score import READOUT, check_lines, chosen, read_lines
from probes.commands.score_files import Given, Shown
from probes.commands.terminal import Terminal, plain
from probes.runs.lock import only_writer
from probes.runs.models import Models
from probes.storage import (
    digest_of,
    make_folder,
    ours,
    read_json,
    to_json,
    write_json,
    write_text,
)
from probes.texts.enrichment import MEANS, Enrichment, RandomPassages, enrichments, in_short
from probes.texts.scoring import readable, score_texts, windows
from probes.texts.sweeping import Leaders, SweptPassage, scores_of
from probes.texts.token_page import Block, render
from probes.vectors.bundle import BOTH, SAID, SHOWN
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.zero import Z_MEANS, spelled_z

_CONTEXT = 512  # tokens of a long text that are read at once
_TEXTS_AT_ONCE = 16
_SECONDS_BETWEEN_SAVES = 30.0
_CHUNK = 1 << 20
RECORD = "sweep.json"
"""What was swept, and until it has ended how far."""
_FILES = ("passages.jsonl", "passages.html", "words.csv")
_Above = Callable[[str, float], float]
"""Emotion and a passage's score -> z."""


def main(call: Call[Sweep]) -> int:
    """Sweep one file; leaves passages.jsonl, passages.html and words.csv in ``--output``."""
    flags = call.flags
    source = Path(flags.file or "").expanduser()
    if not source.is_file():
        raise InvalidInput(f"sweep: expected --file=corpus.jsonl, a file; {source} is none.")
    run = call.run(or_shipped=True)
    vectors = EmotionVectors.load(run.vectors_at).using(flags.vectors)
    layer, shown = chosen(flags, vectors)
    about = {
        "file": str(source.resolve()),
        "fingerprint": vectors.provenance.fingerprint,
        "vectors": [vectors.provenance.corpus_hash, vectors.provenance.config_hash],
        "layer": layer,
        **({} if vectors.way == SHOWN else {"way": vectors.way}),
        "window": flags.window,
        "top": flags.top,
        "emotions": list(shown.emotions),
    }
    # Files of one name in two folders, or two layers of one file, leave two results.
    default = run.root / "sweep" / f"{source.stem}-{digest_of(about)[:8]}"
    folder = Path(flags.output or default).expanduser()
    _check_output(folder, about)
    check_lines(source)
    make_folder(folder)
    with only_writer(folder, call.terminal.warn):
        reached = _Reached.load(folder, about, source, flags.top)
        if reached.offset:
            call.terminal.note(f"going on after line {reached.line}")
        model = Models(run.config).subject()
        _read(call.terminal, source, vectors, model, shown, reached, flags.window)
        leaders, z = reached.leaders, _above_neutral(vectors, layer)
        words = enrichments(leaders, reached.random)
        read_with = f"{vectors.provenance.model}, layer {layer}"
        files = _write(folder, leaders, words, read_with, source.name, z)
        write_json(folder / RECORD, {"about": about, "lines": reached.line})
    _show(call.terminal, leaders, words, files, reached.line, z)
    call.terminal.note(in_short(words) + _learned(vectors))
    return 0


def _above_neutral(vectors: EmotionVectors, layer: int) -> _Above | None:
    """Return how a passage's score becomes a z; None where no neutral text was read.

    Not kept with what was reached: it is the vectors' own, which `about` names.
    """
    if vectors.zero is None:
        return None

    def z(emotion: str, score: float) -> float:
        place = vectors.emotions.index(emotion)
        return float(vectors.z(torch.full((len(vectors.emotions),), score), layer)[place])

    return z


def _read(
    terminal: Terminal,
    source: Path,
    vectors: EmotionVectors,
    model: LanguageModel,
    shown: Shown,
    reached: "_Reached",
    window: int,
) -> None:
    """Read the rest of a file, and save from time to time what was reached."""
    saved, size, layer = time.monotonic(), source.stat().st_size, reached.about["layer"]
    with terminal.task("sweeping", size // 1000, "kB", reached.offset // 1000) as advance:
        for batch, end, line in _batches(source, reached.offset, reached.line):
            parts = [
                (given.name, start, given.text[start:stop])
                for given in batch
                for start, stop in readable(model, given.text, _CONTEXT)
            ]
            texts = ((text, windows(window)) for *_, text in parts)
            scored = score_texts(vectors, model, texts, layer)
            for (name, start, _), scores in zip(parts, scored, strict=True):
                tokens, passages = scores.tokens[:, shown.places], scores.parts[:, shown.places]
                for (a, b), one in zip(scores.spans, passages, strict=True):
                    first, words = start + scores.pieces[a][0], scores.words[a:b]
                    reached.leaders.offer(name, first, words, one, tokens[a:b])
                    reached.random.offer(name, first, words)
            advance(end // 1000 - reached.offset // 1000)
            reached.go(end, line)
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                reached.save()
                saved = time.monotonic()


def _check_output(folder: Path, about: dict[str, Any]) -> None:
    """Refuse to write over the passages of another sweep, or of somebody else."""
    record = folder / RECORD
    with ours(record):
        other = read_json(record)["about"] if record.is_file() else None
    taken = [name for name in _FILES if (folder / name).exists()]
    if other != about and (taken or other is not None):
        of = "nobody knows what" if other is None else f"{other.get('file')}"
        raise InvalidInput(
            f"--output: {folder} holds {', '.join(taken) or RECORD} of {of}, swept with other "
            "settings. Nothing was changed: choose another folder."
        )


@dataclass
class _Reached:
    """How far a sweep has come: what it read is known by its content."""

    folder: Path
    about: dict[str, Any]
    source: Path
    leaders: Leaders
    random: RandomPassages = field(default_factory=RandomPassages)
    offset: int = 0
    line: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def load(cls, folder: Path, about: dict[str, Any], source: Path, top: int) -> "_Reached":
        """Return where an interrupted sweep of the same beginning stopped, or the start."""
        record, start = folder / RECORD, cls(folder, about, source, Leaders(about["emotions"], top))
        with ours(record):
            state = read_json(record) if record.is_file() else {}
            if "random" not in state:  # it has ended, or is of an earlier version
                return start
            leaders = Leaders.from_json(state["leaders"])
            random = RandomPassages.from_json(state["random"])
            reached = cls(folder, about, source, leaders, random)
            reached.go(state["offset"], state["line"])
            return reached if reached.digest.hexdigest() == state["sha256"] else start

    def go(self, offset: int, line: int) -> None:
        """Go on to a place in the file."""
        with self.source.open("rb") as file:
            file.seek(self.offset)
            while content := file.read(min(_CHUNK, offset - file.tell())):
                self.digest.update(content)
        self.offset, self.line = offset, line

    def save(self) -> None:
        """Write down what was reached, whole or not at all."""
        reached = {"offset": self.offset, "line": self.line, "sha256": self.digest.hexdigest()}
        so_far = {"leaders": self.leaders.to_json(), "random": self.random.to_json()}
        write_json(self.folder / RECORD, {"about": self.about, **reached, **so_far})


def _batches(path: Path, offset: int, line: int) -> Iterator[tuple[list[Given], int, int]]:
    with path.open("rb") as file:
        file.seek(offset)
        lines = read_lines(file, path, line)
        while batch := list(islice(lines, _TEXTS_AT_ONCE)):
            yield [given for given, _ in batch], file.tell(), batch[-1][1]


def _write(
    folder: Path,
    leaders: Leaders,
    enriched: Sequence[Enrichment | None],
    about: str,
    source: str,
    z: _Above | None,
) -> list[Path]:
    lines, blocks = [], []
    for place, (emotion, kept) in enumerate(zip(leaders.emotions, leaders.passages, strict=True)):
        for rank, one in enumerate(kept, start=1):
            deviations = leaders.deviations(place, one.score)
            row = {"emotion": emotion, "rank": rank, "deviations": deviations, "text": one.text}
            lines.append(to_json(plain(row | _numbers(emotion, one, z))))
            origin = f", {deviations:+.1f} standard deviations of this file; from {one.source}"
            score = torch.tensor([one.score])
            above = None if z is None else torch.tensor([z(emotion, one.score)])
            blocks.append(Block(f"{rank}", origin, one.tokens, scores_of(one), score, place, above))
    title = f"Passages of {source} that activate each emotion most"
    words = f"{about}; {leaders.n} passages read; {READOUT}"
    files = [folder / name for name in _FILES]
    write_text(files[0], "".join(line + "\n" for line in lines))
    write_text(files[1], render(title, words, leaders.emotions, blocks))
    write_text(files[2], _csv(leaders.emotions, enriched))
    return files


def _numbers(emotion: str, passage: SweptPassage, z: _Above | None) -> dict[str, Any]:
    """Return what is told of a passage, its z before its score."""
    above = {} if z is None else {"z": z(emotion, passage.score)}
    return above | vars(passage)


def _csv(emotions: Sequence[str], enriched: Sequence[Enrichment | None]) -> str:
    """Spell one row per emotion; what could not be measured is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [it.name for it in fields(Enrichment)]
    writer.writerow(["emotion", *columns])
    for name, one in zip(emotions, enriched, strict=True):
        values = {} if one is None else vars(one)
        given = (values.get(column) for column in columns)
        writer.writerow([name, *("" if it is None or it != it else it for it in given)])
    return text.getvalue()


def _learned(vectors: EmotionVectors) -> str:
    """Say where the vectors may know the words that are counted."""
    if vectors.way not in (SAID, BOTH):
        return ""
    others = ", --vectors=shown can't" if SHOWN in vectors.ways else ""
    return f"; vectors of what is said can know these words from its frames{others}"


def _show(
    terminal: Terminal,
    leaders: Leaders,
    enriched: Sequence[Enrichment | None],
    files: Sequence[Path],
    n_lines: int,
    z: _Above | None,
) -> None:
    highest = dict(zip(leaders.emotions, leaders.passages, strict=True))
    of_words = dict(zip(leaders.emotions, enriched, strict=True))
    rows = [
        (
            emotion,
            f"{one.score:+.2f}{spelled_z(math.nan if z is None else z(emotion, one.score))} "
            f"{one.source}: {' '.join(one.text.split())[:100]}",
            str(of_words[emotion] or "") if one is kept[0] else "",
        )
        for emotion, kept in highest.items()
        for one in kept[:3]
    ]
    means = [f"z: {Z_MEANS}"] if z is not None else []
    means += [MEANS] if any(enriched) else []
    title = f"highest of {leaders.n} passages in {n_lines} lines"
    terminal.table(f"{title} ({'; '.join(means)})" if means else title, rows)
    terminal.written(files)
    top = {
        name: [{**_numbers(name, one, z), "text": one.text} for one in kept]
        for name, kept in highest.items()
    }
    words = {name: one and vars(one) for name, one in of_words.items()}
    named = list(map(str, files))
    terminal.result(
        {"lines": n_lines, "passages": leaders.n, "top": top, "words": words, "files": named}
    )
