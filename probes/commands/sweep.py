"""``emotion-probes sweep``: the passages of a file that activate each emotion most."""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from hooks.errors import InvalidInput
from probes.commands import Sweep
from probes.commands.call import Call
from probes.commands.score import READOUT, chosen, read_lines
from probes.commands.score_files import Given
from probes.commands.terminal import Terminal, plain
from probes.runs.models import Models
from probes.storage import read_json, write_json, write_text
from probes.texts.scoring import readable, score_texts, windows
from probes.texts.sweeping import Leaders, scores_of
from probes.texts.token_page import Block, render
from probes.vectors.emotion_vectors import EmotionVectors

_CONTEXT = 512  # tokens of a long text that are read at once
_TEXTS_AT_ONCE = 16
_SECONDS_BETWEEN_SAVES = 30.0


def main(call: Call[Sweep]) -> int:
    """Sweep one file; leaves passages.jsonl and passages.html in ``--output``."""
    flags = call.flags
    source = Path(flags.file or "").expanduser()
    if not source.is_file():
        raise InvalidInput(f"sweep: expected --file=corpus.jsonl, a file; {source} is none.")
    run = call.run()
    vectors = EmotionVectors.load(run.root)
    layer, shown = chosen(flags, vectors)
    emotions, size = list(shown.emotions), source.stat().st_size
    folder = Path(flags.output or run.root / "sweep" / source.stem).expanduser()
    about = {
        "file": str(source.resolve()),
        "bytes": size,
        "changed": source.stat().st_mtime,
        "fingerprint": vectors.provenance.fingerprint,
        "vectors": [vectors.provenance.corpus_hash, vectors.provenance.config_hash],
        "layer": layer,
        "window": flags.window,
        "top": flags.top,
        "emotions": emotions,
    }
    state = _State(folder / "unfinished.json", about)
    offset, line, leaders = state.load() or (0, 0, Leaders(emotions, flags.top))
    if offset:
        call.terminal.note(f"going on after line {line}")
    model = Models(run.config).subject()
    saved = time.monotonic()
    with call.terminal.task("sweeping", size // 1000, "kB", offset // 1000) as advance:
        for batch, end, last in _batches(source, offset, line):
            parts = [
                (given.name, start, given.text[start:stop])
                for given in batch
                for start, stop in readable(model, given.text, _CONTEXT)
            ]
            texts = ((text, windows(flags.window)) for *_, text in parts)
            scored = score_texts(vectors, model, texts, layer)
            for (name, start, _), scores in zip(parts, scored, strict=True):
                tokens, passages = scores.tokens[:, shown.places], scores.parts[:, shown.places]
                for (a, b), one in zip(scores.spans, passages, strict=True):
                    first = start + scores.pieces[a][0]
                    leaders.offer(name, first, scores.words[a:b], one, tokens[a:b])
            advance(end // 1000 - offset // 1000)
            offset, line = end, last
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                state.save(offset, line, leaders)
                saved = time.monotonic()
    files = _write(folder, leaders, f"{vectors.provenance.model}, layer {layer}", source.name)
    state.path.unlink(missing_ok=True)
    _show(call.terminal, leaders, files, line)
    return 0


class _State:
    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.about = about  # file, model and settings

    def load(self) -> tuple[int, int, Leaders] | None:
        state: dict[str, Any] = read_json(self.path) if self.path.is_file() else {}
        if state.get("about") != self.about:
            return None
        return state["offset"], state["line"], Leaders.from_json(state["leaders"])

    def save(self, offset: int, line: int, leaders: Leaders) -> None:
        reached = {"offset": offset, "line": line, "leaders": leaders.to_json()}
        write_json(self.path, {"about": self.about, **reached})


def _batches(path: Path, offset: int, line: int) -> Iterator[tuple[list[Given], int, int]]:
    with path.open("rb") as file:
        file.seek(offset)
        lines = read_lines(file, path, line)
        while batch := list(islice(lines, _TEXTS_AT_ONCE)):
            yield [given for given, _ in batch], file.tell(), batch[-1][1]


def _write(folder: Path, leaders: Leaders, about: str, source: str) -> list[Path]:
    lines, blocks = [], []
    for place, (emotion, kept) in enumerate(zip(leaders.emotions, leaders.passages, strict=True)):
        for rank, one in enumerate(kept, start=1):
            deviations = leaders.deviations(place, one.score)
            row = {"emotion": emotion, "rank": rank, "deviations": deviations, "text": one.text}
            lines.append(json.dumps(plain(row | vars(one)), ensure_ascii=False))
            origin = f", {deviations:+.1f} standard deviations of this file; from {one.source}"
            score = torch.tensor([one.score])
            blocks.append(Block(f"{rank}", origin, one.tokens, scores_of(one), score, place))
    title = f"Passages of {source} that activate each emotion most"
    words = f"{about}; {leaders.n} passages read; {READOUT}"
    write_text(folder / "passages.jsonl", "".join(line + "\n" for line in lines))
    write_text(folder / "passages.html", render(title, words, leaders.emotions, blocks))
    return [folder / "passages.jsonl", folder / "passages.html"]


def _show(terminal: Terminal, leaders: Leaders, files: Sequence[Path], n_lines: int) -> None:
    highest = dict(zip(leaders.emotions, leaders.passages, strict=True))
    rows = [
        (emotion, f"{one.score:+.2f} {one.source}: {' '.join(one.text.split())[:100]}")
        for emotion, kept in highest.items()
        for one in kept[:3]
    ]
    terminal.table(f"highest of {leaders.n} passages in {n_lines} lines", rows)
    terminal.written(files)
    top = {name: [{**vars(one), "text": one.text} for one in highest[name]] for name in highest}
    terminal.result(
        {"lines": n_lines, "passages": leaders.n, "top": top, "files": list(map(str, files))}
    )
