"""Text as data, made safe for the two things that draw it; and numbers as papers write them.

`visible` writes characters that have no shape of their own as escapes; `for_plotly` escapes HTML
and hides dollar signs from MathJax; `shorten` cuts, in the PNG only, where space is fixed.
"""

import html
import unicodedata

_SHAPELESS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def escaped(character: str) -> str:
    r"""Python's escape of one character, such as ``\u4f60``."""
    return character.encode("unicode_escape").decode("ascii")


def visible(text: str) -> str:
    """Write every character without a shape as its escape."""
    if text.isprintable():
        return text
    return "".join(
        escaped(character) if unicodedata.category(character) in _SHAPELESS else character
        for character in text
    )


def for_plotly(text: str) -> str:
    """Text for a label of plotly, which reads a subset of HTML and, with MathJax around, TeX."""
    return html.escape(visible(text), quote=False).replace("$", "&#36;")


def shorten(text: str, length: int = 32) -> str:
    """Cut a label to at most `length` characters, with an ellipsis in place of the rest."""
    return text if len(text) <= length else text[: length - 1] + "…"


def correlation(value: float) -> str:
    """Write a correlation the way papers do: two decimals, no leading zero."""
    return f"{value:.2f}".replace("0.", ".", 1)
