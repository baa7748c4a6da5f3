"""``emotion-probes score``: scores of one's own texts, turns and tokens."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import tee
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.commands import Score, Sweep
from probes.commands.call import Call
from probes.commands.score_files import SUFFIXES, Given, Shown, open_sink
from probes.commands.terminal import Terminal
from probes.corpus.rows import check_fields
from probes.runs.models import Models
from probes.storage import parse_line
from probes.texts.dialogue import lay_out
from probes.texts.scoring import Scores, score_texts, tokens_within
from probes.texts.transcripts import read_transcripts, spelled
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.zero import Z_MEANS, spelled_z

_SHOWN_TOKENS, _SHOWN_TEXTS = 80, 200
READOUT = "cosine of the centered residual stream"


def main(call: Call[Score]) -> int:
    """Score the texts; tables, JSON, and files by the suffixes of ``--output``."""
    read_again = _given(call.flags)
    outputs = [Path(name).expanduser() for name in call.flags.output]
    for path in outputs:
        if path.suffix not in SUFFIXES:
            raise InvalidInput(f"--output: expected {', '.join(SUFFIXES)}, got {path.name!r}.")
    run = call.run(or_shipped=True)
    vectors = EmotionVectors.load(run.vectors_at).using(call.flags.vectors)
    layer, shown = chosen(call.flags, vectors)
    model = Models(run.config).subject()

    def rendered(one: Given) -> tuple[str, Any]:
        if not one.turns:
            return one.text, None
        try:
            chat = lay_out(model.tokenizer, one.turns)
        except InvalidInput as error:
            raise InvalidInput(f"{one.name}: {error}") from error
        return chat.text, tokens_within(chat.words)

    if call.flags.transcript is not None:
        for one in read_again():  # a template that refuses the last chat does so before the first
            rendered(one)
    named, read = tee(read_again())
    scored = score_texts(vectors, model, map(rendered, read), layer)
    about = f"{vectors.provenance.model}, layer {layer}; {READOUT}"
    listing = _Listing(call.terminal, shown)
    with ExitStack() as stack:
        sinks = [stack.enter_context(open_sink(path, shown, about)) for path in outputs]
        for one, scores in zip(named, scored, strict=True):
            for sink in (listing, *sinks):
                sink.take(one, scores)
    listing.close()
    call.terminal.written(outputs)
    scored_by = {"model": vectors.provenance.model, "layer": layer, "readout": READOUT}
    scored_by["vectors"] = vectors.way
    files = [str(path) for path in outputs]
    call.terminal.result({**scored_by, "texts": listing.texts, "files": files})
    return 0


def chosen(flags: Score | Sweep, vectors: EmotionVectors) -> tuple[int, Shown]:
    """Return the layer and the emotions asked for: by default the target layer, all."""
    layer = vectors.provenance.target_layer if flags.layer is None else flags.layer
    vectors.layer_index(layer)  # raises, naming those there are
    emotions = list(flags.emotions) or list(vectors.emotions)
    for name in emotions:
        vectors[name]  # raises, with the nearest
    return layer, Shown(emotions, [vectors.emotions.index(name) for name in emotions])


def _given(flags: Score) -> Callable[[], Iterator[Given]]:
    """Return what gives the texts, from the first one on; a file is checked to its last line."""
    sources = {"text": flags.text, "file": flags.file, "transcript": flags.transcript}
    asked = [(kind, value) for kind, value in sources.items() if value is not None]
    if len(asked) != 1:
        raise InvalidInput("score: expected one of --text, --file and --transcript.")
    kind, value = asked[0]
    if kind == "text":
        return lambda: iter([Given("text", value)])
    path = Path(value).expanduser()
    if not path.is_file():
        raise InvalidInput(f"--{kind}: {value!r} not found.")
    if kind == "file":
        check_lines(path)
        return lambda: _lines(path)
    for _ in read_transcripts(path):
        pass
    return lambda: (
        Given(it.name, turns=it.turns, left_out=it.left_out) for it in read_transcripts(path)
    )


def _lines(path: Path) -> Iterator[Given]:
    with path.open("rb") as file:
        for given, _ in read_lines(file, path):
            yield given


def check_lines(path: Path) -> None:
    """Refuse a file in which any line is wrong, before the first is read by a model."""
    with path.open("rb") as file:
        if not sum(1 for _ in read_lines(file, path)):
            raise InvalidInput(f"{path} has no texts.")


def read_lines(file: Any, path: Path, line: int = 0) -> Iterator[tuple[Given, int]]:
    """Yield the texts of the rest of a file of JSON lines, each with its line's number."""
    while content := file.readline():
        line += 1
        if not content.strip():
            continue
        where = f"{path}, line {line}"
        row = parse_line(content, where)
        text = row if isinstance(row, str) else check_fields(row, ("text",), where)["text"]
        if not isinstance(text, str):
            raise InvalidInput(f"{where}: expected text as a JSON string, got {text!r:.60}.")
        name = row.get("id") if isinstance(row, dict) else None
        yield Given(f"line {line}" if name is None else str(name), text), line


