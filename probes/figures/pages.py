"""HTML pages that open without a network: one shell, texts as text, and which scripts may run.

Jinja fills a template that extends ``page.html``; every value is escaped (`text.visible`), and
numbers lie in the page as JSON, which cannot end the element that it stands in. A content security
policy names the digest of our own script and lets a library be loaded from the page's own folder:
whatever a text brings with it does not run, and nothing is fetched. Equal values give equal bytes.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from probes.figures import palette
from probes.figures.text import visible


def render(package: str, name: str, *, script: str | None = None, **values: Any) -> str:
    """Fill a page: a template of a package, perhaps with a script that it runs at its end.

    `values` are what the template speaks of: ``title``, and perhaps ``data`` for the script and
    ``library``, a script in the same folder that is loaded first.
    """
    own = None if script is None else resource(package, script)
    # A file of the page's folder is 'self' on a server and, on a disk, some browsers' file: alone.
    sources = ([f"'sha256-{digest(own)}'"] if own else []) + (
        ["'self' file:"] if values.get("library") else []
    )
    page = environment(package).get_template(name)
    return page.render(
        policy=Markup(" ".join(sources) or "'none'"),
        script=None if own is None else Markup(own),
        colors=palette,
        **values,
    )


@cache
def environment(package: str, write: Callable[[str], str] = visible) -> Environment:
    """Return where a package's templates are filled; `write` comes before escaping."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("probes.figures")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: write(value) if type(value) is str else value,
    )
    made.filters.update(running=running, script=for_script, link=lambda name: Markup(quote(name)))
    return made


def running(text: str) -> Markup:
    """Text that keeps its line breaks."""
    return Markup("\n").join(visible(line) for line in text.split("\n"))


def for_script(value: Any) -> Markup:
    """JSON for a script element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def resource(package: str, name: str) -> str:
    """Read a file beside a package's templates."""
    return (files(package) / "templates" / name).read_text(encoding="utf-8")


def digest(script: str) -> str:
    """Digest of what a script element holds, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
