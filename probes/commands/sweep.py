"""``emotion-probes sweep``: the passages of a file that activate each emotion most."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooks.errors import InvalidInput
from probes.commands.call import Call
from probes.commands.score import chosen_emotions, chosen_layer, read_line

if TYPE_CHECKING:
    from probes.texts.sweeping import Leaders

_CONTEXT = 512
"""Tokens read at once of a long text."""
_TEXTS_AT_ONCE = 16
_SECONDS_BETWEEN_SAVES = 30.0
_SHOWN = 3


def main(call: Call) -> int:
    """Sweep one file; leaves passages.jsonl and passages.html in ``--output``."""
    source = Path(str(call.flags.get("file", ""))).expanduser()
    if "file" not in call.flags or not source.is_file():
        raise InvalidInput(f"sweep: expected --file=corpus.jsonl, a file; {source} is none.")
    top, window = _number(call, "top", 20, 1), _number(call, "window", 32, 2)
    run = call.run()
    from probes.runs.models import Models
    from probes.texts.sweeping import Leaders
    from probes.vectors.emotion_vectors import EmotionVectors

    vectors = EmotionVectors.load(run.root)
    layer, emotions = chosen_layer(call, vectors), chosen_emotions(call, vectors)
    folder = Path(str(call.flags.get("output", run.root / "sweep" / source.stem))).expanduser()
    state = _State(
        folder / "unfinished.json",
        {
            "file": str(source.resolve()),
            "bytes": source.stat().st_size,
            "changed": source.stat().st_mtime,
            "fingerprint": vectors.provenance.fingerprint,
            "vectors": [vectors.provenance.corpus_hash, vectors.provenance.config_hash],
            "layer": layer,
            "window": window,
            "top": top,
            "emotions": emotions,
        },
    )
    offset, line, leaders = state.load() or (0, 0, Leaders(emotions, top))
    if offset:
        call.terminal.note(f"going on after line {line}")
    model = Models(run.config).subject()
    size = source.stat().st_size
    saved = time.monotonic()
    with call.terminal.task("sweeping", size // 1000, "kB", offset // 1000) as advance:
        for batch, end, last in _batches(source, offset, line):
            _read(batch, leaders, vectors, model, layer, window)
            advance(end // 1000 - offset // 1000)
            offset, line = end, last
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                state.save(offset, line, leaders)
                saved = time.monotonic()
    files = _write(folder, leaders, f"{vectors.provenance.model}, layer {layer}", source.name)
    state.path.unlink(missing_ok=True)
    _show(call, leaders, files, line)
    return 0


def _number(call: Call, name: str, default: int, least: int) -> int:
    value = call.flags.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"--{name}: expected a number of {least} or more, got {value!r}.")
    return value


class _State:
    """How far a sweep came, for the same file, model and settings."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.about = about

    def load(self) -> "tuple[int, int, Leaders] | None":
        from probes.storage import read_json
        from probes.texts.sweeping import Leaders

        if not self.path.is_file():
            return None
        found = read_json(self.path)
        if found["about"] != self.about:
            return None
        return found["offset"], found["line"], Leaders.from_json(found["leaders"])

    def save(self, offset: int, line: int, leaders: "Leaders") -> None:
        from probes.storage import write_json

        content = {"about": self.about, "offset": offset, "line": line}
        write_json(self.path, {**content, "leaders": leaders.to_json()})


Named = tuple[str, str]


def _batches(path: Path, offset: int, line: int) -> Iterator[tuple[list[Named], int, int]]:
    """Yield some (name, text) of a file at a time, with the byte and the line reached."""
    batch: list[Named] = []
    with path.open("rb") as file:
        file.seek(offset)
        while content := file.readline():
            line += 1
            if content.strip():
                given = read_line(content, f"{path}, line {line}", line)
                batch.append((given.name, given.text))
            if len(batch) == _TEXTS_AT_ONCE:
                yield batch, file.tell(), line
                batch = []
        if batch:
            yield batch, file.tell(), line


def _read(
    batch: Sequence[Named], leaders: "Leaders", vectors: Any, model: Any, layer: int, window: int
) -> None:
    from probes.texts.scoring import readable, score_texts, windows

    parts = [
        (name, start, text[start:stop])
        for name, text in batch
        for start, stop in readable(model, text, _CONTEXT)
    ]
    places = [vectors.emotions.index(name) for name in leaders.emotions]
    cut = windows(window)
    scored = score_texts(vectors, model, ((text, cut) for _, _, text in parts), layer)
    for (name, start, _), found in zip(parts, scored, strict=True):
        words = found.words
        for number, (a, b) in enumerate(found.spans):
            leaders.offer(
                name,
                start + found.pieces[a][0],
                words[a:b],
                found.parts[number][places],
                found.tokens[a:b][:, places],
            )


def _write(folder: Path, leaders: "Leaders", about: str, source: str) -> list[Path]:
    import json

    import torch

    from probes.storage import write_text
    from probes.texts.sweeping import scores_of
    from probes.texts.token_page import Block, render

    lines, blocks = [], []
    for place, (emotion, kept) in enumerate(zip(leaders.emotions, leaders.passages, strict=True)):
        for rank, one in enumerate(kept, start=1):
            deviations = leaders.deviations(place, one.score)
            row = {"emotion": emotion, "rank": rank, "deviations": deviations, "text": one.text}
            row = {**row, **vars(one)}
            lines.append(json.dumps(_finite(row), ensure_ascii=False))
            told = f", {deviations:+.1f} standard deviations of this file; from {one.source}"
            score = torch.tensor([one.score])
            blocks.append(Block(f"{rank}", told, one.tokens, scores_of(one), score, place))
    title = f"Passages of {source} that activate each emotion most"
    words = f"{about}; {leaders.n} passages read; cosine of the centered residual stream"
    write_text(folder / "passages.jsonl", "".join(line + "\n" for line in lines))
    write_text(folder / "passages.html", render(title, words, leaders.emotions, blocks))
    return [folder / "passages.jsonl", folder / "passages.html"]


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in row.items()}


def _show(call: Call, leaders: "Leaders", files: Sequence[Path], n_lines: int) -> None:
    rows = [
        (emotion, f"{one.score:+.2f} {one.source}: {' '.join(one.text.split())[:100]}")
        for emotion, kept in zip(leaders.emotions, leaders.passages, strict=True)
        for one in kept[:_SHOWN]
    ]
    call.terminal.table(f"highest of {leaders.n} passages in {n_lines} lines", rows)
    for path in files:
        call.terminal.note(f"written: {path}")
    pairs = zip(leaders.emotions, leaders.passages, strict=True)
    call.terminal.result(
        {
            "lines": n_lines,
            "passages": leaders.n,
            "top": {
                emotion: [{**vars(one), "text": one.text} for one in kept]
                for emotion, kept in pairs
            },
            "files": [str(path) for path in files],
        }
    )
