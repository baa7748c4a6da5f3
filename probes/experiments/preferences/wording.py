"""What a preference experiment found, in words.

Contract: plain values in, as ``analysis/preferences.json`` holds them; text out.
"""

from collections.abc import Mapping
from typing import Any

from probes.experiments.preferences.figures import agree_beyond_chance
from probes.experiments.wording import effect


def rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lines for the table of a run."""
    orders, emotions = values["orders"], values["emotions"]
    sure = [name for name, link in emotions.items() if link["p_corrected"] <= 0.05]
    best = max(emotions, key=lambda name: abs(emotions[name]["r"]))
    link = emotions[best]
    table = [
        (
            "preferences: do both orders agree",
            f"r {_signed(orders['r'])} over {values['n_pairs']} of {values['n_pairs_all']} pairs, "
            f"same choice for {orders['same_choice']:.0%} (by chance, with its lean: "
            f"{orders['same_choice_by_chance']:.0%}, p={orders['same_choice_p']:.4f}); leans to A "
            f"by {orders['says_a']:+.2f} nats, spread of preferences {orders['spread']:.2f}",
        ),
        (
            "preferences: vectors beside Elo",
            f"{len(sure)} of {len(emotions)} emotions at p<=0.05 corrected for {len(emotions)}; "
            f"strongest {best} {_r(link)}, "
            f"n={values['n_activities']}, p={link['p_corrected']:.4f}; number of tokens "
            f"{_r(values['length_r'])}",
        ),
    ]
    if values["valence"] is not None:
        valence = f"{_r(values['valence'])}, n={values['valence']['n']} rated emotions"
        table.append(("preferences: human valence beside r with Elo", valence))
    if values["coupling"] is not None:
        found = values["coupling"]
        table.append(
            (
                "preferences: reading beside steering",
                f"{_r(found)}, n={found['n']} emotions, p={found['p']:.4f}; shuffled labels "
                f"{_r(values['coupling_shuffled'])}; dose {values['dose']:g}, "
                f"{values['n_steered_pairs']} steered pairs",
            )
        )
    return table


def paragraph(values: Mapping[str, Any]) -> str:
    """Say what was asked and found, for a reader who has not seen the paper."""
    orders = values["orders"]
    text = (
        f"The model was asked which of two activities it would rather do, for {values['n_pairs']} "
        f"of {values['n_pairs_all']} pairs of {values['n_activities']} activities, each in both "
        f"orders{'' if values['chat'] else ' (in plain text: it is a base model)'}. The two orders "
        f"correlate with r {_signed(orders['r'])} and lead to the same choice for "
        f"{orders['same_choice']:.0%} of pairs; a model with the same lean to a letter and no "
        f"preferences would make it for {orders['same_choice_by_chance']:.0%} (p="
        f"{orders['same_choice_p']:.4f}). A Bradley-Terry model turns the answers into Elo points. "
    )
    if values["valence"] is not None:
        text += (
            "If vectors of pleasant emotions lie nearer to activities with more points, the "
            "emotions' human valence goes with their vectors' correlation with Elo: r "
            f"{_r(values['valence'])} over {values['valence']['n']} rated emotions. "
        )
    if values["coupling"] is not None:
        text += (
            "Each vector was then added to the tokens of one of two activities. If vectors that "
            "lie near activities with more points also raise the activity they are added to, the "
            f"two go together over emotions: r {_r(values['coupling'])} over "
            f"{values['coupling']['n']} emotions (p={values['coupling']['p']:.4f})"
        )
        if values["coupling_shuffled"] is not None:
            text += (
                f"; for vectors from stories with shuffled labels it is "
                f"{_r(values['coupling_shuffled'])}, so only what exceeds that belongs to emotions"
            )
        text += "."
    return text.strip()


def limits(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each weakness."""
    found = []
    orders = values["orders"]
    if values["n_pairs"] < values["n_pairs_all"]:
        found.append(
            f"Preferences: {values['n_pairs']} of {values['n_pairs_all']} pairs were asked "
            "(validation.preference_pairs)."
        )
    if not agree_beyond_chance(orders):
        found.append(
            "Preferences: the two orders of a pair do not agree beyond chance, so the model has no "
            "preferences that vectors could follow."
        )
    elif abs(orders["says_a"]) > orders["spread"]:
        found.append(
            f"Preferences: the model leans to one letter by {abs(orders['says_a']):.2f} nats, more "
            f"than preferences differ ({orders['spread']:.2f}); averaging both orders removes the "
            "lean from the mean, not what it hides."
        )
    if values["coupling"] is not None:
        found.append(
            f"Preferences: the p-value of reading beside steering deals pushes out among "
            f"{values['coupling']['n']} emotions as if their vectors were independent; they vary "
            f"like {values['n_directions']:.1f} directions that are, so it is too small. The "
            "shuffled-label vectors beside it are one set."
        )
    return found


def _signed(value: float | None) -> str:
    return "not defined" if value is None else f"{value:+.2f}"


def _r(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    return effect(found["r"], (found["low"], found["high"]))
