"""Blocks of code in a page of documentation, and how each kind is executed.

* ``yaml`` with a title is written to a file of that name and must be a valid config.
* ``sh`` runs in bash, stopping at the first command that fails; where all its lines are plain
  commands of ours, they are called in this process, which has imported everything.
* ``python`` blocks of one page share their names, like cells of a notebook.
* A comment ``<!-- not run: REASON -->`` right before a block says why it is not executed.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from probes import run as command
from probes.config import parse_config
from probes.runs import workers

ROOT = Path(__file__).parents[2]
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->", re.DOTALL)
_ALONE = re.compile(r"[^$`|&;<>()*?~]*")
"""A line that needs nothing of the lines before it."""
_OURS = re.compile(rf"(?:emotion-probes|python -m probes\.run) (?P<words>{_ALONE.pattern})")
_TITLE = re.compile(r'title="(?P<name>[\w.-]+)"')


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    info: str
    code: str
    line: int
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order."""
    tokens, before = [], ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            reason = _NOT_RUN.search(before)
            tokens.append(
                Block(
                    token.info.split()[0] if token.info else "",
                    token.info,
                    token.content,
                    (token.map or [0])[0] + 1,
                    reason and reason["reason"],
                )
            )
        before = token.content if token.type == "html_block" else ""
    return tokens


def execute(page: Path, folder: Path) -> int:
    """Run a page's blocks in a folder, the current one; return how many were run."""
    names: dict[str, object] = {"__name__": "__page__"}
    n = 0
    for block in blocks(page):
        if block.not_run is not None or block.language in ("text", "json"):
            continue
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "python":
            exec(compile(block.code, where, "exec"), names)
        elif block.language == "sh":
            lines = block.code.replace("\\\n", " ").splitlines()
            for code in lines if all(map(_ALONE.fullmatch, lines)) else [block.code]:
                if line := _OURS.fullmatch(code):
                    _call(shlex.split(line["words"], comments=True), where)
                else:
                    _shell(code, folder, where)
        elif block.language == "yaml":
            values = yaml.safe_load(block.code)
            if title := _TITLE.search(block.info):
                parse_config(values, where)
                (folder / title["name"]).write_text(block.code, encoding="utf-8")
        else:
            raise AssertionError(f"{where}: no way to execute {block.language!r}")
        n += 1
    return n


def _call(words: list[str], where: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command.main(words)
        workers.disconnect()  # as the command's process would
    assert code == 0, f"{where} failed:\n{said.getvalue()[-6000:]}"


def _shell(code: str, folder: Path, where: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, f"{where} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
