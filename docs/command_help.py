"""What `--help` prints, written into the reference while the site is built."""

from typing import Any

from probes.commands import COMMANDS
from probes.run import overview

PLACE = "<!-- the help of every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the overview and every command's help in the place that a page keeps for them."""
    if PLACE not in markdown:
        return markdown
    parts = [("emotion-probes", overview())]
    parts += [(name, command.help()) for name, command in COMMANDS.items()]
    sections = [f"## {name}\n\n```text\n{text}```\n" for name, text in parts]
    return markdown.replace(PLACE, "\n".join(sections))
