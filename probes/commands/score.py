"""``emotion-probes score``: scores of one's own texts, turns and tokens."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooks.errors import InvalidInput
from probes.commands.call import Call, listed

if TYPE_CHECKING:
    from probes.scoring import Scores

SUFFIXES = (".csv", ".parquet", ".html")
_TOLD_TOKENS = 80


@dataclass(frozen=True)
class Given:
    """One text as the user gave it: plain, or a chat of turns."""

    name: str
    text: str = ""
    turns: tuple[Mapping[str, str], ...] = ()


def main(call: Call) -> int:
    """Score the texts; tables, JSON, and files by the suffixes of ``--output``."""
    given = _given(call)
    outputs = [Path(name).expanduser() for name in listed(call.flags.get("output"))]
    for path in outputs:
        if path.suffix not in SUFFIXES:
            raise InvalidInput(f"--output: expected {', '.join(SUFFIXES)}, got {path.name!r}.")
    run = call.run()
    from probes.models import Models
    from probes.scoring import render_transcript, score_texts, tokens_within
    from probes.vectors import EmotionVectors

    vectors = EmotionVectors.load(run.root)
    layer = chosen_layer(call, vectors)
    emotions = chosen_emotions(call, vectors)
    model = Models(run.config).subject()
    texts, cuts = [], []
    for one in given:
        rendered = render_transcript(model.tokenizer, one.turns) if one.turns else (one.text, [])
        texts.append(rendered[0])
        cuts.append(tokens_within(rendered[1]))
    scored = list(score_texts(vectors, model, texts, layer, cuts))
    places = [vectors.emotions.index(name) for name in emotions]
    _show(call, given, scored, emotions, places)
    about = f"{vectors.provenance.model}, layer {layer}; cosine of the centered residual stream"
    _write(outputs, given, scored, emotions, places, about)
    for path in outputs:
        call.terminal.note(f"written: {path}")
    call.terminal.result(
        {
            "model": vectors.provenance.model,
            "layer": layer,
            "readout": "cosine of the centered residual stream",
            "texts": [
                _as_json(one, found, emotions, places)
                for one, found in zip(given, scored, strict=True)
            ],
            "files": [str(path) for path in outputs],
        }
    )
    return 0


def chosen_layer(call: Call, vectors: Any) -> int:
    """Return the layer asked for, or the run's target layer."""
    layer = call.flags.get("layer", vectors.provenance.target_layer)
    if not isinstance(layer, int) or isinstance(layer, bool):
        raise InvalidInput(f"--layer: expected a layer's number, got {layer!r}.")
    vectors.layer_index(layer)
    return layer


def chosen_emotions(call: Call, vectors: Any) -> list[str]:
    """Return the emotions asked for, or all."""
    names = listed(call.flags.get("emotions")) or list(vectors.emotions)
    for name in names:
        vectors[name]
    return names


def _given(call: Call) -> list[Given]:
    asked = [name for name in ("text", "file", "transcript") if name in call.flags]
    if len(asked) != 1:
        raise InvalidInput("score: expected one of --text, --file and --transcript.")
    value = str(call.flags[asked[0]])
    if asked[0] == "text":
        return [Given("text", value)]
    path = Path(value).expanduser()
    if not path.is_file():
        raise InvalidInput(f"--{asked[0]}: {value!r} not found.")
    if asked[0] == "transcript":
        return [_transcript(path)]
    with path.open("rb") as file:
        found = [
            read_line(line, f"{path}, line {n}", n)
            for n, line in enumerate(file, 1)
            if line.strip()
        ]
    if not found:
        raise InvalidInput(f"{path} has no texts.")
    return found


