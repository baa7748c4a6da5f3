"""What `doctor --all-architectures --json` printed, as tables while the site is built."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

PLACE = "<!-- the verdict on every architecture -->"
PRINTED = Path(__file__).with_name("reference") / "architectures.json"
TITLES = {
    "works": "Read, steered and written with",
    "refused": "Refused",
    "fails": "Fail",
    "not by itself": "No language models by themselves",
    "not built": "Not tried: their configs allow no tiny model",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the verdicts in the place that a page keeps for them."""
    if PLACE not in markdown:
        return markdown
    printed = json.loads(PRINTED.read_text(encoding="utf-8"))
    verdicts = defaultdict(list)
    for it in printed["architectures"]:
        verdicts[it["outcome"]].append((it["kind"], it["words"]))
    n_run = sum(len(verdicts[outcome]) for outcome in ("works", "refused", "fails"))
    n_work = len(verdicts["works"])
    parts = [
        f"transformers {printed['transformers']}: {n_work} of {n_run} that run as tiny models work "
        f"({printed['share']:.1%})."
    ]
    for outcome, title in TITLES.items():
        if not verdicts[outcome]:
            continue
        parts.append(f"### {title}: {len(verdicts[outcome])}")
        plain = [f"`{kind}`" for kind, words in verdicts[outcome] if not words]
        parts.append(", ".join(plain))
        rows = [f"| `{kind}` | {_cell(words)} |" for kind, words in verdicts[outcome] if words]
        if rows:
            parts.append("\n".join(["| architecture | what the doctor says |", "|---|---|", *rows]))
    return markdown.replace(PLACE, "\n\n".join(filter(None, parts)))


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")
