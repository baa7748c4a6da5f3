"""Dose and response: how much a dose does, what it costs, and up to where it is usable.

1. At a few layers and doses, each of some emotions' vectors is added to the carriers of
   `steering_words`; its effect is the change of the log-probability of the emotion's own word.
2. The same doses of random directions with the stories' covariance give the control.
3. At every dose the model reads neutral texts, steered with the vectors in turn: KL and perplexity
   (`dosing`).
4. The usable range of a layer ends at the largest dose that stays, with all smaller ones, within
   the budget on average.

Source of the budget: `validation.max_kl` and `validation.max_perplexity_ratio`, which say why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel
from probes.corpus.cells import read_corpus
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.steering.controls import story_residuals
from probes.experiments.steering.dose_cost import Budget, SteeringCost, usable_dose
from probes.experiments.steering.figures import dose_response_curves
from probes.experiments.steering.nulls import crossed_interval, matched_directions, mean_interval
from probes.experiments.steering.word_effects import (
    CARRIERS,
    first_tokens,
    last_residuals,
    log_probs,
    steered_log_probs,
    swept_layers,
)
from probes.experiments.wording import effect
from probes.figures import Figure
from probes.runs.folder import Run
from probes.runs.materials import Materials

_N_RANDOM = 20


def measure(materials: Materials) -> Measured:
    """Sweep doses at a few layers."""
    settings = materials.config.validation
    model = materials.subject()
    budget = Budget(settings.max_kl, settings.max_perplexity_ratio)
    layers = swept_layers(
        materials.vectors.layers, materials.layer, model.n_layers, settings.sweep_layers
    )
    names = spread_words(model, materials.emotions, settings.sweep_emotions)
    gauge = SteeringCost(model, neutral_texts(materials.run, settings.n_budget_texts))
    found = []
    total = len(layers) * len(settings.sweep_doses)
    with materials.reporter.task("steering-dose-response", total, "doses") as advance:
        for layer in layers:
            found.append(_layer(materials, model, gauge, budget, names, layer, advance))
    values = {
        "model": model.name,
        "target_layer": materials.layer,
        "emotions": names,
        "n_random": _N_RANDOM,
        "n_texts": len(gauge.texts),
        "n_tokens": gauge.n_tokens,
        "budget": asdict(budget),
        "layers": found,
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the curves."""
    return {"dose_response": dose_response_curves(values)}


EXPERIMENT = Experiment(measure, figures)


