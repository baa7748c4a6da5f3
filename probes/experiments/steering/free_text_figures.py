"""What steered text conveys to judges that did not steer.

Contract: pure; ``analysis/free_text.json`` becomes one description per judge.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Bars
from probes.figures.estimates import Bar, bars_by_kind
from probes.figures.reading import need, number, numbers, pair

_OWN, _CONTROL, _EACH = "steered toward it", "other steering", "each emotion"


def judged_gains(found: Mapping[str, Any], key: str, name: str, unit: str) -> Bars:
    """Describe one judge's gains: over all emotions beside the controls, and of each emotion.

    Parameters
    ----------
    key, name, unit
        The judge's entry, what it is called, and in what it scores.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    where = f"free_text.judges.{key}"
    judged = need(need(found, "judges", "free_text"), key, "free_text.judges")
    gain = number(need(judged, "gain", where), where)
    bars = [
        Bar("all: steered toward it", _OWN, gain, pair(judged["gain_interval"], where)),
        Bar("all: steered elsewhere", _CONTROL, number(judged["gain_in_others"], where)),
    ]
    if judged["gain_in_random"] is not None:
        random = number(judged["gain_in_random"], where)
        bars.append(Bar("all: random directions", _CONTROL, random))
    each = numbers(judged["per_emotion"]["gain"], where)
    order = sorted(range(len(each)), key=lambda place: -each[place])
    bars += [Bar(found["emotions"][place], _EACH, each[place]) for place in order]
    low, high = pair(judged["percentile_interval"], where)
    return Bars(
        title=f"Does steered text convey the emotion: {name}",
        subtitle=f"{found['model']}, steered at layer {found['layer']} with dose "
        f"{found['dose']:g}, judged at layer {found['judge_layer']}, n = {len(each)} emotions x "
        f"{len(found['prompts'])} prompts",
        caption="Gain: how much higher the judge scores an emotion in a continuation than in the "
        "unsteered one of the same prompt. The judge comes from stories on other topics and reads "
        "at another layer. Line: 95% interval over emotions "
        "and prompts. Single emotions rest on "
        f"{len(found['prompts'])} texts each. The emotion steered to gains more than "
        f"{judged['percentile']:.0%} [{low:.0%}, {high:.0%}] of the others (chance 50%).",
        value_label=f"gain over unsteered text ({unit})",
        **bars_by_kind(bars, (_OWN, _CONTROL, _EACH), muted=(_CONTROL,)),
    )
