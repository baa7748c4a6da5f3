"""``report.md``: the report for a repository, escaped, with the figures of the run's folder."""

import re

from markupsafe import Markup

from probes.figures import pages
from probes.figures.text import visible
from probes.report.contents import Contents

_SIGNS = re.compile(r"([\\`*_{}\[\]|~$#!^@])")
"""What Markdown, its tables and its formulas give a meaning within a line."""


def render(contents: Contents) -> str:
    """Write the text."""
    page = pages.environment("probes.report", escape).get_template("report.md")
    return page.render(contents=contents).strip() + "\n"


def escape(text: str) -> Markup:
    """Write a text so that Markdown, and the HTML and TeX that it lets through, show it as text."""
    shown = " ".join(visible(line) for line in text.split("\n"))
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(_SIGNS.sub(r"\\\1", shown))
