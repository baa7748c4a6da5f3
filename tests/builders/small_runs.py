"""Whole runs in a second: a tiny writer whose stories pass the filter, a corpus in a file, configs.

* `save_tiny_writer` writes a tiny chat model that knows 24 whole sentences as single tokens and
  draws almost nothing else, so that what it writes is judged like a story.
* `write_corpus` writes stories and neutral texts as JSON lines, for runs that only read.
* `write_config` writes a config of small sizes, read on the Hugging Face backend in float32.
* `SmallRun` runs its stages one by one, with settings changed where a test wants.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny_models
import torch
import yaml

from probes import stages
from probes.config import load_config
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Silent

SENTENCES = [
    "He closed the door behind him.",
    "The kettle whistled in the kitchen.",
    "Her fingers drummed on the table.",
    "A bus rolled past the window.",
    "They walked along the river.",
    "The letter lay on the floor.",
    "She counted the steps to the gate.",
    "His shoulders dropped.",
    "The clock struck nine.",
    "Nobody answered the bell.",
    "A dog barked two streets away.",
    "She folded the map again.",
    "The lamp flickered and went out.",
    "He held his breath.",
    "Rain ran down the glass.",
    "The chair scraped over the tiles.",
    "Her voice was very low.",
    "They had packed one suitcase.",
    "He read the note twice.",
    "The train left on time.",
    "She looked at her hands.",
    "Somebody had moved the boxes.",
    "The path turned to the left.",
    "He put the cup down.",
]
"""None names an emotion."""

TOPICS = ["a lost key", "a late train", "a new roof"]
EMOTIONS = ["angry", "happy", "sad"]
"""Fewer than UMAP wants."""


def save_tiny_writer(
    folder: Path,
    *,
    seed: int = 0,
    chat: bool = True,
    words: Sequence[str] = (),
    kind: str = "llama",
) -> Path:
    """Write the model and return its folder; it also likes to write each of `words`."""
    tokenizer = tiny_models.tiny_tokenizer(chat=chat)
    tokenizer.add_tokens([f" {text}" for text in (*SENTENCES, *words)])
    model = tiny_models.tiny_model(kind, seed=seed, d_vocab=len(tokenizer))
    first = len(tokenizer) - len(SENTENCES) - len(words)
    wanted = [tokenizer.eos_token_id, *range(first, len(tokenizer))]
    loud = torch.full((len(tokenizer), 1), 0.01)
    loud[wanted] = 2.0
    with torch.no_grad():
        model.lm_head.weight.mul_(loud)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def story_text(emotion: str, topic: str, index: int, n_sentences: int = 8) -> str:
    """Return a made-up text that is the same in every process and differs between cells."""
    letters = [ord(letter) for letter in f"{emotion}|{topic}|{index}"]
    start = sum(place * letter for place, letter in enumerate(letters, start=1))
    chosen = [SENTENCES[(start + 7 * n + n * n * index) % 24] for n in range(n_sentences)]
    return f"It was about {topic}. " + " ".join(chosen)


def write_corpus(
    folder: Path,
    emotions: Sequence[str] = EMOTIONS,
    topics: Sequence[str] = TOPICS,
    per_cell: int = 2,
    n_sentences: int = 8,
) -> dict[str, str]:
    """Write stories.jsonl and neutral.jsonl; return the settings of the config's corpus section."""
    cells = [(e, t, i) for t in topics for e in emotions for i in range(per_cell)]
    stories = [
        {"emotion": e, "topic": t, "text": story_text(e, t, i, n_sentences)} for e, t, i in cells
    ]
    neutral = [
        {"topic": t, "text": story_text("neutral", t, i, n_sentences)}
        for t in topics
        for i in range(2)
    ]
    settings = {}
    for name, rows in (("stories", stories), ("neutral", neutral)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings[name] = str(path)
    return settings


def small_settings(subject: Path, output_dir: Path, **sections: Any) -> dict[str, Any]:
    """Return a config's values; a section given is merged into the small defaults."""
    values: dict[str, Any] = {
        "model": {
            "name": str(subject),
            "backend": "huggingface",
            "dtype": "float32",
            "device": "cpu",
        },
        "writer": {"dtype": "float32", "device": "cpu"},
        "generation": {
            "emotions_subset": EMOTIONS,
            "topics_subset": TOPICS,
            "stories_per_topic": 2,
            "max_new_tokens": 12,
            "min_words": 3,
            "truncation": "trim",
            "temperature": 1.0,
            "top_k": 20,
            "batch_size": 8,
        },
        "neutral": {"form": "answer", "max_new_tokens": 12, "min_words": 3},
        "activation": {"token_offset": 3, "shard_size": 8},
        "analysis": {"n_permutations": 100, "n_bootstrap": 3, "n_components": 3},
        "logit_lens": {"top_k": 5, "n_shuffles": 10},
        "validation": {
            "experiments": ["steering"],
            "doses": [0.1],
            "n_random": 2,
            "sensitivity_texts": 0,
        },
        "output_dir": str(output_dir),
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    return values


def write_config(path: Path, values: dict[str, Any]) -> str:
    """Write a config file and return its path."""
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)


class Heard(Silent):
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@dataclass(frozen=True)
class SmallRun:
    """A config file and the folder it writes to."""

    config: str
    folder: Path

    def run(self, **overrides: Any) -> Run:
        """The run, with dotted settings changed (dots spelled as two underscores)."""
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        return Run(load_config(self.config, dotted), self.config)

    def stage(self, name: str, heard: Heard | None = None, **overrides: Any) -> bool:
        """Run one stage; returns whether it ran."""
        run = self.run(**overrides)
        [stage] = stages.find_stages([name])
        return stages.run_stage(run, stage, Models(run.config), heard or Heard())

    def stages(self, *names: str, **overrides: Any) -> list[bool]:
        """Run several stages, in the order given."""
        return [self.stage(name, **overrides) for name in names]
