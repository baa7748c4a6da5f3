"""``emotion-probes score``: scores of one's own texts, turns and tokens."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooks.errors import InvalidInput
from probes.commands.call import Call, listed
from probes.commands.score_files import SUFFIXES, Given, Shown, open_sink

if TYPE_CHECKING:
    from probes.texts.scoring import Scores

_TOLD_TOKENS = 80
_TOLD_TEXTS = 200


def main(call: Call) -> int:
    """Score the texts; tables, JSON, and files by the suffixes of ``--output``."""
    given = _given(call)
    outputs = [Path(name).expanduser() for name in listed(call.flags.get("output"))]
    for path in outputs:
        if path.suffix not in SUFFIXES:
            raise InvalidInput(f"--output: expected {', '.join(SUFFIXES)}, got {path.name!r}.")
    run = call.run()
    from probes.runs.models import Models
    from probes.texts.dialogue import Turn, lay_out
    from probes.texts.scoring import score_texts, tokens_within
    from probes.vectors.emotion_vectors import EmotionVectors

    vectors = EmotionVectors.load(run.root)
    layer = chosen_layer(call, vectors)
    emotions = chosen_emotions(call, vectors)
    shown = Shown(emotions, [vectors.emotions.index(name) for name in emotions])
    model = Models(run.config).subject()

    def rendered(one: Given) -> tuple[str, Any]:
        if not one.turns:
            return one.text, None
        turns = [Turn(turn["role"], turn["content"]) for turn in one.turns]
        chat = lay_out(model.tokenizer, turns)
        return chat.text, tokens_within(chat.words)

    named, read = tee(given)
    scored = score_texts(vectors, model, map(rendered, read), layer)
    about = f"{vectors.provenance.model}, layer {layer}; cosine of the centered residual stream"
    told = _Told(call, shown)
    with ExitStack() as files:
        sinks = [files.enter_context(open_sink(path, shown, about)) for path in outputs]
        for one, found in zip(named, scored, strict=True):
            for sink in (told, *sinks):
                sink.take(one, found)
    told.close()
    for path in outputs:
        call.terminal.note(f"written: {path}")
    call.terminal.result(
        {
            "model": vectors.provenance.model,
            "layer": layer,
            "readout": "cosine of the centered residual stream",
            "texts": told.texts,
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


def _given(call: Call) -> Iterable[Given]:
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
    return _lines(path)


def _lines(path: Path) -> Iterator[Given]:
    n_texts = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                n_texts += 1
                yield read_line(line, f"{path}, line {number}", number)
    if not n_texts:
        raise InvalidInput(f"{path} has no texts.")


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


class _Told:
    """What the terminal says: the first texts as a table, or every text where JSON is asked for."""

    def __init__(self, call: Call, shown: Shown) -> None:
        self.texts: list[dict[str, Any]] = []
        self._call, self._shown = call, shown
        self._rows: list[tuple[str, str]] = []
        self._tokens: list[tuple[str, str]] = []
        self._empty: list[str] = []
        self._cut: list[str] = []
        self._n = 0

    def take(self, one: Given, found: "Scores") -> None:
        self._n += 1
        if self._call.terminal.as_json:
            self.texts.append(_as_json(one, found, self._shown))
        if not found.pieces:
            self._empty.append(one.name)
        if found.n_stretches > 1:
            self._cut.append(one.name)
        if self._n > _TOLD_TEXTS:
            return
        emotions, places = self._shown.emotions, self._shown.places
        self._rows.append((one.name, strongest(found.whole[places].tolist(), emotions)))
        for number, turn in enumerate(one.turns):
            values = found.parts[number][places].tolist()
            self._rows.append((f"  {number + 1} {turn['role']}", strongest(values, emotions)))
        self._tokens = []
        if self._n == 1 and len(found.pieces) <= _TOLD_TOKENS:
            tokens = found.tokens[:, places].tolist()
            self._tokens = [
                (json.dumps(word, ensure_ascii=False), strongest(values, emotions, 3))
                for word, values in zip(found.words, tokens, strict=True)
            ]

    def close(self) -> None:
        terminal = self._call.terminal
        title = "strongest emotions (cosine)"
        if self._n > _TOLD_TEXTS:
            title += f", the first {_TOLD_TEXTS} of {self._n} texts"
        terminal.table(title, self._rows)
        if self._empty:
            terminal.note(f"no token to score, so no score: {_few(self._empty)}")
        if self._cut:
            terminal.note(
                "longer than the model reads, so read in stretches, each without what stands "
                f"before it: {_few(self._cut)}"
            )
        if self._tokens:
            terminal.table("token by token", self._tokens)


def _few(names: Sequence[str], n: int = 10) -> str:
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return f"{', '.join(names[:n])}{more}"


def strongest(values: Sequence[float], emotions: Sequence[str], n: int = 5) -> str:
    """Spell the highest scores, the highest first."""
    if any(map(math.isnan, values)):
        return "no token to score"
    ordered = sorted(zip(values, emotions, strict=True), key=lambda pair: -pair[0])
    return ", ".join(f"{name} {value:+.2f}" for value, name in ordered[:n])


def _as_json(one: Given, found: "Scores", shown: Shown) -> dict[str, Any]:
    def named(values: Any) -> dict[str, float]:
        return dict(zip(shown.emotions, values[shown.places].tolist(), strict=True))

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
            for name, place in zip(shown.emotions, shown.places, strict=True)
        },
    }
