"""Continuations side by side as one HTML page, with the words marked that steering changed.

Contract: pure; works without a network, needs no script, and shows every text as text. Narrow
screens get one continuation below the other.
"""

import difflib
import html
from collections.abc import Sequence

from probes.commands.steered_text import Request, Steered, explained
from probes.figures.palette import DOWN_TINT, INK, RULE, SOFT_INK, UP_TINT
from probes.figures.text import for_page

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --page: #fff; --ink: {ink}; --soft: {soft}; --rule: {rule}; --up: {up}; --down: {down};
  --past: #d55e00; --warning: #a04400; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #12161c; --ink: #e6edf3; --soft: #a3adb8; --rule: #3a434e; --up: #5a3226;
    --down: #1a4060; --past: #d98a4a; --warning: #f0ad5c; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--page);
  color: var(--ink);
  font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .3rem; }}
h2 {{ font-size: 1rem; margin: 0 0 .4rem; }}
.about, .caption {{ font-size: .9rem; color: var(--soft); margin: 0 0 1rem; }}
.caption {{ margin-top: 1rem; }}
.prompt {{ border-left: 3px solid var(--rule); padding-left: .8rem; margin: 0 0 1rem;
  white-space: pre-wrap; }}
.grid {{ display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); }}
article {{ border: 1px solid var(--rule); border-radius: 6px; padding: .8rem 1rem; min-width: 0; }}
article.past {{ border-color: var(--past); }}
.text {{ white-space: pre-wrap; margin: 0 0 .8rem; }}
del {{ color: var(--soft); font-size: .85em; }}
mark {{ background: var(--up); color: inherit; border-radius: 2px; }}
dl {{ display: grid; grid-template-columns: 1fr auto; gap: .1rem .8rem; margin: 0;
  font-size: .85rem; }}
dt {{ color: var(--soft); }}
dd {{ margin: 0; text-align: right; font-variant-numeric: tabular-nums; }}
dd.up {{ background: var(--up); }}
dd.down {{ background: var(--down); }}
.warning {{ color: var(--warning); font-size: .85rem; margin: .6rem 0 0; }}
@media (max-width: 24rem) {{ .grid {{ grid-template-columns: 1fr; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="about">{about}</p>
<p class="prompt">{prompt}</p>
<main class="grid">
{articles}
</main>
<p class="caption">{caption}</p>
</body>
</html>
"""
_CAPTION = (
    "Marked words are not in the unsteered continuation at that place, struck ones are only there; "
    "all continuations are drawn with the same seed. Words: change of the log-probability, in nats "
    "(without steering: the log-probability itself). Perplexity is that of the continuation under "
    "the unsteered model. Neutral text: KL divergence and perplexity ratio of the steered model on "
    "text without emotion, which the budget limits. "
)


def render(
    request: Request,
    about: str,
    conditions: Sequence[Steered],
    budget: str,
    shared: Sequence[str] = (),
) -> str:
    """Return the page; the unsteered condition comes first.

    Parameters
    ----------
    shared
        Words that begin with the same token as another one's.
    """
    return _PAGE.format(
        title="The same prompt, steered",
        about=for_page(about),
        prompt=_lines(request.prompt),
        articles="\n".join(
            _article(condition, conditions[0].text, request, budget, shared)
            for condition in conditions
        ),
        caption=html.escape(_CAPTION + explained(request, shared)),
        ink=INK,
        soft=SOFT_INK,
        rule=RULE,
        up=UP_TINT,
        down=DOWN_TINT,
    )


def marked(text: str, baseline: str) -> str:
    """Escape a text, mark the words that the baseline lacks, and strike those it alone has."""
    words, before = _pieces(text), _pieces(baseline)
    parts = []
    matcher = difflib.SequenceMatcher(None, before, words, autojunk=False)
    for kind, lost, until, start, stop in matcher.get_opcodes():
        piece, gone = (_lines("".join(it)) for it in (words[start:stop], before[lost:until]))
        if kind == "equal":
            parts.append(piece)
            continue
        parts += [f"<del>{gone}</del>"] if gone else []
        parts += [f"<mark>{piece}</mark>"] if piece else []
    return "".join(parts)


def _lines(text: str) -> str:
    """Escape a text whose line feeds stay line feeds."""
    return "\n".join(map(for_page, text.split("\n")))


def _pieces(text: str) -> list[str]:
    """Words, each with the space after it."""
    pieces: list[str] = []
    for character in text:
        if pieces and (character.isspace() or not pieces[-1][-1].isspace()):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _article(
    condition: Steered, baseline: str, request: Request, budget: str, shared: Sequence[str]
) -> str:
    steered = condition.emotion is not None
    text = marked(condition.text, baseline) if steered else _lines(condition.text)
    facts = [
        (
            f"word “{name}”{'*' if name in shared else ''}",
            f"{value:+.2f}" if steered else f"{value:.2f}",
            value if steered else 0.0,
        )
        for name, value in condition.shown_words(request.emotions).items()
    ]
    perplexity = condition.perplexity
    facts.append(
        ("perplexity, unsteered model", "-" if perplexity is None else f"{perplexity:.1f}", 0.0)
    )
    facts.append(("repetition", f"{condition.repetition:.0%}", 0.0))
    if condition.cost is not None:
        facts.append(("neutral text: KL, nats", f"{condition.cost.kl:.2f}", 0.0))
        facts.append(
            ("neutral text: perplexity ratio", f"{condition.cost.perplexity_ratio:.2f}", 0.0)
        )
    if steered:
        facts += [
            (f"coefficient, layer {layer}", f"{coefficient:.4g}", 0.0)
            for layer, coefficient in condition.coefficients.items()
            if request.operation != "project"
        ]
    listed = "".join(
        f"<dt>{for_page(name)}</dt><dd{_tint(value)}>{for_page(said)}</dd>"
        for name, said, value in facts
    )
    past = (
        ""
        if condition.within_budget
        else f'<p class="warning">Past the usable range: the budget is a {for_page(budget)}.</p>'
    )
    return (
        f'<article class="{"" if condition.within_budget else "past"}">'
        f'<h2>{for_page(condition.name)}</h2><p class="text">{text}</p><dl>{listed}</dl>{past}'
        "</article>"
    )


def _tint(value: float) -> str:
    if abs(value) < 0.005:
        return ""
    return ' class="up"' if value > 0 else ' class="down"'
