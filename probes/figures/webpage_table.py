"""A table of tokens with their values, drawn with plotly.

Contract
--------
* Every token is shown with its value, in the order given; lines break where the column ends.
* Tokens are text whatever they contain, and a token written from right to left stays in its place.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from probes.figures.description import TokenTable
from probes.figures.palette import DOWN_TINT, RULE, UP_TINT
from probes.figures.text import for_plotly

_LINE_LENGTH = 90  # characters on one line of a cell


def token_table(figure: TokenTable) -> go.Figure:
    """Draw a table of tokens; a long one scrolls inside its frame."""
    rows = figure.rows
    up, down = [_tokens(row.up) for row in rows], [_tokens(row.down) for row in rows]
    n_lines = sum(max(len(one), len(other)) for one, other in zip(up, down, strict=True))
    table = go.Table(
        columnwidth=[1.3, 5, 5, 1.2],
        header={
            "values": [f"<b>{for_plotly(name)}</b>" for name in figure.header],
            "align": "left",
            "fill": {"color": "white"},
            "line": {"color": RULE},
            "font": {"size": 13},
        },
        cells={
            "values": [
                [for_plotly(row.label) for row in rows],
                ["<br>".join(lines) for lines in up],
                ["<br>".join(lines) for lines in down],
                [for_plotly(row.remark) for row in rows],
            ],
            "align": "left",
            "height": 26,
            "fill": {"color": ["white", UP_TINT, DOWN_TINT, "white"]},
            "line": {"color": RULE},
            "font": {"size": 12},
        },
    )
    height = 60 + 12 * len(rows) + 17 * n_lines
    return go.Figure(table).update_layout(
        width=1400, height=min(height, 1600), margin={"l": 5, "r": 5, "t": 10, "b": 10}
    )


def _tokens(tokens: Sequence[tuple[str, float]]) -> list[str]:
    """Lines of tokens with their values, as many on each as the column is wide."""
    lines, room = [""], 0
    for token, value in tokens:
        # Isolated, so that a right-to-left token does not reorder the numbers around it.
        written = f"\u2068{for_plotly(token)}\u2069 <i>{value:+.2f}</i> &#160; "
        length = len(token) + 9
        if room < length and lines[-1]:
            lines.append("")
        if not lines[-1]:
            room = _LINE_LENGTH
        lines[-1] += written
        room -= length
    return lines