def neutral_texts(run: Run, n: int) -> list[str]:
    """Return up to `n` of the run's neutral texts, spread over its topics."""
    texts = [text.text for text in read_corpus(run.root, run.neutral_cells)]
    step = max(1, len(texts) // n)
    return texts[::step][:n]


def spread_words(model: LanguageModel, emotions: Sequence[str], n: int) -> list[str]:
    """Emotions spread over the list, each with a first token that no other's word begins with."""
    heads = [ids[0] if ids else -1 for ids in first_tokens(model, emotions)]
    own = [name for name, head in zip(emotions, heads, strict=True) if heads.count(head) == 1]
    places = torch.linspace(0, max(len(own) - 1, 0), min(n, len(own))).round().long().tolist()
    return [own[place] for place in places]


def _layer(
    materials: Materials,
    model: LanguageModel,
    gauge: SteeringCost,
    budget: Budget,
    names: list[str],
    layer: int,
    advance: Any,
) -> dict[str, Any]:
    bundle = materials.vectors
    norm = float(bundle.residual_norm[bundle.layer_index(layer)])
    heads = torch.tensor([ids[0] for ids in first_tokens(model, names)])
    baseline = log_probs(model, last_residuals(model, CARRIERS))[:, heads]
    own = torch.stack([bundle.at(layer)[bundle.emotions.index(name)] for name in names])
    samples = story_residuals(materials, layer)
    random = torch.empty(0, model.d_model)
    if len(samples) > 1:
        random = matched_directions(samples, _N_RANDOM, materials.seed + layer)
    directions = torch.cat([own, random])

    def effects(dose: float) -> Float[Tensor, "direction word"]:
        found = torch.zeros(len(directions), len(heads))
        how = {"layer": layer, "dose": dose, "residual_norm": norm}
        for carrier, unsteered in zip(CARRIERS, baseline, strict=True):
            steered = steered_log_probs(model, directions, carrier, **how)
            found += (steered[:, heads] - unsteered) / len(CARRIERS)
        return found

    doses, costs = [], []
    for dose in materials.config.validation.sweep_doses:
        found = effects(dose)
        cost = gauge.mean_cost(own, dose, layer=layer, residual_norm=norm)
        costs.append(cost)
        advance(1)
        response, null = found[: len(own)].diagonal(), found[len(own) :]
        doses.append(
            {
                **asdict(cost),
                "own": float(response.mean()),
                "own_interval": mean_interval(response, materials.seed),
                "random": float(null.mean()) if len(null) else None,
                "random_interval": crossed_interval(null, materials.seed) if len(null) else None,
            }
        )
    return {"layer": layer, "doses": doses, "usable": usable_dose(costs, budget)}


def _target(values: Mapping[str, Any]) -> Mapping[str, Any]:
    near = [entry for entry in values["layers"] if entry["layer"] == values["target_layer"]]
    return near[0] if near else values["layers"][len(values["layers"]) // 2]


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for entry in values["layers"]:
        usable = entry["usable"]
        if usable is None:
            smallest = entry["doses"][0]
            said = f"none of the doses tried: even {_cost(smallest)}"
        else:
            at = next(dose for dose in entry["doses"] if dose["dose"] == usable)
            said = (
                f"up to dose {_cost(at)}; own word {effect(at['own'], at['own_interval'])} nats "
                f"({len(values['emotions'])} emotions)"
            ) + (
                ""
                if at["random"] is None
                else f", random directions {effect(at['random'], at['random_interval'])}"
            )
        rows.append((f"usable range at layer {entry['layer']}", said))
    return rows


def _cost(dose: Mapping[str, Any]) -> str:
    (kl_low, kl_high), (low, high) = dose["kl_interval"], dose["perplexity_interval"]
    return (
        f"{dose['dose']:g} (KL {dose['kl']:.2f} [{kl_low:.2f}, {kl_high:.2f}] nats, perplexity "
        f"x{dose['perplexity_ratio']:.2f} [{low:.2f}, {high:.2f}])"
    )


def _paragraph(values: Mapping[str, Any]) -> str:
    entry, budget = _target(values), values["budget"]
    doses = entry["doses"]
    best = max(doses, key=lambda dose: dose["own"])
    if entry["usable"] is None:
        verdict = "no dose that was tried stays within it"
    elif entry["usable"] == doses[-1]["dose"]:
        verdict = f"every dose up to the largest tried, {doses[-1]['dose']:g}, stays within it"
    else:
        verdict = f"doses up to {entry['usable']:g} stay within it"
    return (
        f"Doses of {len(values['emotions'])} emotions' vectors were swept at layers "
        f"{', '.join(str(layer['layer']) for layer in values['layers'])} while the model read "
        f"{values['n_texts']} neutral texts, steered with the vectors in turn (distributions "
        f"compared at {values['n_tokens']} tokens). With a budget of "
        f"{budget['max_kl']:g} nats of KL divergence and {budget['max_perplexity_ratio']:g} times "
        f"the unsteered perplexity, at layer {entry['layer']} {verdict}. The emotion's own word "
        f"rises most at dose {best['dose']:g}, by {effect(best['own'], best['own_interval'])} "
        "nats"
        + (
            "."
            if best["random"] is None
            else f"; random directions with the stories' covariance change it by "
            f"{effect(best['random'], best['random_interval'])} there."
        )
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = [
        f"Dose-response: averaged over {len(values['emotions'])} emotions, and costs over "
        f"{values['n_texts']} texts; one emotion's own range can differ."
    ]
    if all(entry["usable"] == entry["doses"][-1]["dose"] for entry in values["layers"]):
        limits.append("Dose-response: the largest dose tried is still usable; try larger ones.")
    return limits
