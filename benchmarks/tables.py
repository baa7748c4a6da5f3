"""Markdown: tables and numbers."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first column is left-aligned, numbers are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def times(ratio: float) -> str:
    """Spell a ratio."""
    return f"{ratio:.1f}x"


def gigabytes(number: float) -> str:
    """Spell bytes."""
    return f"{number / 1e9:.2f} GB"


def rate(number: float) -> str:
    """Spell tokens per second."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"
