"""The page of messages: each stands in the program as it does there, and wrong files give them."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pages
import pytest

from hooks.errors import EmotionLensError
from probes.corpus.brought import read_jsonl
from probes.export import read_gguf
from probes.stimuli.rating_files import read_norms
from probes.texts.transcripts import read_transcripts
from probes.vectors.emotion_vectors import EmotionVectors

PAGE = (pages.ROOT / "docs" / "how-to" / "does-not-work.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
LINE = {"emotion": "sad", "topic": "rain", "text": "She waited."}


@cache
def spoken() -> str:
    """Every piece of text in the program's code, a string with gaps in pieces."""
    texts = []
    for package in ("hooks", "probes"):
        for path in (pages.ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
            texts += [node.value for node in constants if isinstance(node.value, str)]
    return "\n".join(texts)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_stands_in_the_program(message):
    pieces = [piece for piece in re.split(r"\.\.\.", message) if len(piece.strip(" .,:;()")) > 3]
    assert pieces
    assert [piece for piece in pieces if piece.rstrip(".") not in spoken()] == []


def is_on_the_page(said: str) -> bool:
    patterns = (re.escape(message).replace(r"\.\.\.", ".*") for message in MESSAGES)
    return any(re.search(pattern, said, re.DOTALL) for pattern in patterns)


STORIES = [
    b'{"label": "sad", "story": "She waited."}',
    b'{"emotion": ["sad"], "topic": "rain", "text": "a"}',
    b"emotion,topic,text",
    b"[]",
    '{"text": "a"}'.encode("utf-16"),
    b'{"text": "caf\xe9"}',
    b'{"text": "\\ud800"}',
    b'{"text": "a\x00b"}',
    "\n".join(json.dumps({**LINE, "emotion": name}) for name in ("sad", "Sad")).encode(),
    "\n".join(json.dumps({**LINE, "form": name}) for name in ("told", "sung")).encode(),
]
NORMS = ["word,mood\na,1\n", "word,valence,arousal\na,0,9,1\n", "a\t1\t1\t1\na\t0\t1\t1\n"]
CHATS = [
    {"role": "user", "content": "a"},
    [{"speaker": "a", "text": "b"}],
    [{"from": "bing", "value": "b"}],
    [{"role": "user", "content": 3}],
    [{"role": "tool", "content": "a"}],
]


@pytest.mark.parametrize(
    ("read", "content"),
    [
        *((lambda path: read_jsonl(path, "stories"), content) for content in STORIES),
        *((read_norms, content.encode()) for content in NORMS),
        (lambda path: read_norms(path).of(["MAY"]), b"May\t1\t1\t1\nmay\t0\t1\t1\n"),
        *((lambda path: list(read_transcripts(Path(path))), json.dumps(c).encode()) for c in CHATS),
        (read_gguf, b"GGUF"),
        (EmotionVectors.load, b"{}"),
        (lambda path: EmotionVectors.load(f"{path}.none"), b""),
    ],
)
def test_what_a_wrong_file_gives_is_on_the_page(tmp_path, read, content):
    path = tmp_path / "own"
    path.write_bytes(content)
    with pytest.raises(EmotionLensError) as caught:
        read(str(path))
    assert is_on_the_page(str(caught.value)), str(caught.value)
