"""Tokens as colored text, scores as a heat map and as curves; every text is escaped."""

from collections.abc import Sequence

import torch
from markupsafe import Markup

from probes.figures.description import Heatmap, Line, Lines, Panel
from probes.figures.token_html import SCALE, side_and_share, token_html
from probes.texts.app.look import Look, largest_of
from probes.texts.dialogue import Turn

_OTHERS = 4  # emotions drawn beside the selected one; a color for each
_UNDER = 3  # emotions under each token
_INVITATION = "Click a token, or go along them with the arrow keys, to see its highest emotions."
_CELL = Markup('<td class="{side}" style="--share:{share:.3f}" title="{title}"></td>')


def colored_tokens(look: Look, turn: int = 0, *, largest: float | None = None) -> Markup:
    """Return the tokens of one turn as HTML, colored by scores up to `largest` (None: its own).

    Under each token stand its strongest emotions; ``app.js`` fills the line below all.
    """
    reading, shown = look.reading, look.shown(turn)
    tokens, scores = [reading.tokens[place] for place in shown], look.scores[shown]
    titles = [
        f"“{token.strip()}”  {look.name} {look.number(float(each[look.emotion]))}; "
        f"highest: {look.spelled(each)}"
        for token, each in zip(tokens, scores, strict=True)
    ]
    under = ["\n".join(look.emotions[one] for one in look.strongest(s, _UNDER)) for s in scores]
    limit = largest_of([look]) if largest is None else largest
    colored = token_html(tokens, scores[:, look.emotion].tolist(), limit, titles, under)
    return Markup('<p class="tokens">{}{}</p><p class="detail" role="status">{}</p>').format(
        colored, reading.unread if turn == 0 else "", _INVITATION if shown else ""
    )


def color_key(look: Look, largest: float | None = None) -> Markup:
    """Return the scale of `colored_tokens` as HTML: the emotion, and the scores at both ends."""
    limit = largest_of([look]) if largest is None else largest
    key = Markup('<p class="key">{}, {} {} {} {}</p>')
    return key.format(look.name, look.unit, look.number(-limit), SCALE, look.number(limit))


def heat_table(look: Look, rows: Sequence[int], largest: float) -> Markup:
    """Return a heat map as an HTML table: emotions by a text's tokens, colored up to `largest`."""
    shown = look.shown(0)
    tokens = [look.reading.tokens[place].strip() for place in shown]
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(token) for token in tokens)
    scores = look.scores[shown]
    body = Markup("")
    for row in rows:
        cells = Markup("").join(
            _CELL.format(
                **side_and_share(score, largest),
                title=f"“{token}” {look.emotions[row]} {look.number(score)}",
            )
            for token, score in zip(tokens, scores[:, row].tolist(), strict=True)
        )
        name = Markup('<th scope="row">{}</th>').format(look.emotions[row])
        body += Markup("<tr>{}{}</tr>").format(name, cells)
    return Markup(
        '<div class="heat" tabindex="0" role="region" aria-label="heat map of tokens and emotions">'
        "<table><thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>"
        '<p class="key">{} {} {} {}</p>'
    ).format(heads, body, look.unit, look.number(-largest), SCALE, look.number(largest))


def heat_map(look: Look, rows: Sequence[int]) -> Heatmap:
    """Describe the same heat map as a figure."""
    shown = look.shown(0)
    scores = look.scores[shown][:, list(rows)]
    limit = max(largest_of([look], rows), 1e-6)
    return Heatmap(
        title="Emotions along the text",
        subtitle=look.where,
        caption=look.explained,
        rows=tuple(look.emotions[row] for row in rows),
        columns=tuple(
            f"{number}  {look.reading.tokens[place].strip()}"
            for number, place in enumerate(shown, 1)
        ),
        values=tuple(map(tuple, scores.T.tolist())),
        value_label=look.unit,
        x_label="token",
        y_label="emotion",
        limits=(-limit, limit),
    )


def conversation_curves(look: Look, turns: Sequence[Turn]) -> Lines:
    """Describe the scores of the emotion, and of those that vary most, turn by turn."""
    per_turn = torch.stack([look.of_turn(number) for number in range(len(turns))])
    finite = [i for i in range(len(turns)) if per_turn[i].isfinite().all()]
    shown = per_turn[finite]
    spread = shown.amax(dim=0) - shown.amin(dim=0) if len(finite) > 1 else shown[0].abs()
    others = [e for e in spread.argsort(descending=True).tolist() if e != look.emotion][:_OTHERS]
    most = "change most" if len(finite) > 1 else "are farthest from 0"
    listed = ", ".join(look.emotions[e] for e in others)
    beside = f"; beside it the others that {most}: {listed}" if others else ""
    curves = tuple(
        Line(
            name=look.emotions[e],
            x=tuple(float(i + 1) for i in finite),
            y=tuple(shown[:, e].tolist()),
            notes=tuple(turns[i].speaker for i in finite),
        )
        for e in (look.emotion, *others)
    )
    return Lines(
        title="The conversation, turn by turn",
        subtitle=look.where,
        caption="Mean score over each turn's tokens, for the emotion that is selected, "
        f"{look.name}{beside}. {look.explained}",
        x_label="turn",
        panels=(Panel(y_label=look.unit, lines=curves),),
    )
