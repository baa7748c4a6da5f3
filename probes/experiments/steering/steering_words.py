"""Steering: whether adding a vector makes the model say that emotion's word.

`steering_words` measures it at the target layer and its surroundings, `steering_controls` brings
what should not do it; this module says what was found.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from probes.experiments.legacy import Experiment, Measured
from probes.experiments.steering import word_effects as steering_words
from probes.experiments.steering.controls import controls_of
from probes.experiments.steering.figures import steering_matrix
from probes.experiments.steering.word_effects import swept_layers
from probes.experiments.wording import effect, signed
from probes.figures import Figure
from probes.runs.materials import Materials

JUDGED_DOSE = 0.1


def measure(materials: Materials) -> Measured:
    """Steer toward every emotion's word, beside controls."""
    model = materials.subject()
    bundle, layer = materials.vectors, materials.layer
    settings = materials.config.validation
    controls = controls_of(materials)
    layers = swept_layers(bundle.layers, layer, model.n_layers, settings.sweep_layers)
    layers = sorted({*layers, layer})
    total = steering_words.n_conditions(
        len(bundle.emotions), len(layers), controls, settings.doses, settings.n_random
    )
    with materials.reporter.task("steering", total, "directions") as advance:
        result = steering_words.run(
            model,
            torch.stack([bundle.at(one) for one in layers]),
            bundle.emotions,
            layers=layers,
            target=layer,
            residual_norm=bundle.residual_norm[[bundle.layer_index(one) for one in layers]],
            controls=controls,
            doses=settings.doses,
            n_random=settings.n_random,
            seed=materials.seed,
            progress=advance,
        )
    values = {"model": model.name, **result.to_json()}
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the matrix of words and vectors."""
    return {"steering_matrix": steering_matrix(values)}


EXPERIMENT = Experiment(measure, figures)


def judged(doses: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the dose that the project promises to judge, or else the middle one."""
    return next((d for d in doses if d["dose"] == JUDGED_DOSE), doses[len(doses) // 2])


def controls(dose: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name every control of a dose that was tried: what is left of the own effect beside it."""
    named = {
        "isotropic random directions": dose["random"],
        "random directions with the stories' covariance": dose["matched"],
        "shuffled labels": dose["shuffled"],
        "other emotions' vectors": dose["other_vectors"],
        "the valence axis": dose["valence"],
    }
    return {name: found for name, found in named.items() if found is not None}


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows for each dose: the effect, the controls, carriers and layers."""
    n = len(values["emotions"])
    rows = []
    for place, dose in enumerate(values["doses"]):
        name = f"steering at dose {dose['dose']:g}"
        rows.append(
            (
                name,
                f"own word {effect(dose['matching'], dose['matching_interval'])} nats, other words "
                f"{effect(dose['other'], dose['other_interval'])}; own word in the top 3 for "
                f"{dose['top_3']:.0%}",
            )
        )
        for kind in ("random", "matched", "shuffled"):
            null = dose[kind]
            if null is not None:
                rows.append((f"{name}: {_KINDS[kind]}", _null(null, n)))
        others, valence = dose["other_vectors"], dose["valence"]
        said = (
            f"own word more than under other emotions' vectors by {_excess(others)} (beaten, all "
            f"of them, for {len(dose['beats_all_others'])} of {n})"
        )
        if valence is not None:
            said += (
                f", than under the valence axis by {_excess(valence)} (the axis alone "
                f"{valence['rival']:+.2f}, own vectors {valence['own']:+.2f}; {valence['n']} rated "
                "emotions, each left out of its axis)"
            )
        rows.append((f"{name}: other explanations", said))
        rows.append(
            (
                f"{name}: by carrier",
                "; ".join(
                    f"{carrier} ...: own {signed(found['matching'])}, other "
                    f"{found['other']['value']:+.2f}"
                    for carrier, found in dose["by_carrier"].items()
                ),
            )
        )
        if len(values["layers"]) > 1:
            at = [(entry["layer"], entry["doses"][place]) for entry in values["layers"]]
            rows.append(
                (
                    f"{name}: by layer",
                    "; ".join(
                        f"layer {layer}: own {signed(found['matching'])}, other "
                        f"{found['other']['value']:+.2f}, KL {found['kl']:.2f}"
                        for layer, found in at
                    ),
                )
            )
    rows.append(
        (
            "steering: words",
            f"{values['n_single_token']} of {n} are a single token (the first token stands for a "
            f"longer one); {len(values['left_out'])} left out",
        )
    )
    return rows


_KINDS = {
    "random": "random directions",
    "matched": "random in the stories' covariance",
    "shuffled": "shuffled labels",
}


def _excess(found: Mapping[str, Any]) -> str:
    return effect(found["excess"], found["excess_interval"])


def _null(null: Mapping[str, Any], n: int) -> str:
    return (
        f"{effect(null['matching'], null['matching_interval'])} nats; own word more by "
        f"{_excess(null)}, beats all {null['n_directions']} for {len(null['beats_all'])} of {n} "
        "emotions" + ("" if null["mean_z"] is None else f", mean z {null['mean_z']:+.2f}")
    )


def _paragraph(values: Mapping[str, Any]) -> str:
    dose = judged(values["doses"])
    n = len(values["emotions"])
    found = (
        f"Each vector was added at layer {values['layer']} with a dose of {dose['dose']:g} of the "
        f"mean residual norm, after {len(values['carriers'])} sentences that end before a feeling "
        "is named. The log-probability of the emotion's own word changed by "
        f"{effect(dose['matching'], dose['matching_interval'])} nats (95% interval over "
        f"{n} emotions), that of other emotions' words by "
        f"{effect(dose['other'], dose['other_interval'])}."
    )
    for kind, null in (
        ("isotropic random directions", dose["random"]),
        ("random directions with the covariance of the stories", dose["matched"]),
    ):
        if null is not None:
            verdict = "reaches" if len(null["beats_all"]) * 6 >= n * 5 else "does not reach"
            found += (
                f" Under {null['n_directions']} {kind} with the same coefficient the own words "
                f"changed by {effect(null['matching'], null['matching_interval'])}; "
                f"{len(null['beats_all'])} of {n} vectors raise their own word more than each of "
                f"these does, which {verdict} the bar of five in six."
            )
    if dose["shuffled"] is not None:
        shuffled = dose["shuffled"]
        found += (
            f" Vectors from {shuffled['n_directions']} dealings of the labels changed them by "
            f"{effect(shuffled['matching'], shuffled['matching_interval'])}."
        )
    if dose["valence"] is not None:
        valence = dose["valence"]
        low, high = valence["excess_interval"]
        verdict = "more" if low > 0 else "not reliably more" if high > 0 else "less"
        found += (
            f" An emotion's own vector does {verdict} for its word than valence alone: pushing "
            "toward the word's side of the axis between the other pleasant and unpleasant "
            f"emotions changed it by {valence['rival']:+.2f}, the own vector by "
            f"{valence['own']:+.2f}, a difference of {_excess(valence)}."
        )
    near = [name for name, it in controls(dose).items() if it["excess_interval"][0] <= 0]
    return found + (
        " The own effect exceeds every control, by 95% intervals over emotions and directions."
        if not near
        else f" By 95% intervals the own effect does not exceed: {', '.join(near)}."
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    n = len(values["emotions"])
    if values["n_single_token"] < n:
        limits.append(
            f"Steering: {n - values['n_single_token']} of {n} words are several tokens long and "
            "were read by the first."
        )
    if values["left_out"]:
        limits.append(
            f"Steering: {len(values['left_out'])} words share their first token with another "
            f"emotion's and were left out: {', '.join(values['left_out'])}."
        )
    for key, word in (("at_ceiling", "likely"), ("at_floor", "unlikely")):
        if values[key]:
            limits.append(
                f"Steering: {len(values[key])} words are so {word} without steering that little "
                f"can be seen of a change: {', '.join(values[key])}."
            )
    return limits