def read_line(line: bytes, where: str, number: int) -> Given:
    """Read one line of JSON: a string, or an object with ``text`` and perhaps ``id``."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
        text = row if isinstance(row, str) else row["text"]
        text.encode("utf-8")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f'{where}: expected a JSON object with "text", or a JSON string '
            f"({type(error).__name__}: {error})."
        ) from error
    name = row.get("id") if isinstance(row, dict) else None
    return Given(f"line {number}" if name is None else str(name), text)


def _transcript(path: Path) -> Given:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        turns = content["messages"] if isinstance(content, dict) else content
        pairs = tuple({"role": turn["role"], "content": turn["content"]} for turn in turns)
        whole = all(isinstance(value, str) for turn in pairs for value in turn.values())
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f'{path}: expected a JSON list of turns with "role" and "content" ({error!r}).'
        ) from error
    if not pairs or not whole:
        raise InvalidInput(f"{path}: expected at least one turn, roles and contents as strings.")
    return Given(path.stem, turns=pairs)


def _show(
    call: Call,
    given: Sequence[Given],
    scored: Sequence["Scores"],
    emotions: Sequence[str],
    places: Sequence[int],
) -> None:
    rows = []
    for one, found in zip(given, scored, strict=True):
        rows.append((one.name, strongest(found.whole[places].tolist(), emotions)))
        for number, turn in enumerate(one.turns):
            values = found.parts[number][places].tolist()
            rows.append((f"  {number + 1} {turn['role']}", strongest(values, emotions)))
    call.terminal.table("strongest emotions (cosine)", rows)
    empty = [one.name for one, found in zip(given, scored, strict=True) if not found.pieces]
    if empty:
        call.terminal.note(f"no token to score, so no score: {', '.join(empty[:10])}")
    tokens = scored[0].tokens[:, places].tolist()
    if len(scored) == 1 and 0 < len(tokens) <= _TOLD_TOKENS:
        lines = [
            (json.dumps(word, ensure_ascii=False), strongest(values, emotions, 3))
            for word, values in zip(scored[0].words, tokens, strict=True)
        ]
        call.terminal.table("token by token", lines)


def strongest(values: Sequence[float], emotions: Sequence[str], n: int = 5) -> str:
    """Spell the highest scores, the highest first."""
    if any(map(math.isnan, values)):
        return "no token to score"
    ordered = sorted(zip(values, emotions, strict=True), key=lambda pair: -pair[0])
    return ", ".join(f"{name} {value:+.2f}" for value, name in ordered[:n])


def _as_json(
    one: Given, found: "Scores", emotions: Sequence[str], places: Sequence[int]
) -> dict[str, Any]:
    def named(values: Any) -> dict[str, float]:
        return dict(zip(emotions, values[places].tolist(), strict=True))

    return {
        "id": one.name,
        "n_tokens": len(found.pieces),
        "scores": named(found.whole),
        "turns": [
            {"role": turn["role"], "n_tokens": b - a, "scores": named(found.parts[number])}
            for number, (turn, (a, b)) in enumerate(zip(one.turns, found.spans, strict=True))
        ],
        "tokens": found.words,
        "token_scores": {
            name: found.tokens[:, place].tolist()
            for name, place in zip(emotions, places, strict=True)
        },
    }


def _write(
    outputs: Sequence[Path],
    given: Sequence[Given],
    scored: Sequence["Scores"],
    emotions: Sequence[str],
    places: Sequence[int],
    about: str,
) -> None:
    from probes.storage import write_bytes, write_text

    for path in outputs:
        if path.suffix == ".html":
            write_text(path, _page(given, scored, emotions, places, about))
            continue
        table = _table(given, scored, emotions, places)
        if path.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            sink = io.BytesIO()
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), sink)
            write_bytes(path, sink.getvalue())
        else:
            lines = io.StringIO()
            writer = csv.DictWriter(lines, fieldnames=list(table[0]))
            writer.writeheader()
            writer.writerows(table)
            write_text(path, lines.getvalue())


def _table(
    given: Sequence[Given],
    scored: Sequence["Scores"],
    emotions: Sequence[str],
    places: Sequence[int],
) -> list[dict[str, Any]]:
    """One row per text, per turn and per token; `level` says which."""
    own = ("level", "id", "turn", "role", "position", "content", "n_tokens")
    columns = [f"emotion_{name}" if name in own else name for name in emotions]
    rows = []

    def add(values: Any, *about: Any) -> None:
        scores = dict(zip(columns, values[places].tolist(), strict=True))
        rows.append(dict(zip(own, about, strict=True)) | scores)

    for one, found in zip(given, scored, strict=True):
        n = len(found.pieces)
        add(found.whole, "text", one.name, None, None, None, found.text, n)
        turn_of: dict[int, int] = {}
        for turn, ((a, b), told) in enumerate(zip(found.spans, one.turns, strict=True)):
            turn_of |= dict.fromkeys(range(a, b), turn)
            add(
                found.parts[turn],
                "turn",
                one.name,
                turn,
                told["role"],
                None,
                told["content"],
                b - a,
            )
        for place, word in enumerate(found.words):
            turn = turn_of.get(place)
            role = None if turn is None else one.turns[turn]["role"]
            add(found.tokens[place], "token", one.name, turn, role, place, word, 1)
    return rows


def _page(
    given: Sequence[Given],
    scored: Sequence["Scores"],
    emotions: Sequence[str],
    places: Sequence[int],
    about: str,
) -> str:
    from probes.token_page import Block, render

    blocks = []
    for one, found in zip(given, scored, strict=True):
        parts = [
            (f"{n + 1} {turn['role']}", span, found.parts[n])
            for n, (turn, span) in enumerate(zip(one.turns, found.spans, strict=True))
        ] or [(one.name, (0, len(found.pieces)), found.whole)]
        for title, (a, b), score in parts:
            tokens = found.tokens[a:b][:, places]
            blocks.append(
                Block(title, f", {b - a} tokens", found.words[a:b], tokens, score[places])
            )
    return render("Emotion scores, token by token", about, emotions, blocks)