class _Listing:
    """What the terminal shows: the first texts as a table; with JSON, every text."""

    def __init__(self, terminal: Terminal, shown: Shown) -> None:
        self.texts: list[dict[str, Any]] = []
        self._terminal, self._shown, self._n = terminal, shown, 0
        self._has_z = False
        self._rows: list[tuple[str, str]] = []
        self._tokens: list[tuple[str, str]] = []
        self._empty: list[str] = []
        self._cut: list[str] = []
        self._left_out = Counter[str]()

    def take(self, one: Given, scores: Scores) -> None:
        self._n += 1
        if self._terminal.as_json:
            self.texts.append(_as_json(one, scores, self._shown))
        self._has_z |= bool(scores.z[self._shown.places].isfinite().any())
        if not scores.pieces:
            self._empty.append(one.name)
        if scores.n_stretches > 1:
            self._cut.append(one.name)
        self._left_out.update(one.left_out)
        if self._n > _SHOWN_TEXTS:
            return
        self._rows.append((one.name, self._strongest(scores.whole, z=scores.z)))
        for number, (turn, part) in enumerate(zip(one.turns, scores.parts, strict=True), start=1):
            self._rows.append((f"  {number} {turn.speaker}", self._strongest(part)))
        alone = self._n == 1 and len(scores.pieces) <= _SHOWN_TOKENS
        self._tokens = [
            (json.dumps(word, ensure_ascii=False), self._strongest(values, 3))
            for word, values in (zip(scores.words, scores.tokens, strict=True) if alone else ())
        ]

    def _strongest(self, values: Any, n: int = 5, z: Any = None) -> str:
        scores = values[self._shown.places].tolist()
        if any(map(math.isnan, scores)):
            return "no token to score"
        above = [math.nan] * len(scores) if z is None else z[self._shown.places].tolist()
        named = zip(scores, self._shown.emotions, above, strict=True)
        return ", ".join(
            f"{name} {value:+.2f}{spelled_z(z)}"
            for value, name, z in sorted(named, key=lambda it: -it[0])[:n]
        )

    def close(self) -> None:
        title = "strongest emotions (cosine)"
        if self._has_z:
            title = f"strongest emotions (cosine; z: {Z_MEANS})"
        if self._n > _SHOWN_TEXTS:
            title += f", the first {_SHOWN_TEXTS} of {self._n} texts"
        self._terminal.table(title, self._rows)
        for names, problem in (
            (self._empty, "no token to score, so no score"),
            (self._cut, "longer than the model reads, so read in stretches, each on its own"),
        ):
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            if names:
                self._terminal.note(f"{problem}: {', '.join(names[:10])}{more}")
        if self._left_out:
            self._terminal.note(f"no words of a turn, so left out: {spelled(self._left_out)}")
        if self._tokens:
            self._terminal.table("token by token", self._tokens)


def _as_json(one: Given, scores: Scores, shown: Shown) -> dict[str, Any]:
    def named(values: Any) -> dict[str, Any]:
        return dict(zip(shown.emotions, values[shown.places].tolist(), strict=True))

    return {
        "id": one.name,
        "n_tokens": len(scores.pieces),
        "scores": named(scores.whole),
        "z": named(scores.z),
        "turns": [
            {"role": turn.speaker, "n_tokens": b - a, "scores": named(part)}
            for turn, (a, b), part in zip(one.turns, scores.spans, scores.parts, strict=True)
        ],
        "left_out": dict(one.left_out),
        "tokens": scores.words,
        "token_scores": named(scores.tokens.T),
    }
