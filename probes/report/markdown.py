"""``report.md``: the report for a repository, with the figures of the run's folder.

Contract
--------
* Every value is escaped: whatever a text holds, a reader of Markdown shows it as text.
* Figures are linked relatively, as ``figures/NAME.png``; the page has what a picture cannot show.
"""

import re
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from probes.figures.text import visible
from probes.report.contents import Contents

_SIGNS = re.compile(r"([\\`*_{}\[\]|~$#!^@])")
"""What Markdown, its tables and its formulas give a meaning within a line."""


def render(contents: Contents) -> str:
    """Write the text."""
    return _environment().get_template("report.md").render(contents=contents).strip() + "\n"


def escape(text: str) -> Markup:
    """Write a text so that Markdown, and the HTML and TeX that it lets through, show it as text."""
    shown = " ".join(visible(line) for line in text.split("\n"))
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(_SIGNS.sub(r"\\\1", shown))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("probes.report"),
        autoescape=True,  # what macros return is then markup, and not escaped again
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escape(value) if type(value) is str else value,
    )
    environment.filters["link"] = lambda name: Markup(quote(name))
    return environment
