"""Figures of what is named from whose words, and of where the directions lie."""

from typing import TYPE_CHECKING

from probes.experiments.dialogues.left_out import Naming
from probes.figures import Figure, Heatmap
from probes.figures.description import Bars, Scatter
from probes.figures.estimates import Bar, bar_of, bars_by_kind

if TYPE_CHECKING:
    from probes.experiments.dialogues.arousal import ArousalLink
    from probes.experiments.dialogues.deflection import DeflectionResult
    from probes.experiments.dialogues.speakers import Speakers

_MODEL, _OTHERS, _CHANCE = "the model", "other readers", "chance"
_THOUSANDTHS = 1000.0


def figures_of_speakers(result: "Speakers") -> dict[str, Figure]:
    """Describe what is named, the cosines of the four sets, and arousal where there is an axis."""
    drawn: dict[str, Figure] = {
        "speakers": _named_in_dialogues(result),
        "speakers_cosines": _cosines(result),
    }
    if result.arousal is not None:
        drawn["speakers_arousal"] = _arousal(result, result.arousal)
    return drawn


def figures_of_deflection(result: "DeflectionResult") -> dict[str, Figure]:
    """Describe what is named of hidden and of shown emotions."""
    bars = []
    for name, said, naming in (
        ("hidden", "hidden", result.hidden),
        ("displayed", "shown", result.displayed),
    ):
        bars += _bars(said, naming)
        if name in result.stories:
            bars.append(bar_of(f"{said}: story vectors", _OTHERS, result.stories[name].share))
    return {
        "deflection": Bars(
            title="A hidden emotion, named from words that show another",
            subtitle=f"{result.model}, layer {result.layer}, n = {result.n_dialogues} dialogues",
            caption="Share of readings whose emotion is named by directions learned in other "
            f"settings. Hidden: one of {len(result.felt)}, which only a few sentences before the "
            f"dialogue tell. Shown: one of {len(result.shown)}. The hider's words are read after "
            "those sentences, and without them. 95% intervals over settings.",
            value_label="share named",
            **bars_by_kind(bars, (_MODEL, _OTHERS, _CHANCE), muted=(_CHANCE,)),
        )
    }


def _named_in_dialogues(result: "Speakers") -> Bars:
    bars = [
        *_bars("own", result.own),
        *_bars("the other's", result.other),
        *_bars("the other's, given the own", result.apart),
    ]
    return Bars(
        title="Whose emotion is named from whose words",
        subtitle=f"{result.model}, layer {result.layer}, n = {result.n_dialogues} dialogues, "
        f"{result.n_different} of them with two emotions",
        caption="Share of readings whose emotion, the speaker's own or the other's, is named from "
        "the speaker's words by directions learned in other settings. Given the own: with what it "
        f"adds subtracted, of {result.apart.n_levels} instead of {result.own.n_levels}, beside "
        "directions of own emotions. 95% intervals over settings.",
        value_label="share named",
        **bars_by_kind(bars, (_MODEL, _OTHERS, _CHANCE), muted=(_CHANCE,)),
    )


def _bars(whose: str, naming: Naming) -> list[Bar]:
    return [
        bar_of(f"{whose}: {_MODEL}", _MODEL, naming.share),
        *(bar_of(f"{whose}: {name}", _OTHERS, share) for name, share in naming.others.items()),
        Bar(f"{whose}: {_CHANCE}", _CHANCE, naming.chance),
    ]


def _cosines(result: "Speakers") -> Heatmap:
    table = result.cosines
    pairs = zip(table.cosine, table.without_noise, strict=True)
    values = tuple(
        tuple(raw if clean is None else clean for raw, clean in zip(*rows, strict=True))
        for rows in pairs
    )
    noisy = any(None in row for row in table.without_noise)
    beside = " As they are where directions do not repeat between halves." if noisy else ""
    reliability = ", ".join(
        f"{name} {it:.2f}" for name, it in zip(table.sets, table.reliability, strict=True)
    )
    return Heatmap(
        title="One emotion, by whose words and whose emotion",
        subtitle=f"{result.model}, layer {result.layer}, mean over {len(result.emotions)} emotions",
        caption="Cosine of two directions from opposite halves of the settings, over the root of "
        f"their reliability.{beside} Reliability of all settings: {reliability}.",
        rows=tuple(table.sets),
        columns=tuple(table.sets),
        values=values,
        value_label="cosine without noise",
        x_label="",
        y_label="",
        limits=(-1.0, 1.0),
        written="+.2f",
    )


def _arousal(result: "Speakers", link: "ArousalLink") -> Scatter:
    return Scatter(
        title="Arousal of the other's emotion in a speaker's words",
        subtitle=f"{result.model}, layer {result.layer}, n = {len(link.emotions)} emotions, "
        f"r = {link.other_r:+.2f}, p = {link.p:.2g}",
        caption="Each point is what the other's emotion adds to a speaker's words, along the "
        f"arousal axis of {link.n_axis} other emotions' stories. Of the speaker's own emotion: "
        f"r = {link.own_r:+.2f}.",
        labels=tuple(link.emotions),
        x=tuple(link.ratings),
        y=tuple(_THOUSANDTHS * place for place in link.other),
        x_label="arousal of the other's emotion, as people rated it",
        y_label="arousal axis, thousandths of the residual norm",
    )
