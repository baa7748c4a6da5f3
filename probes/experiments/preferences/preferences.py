"""Preferences: do vectors follow what a model would rather do, and do they move it.

1. 64 activities, pairs of them in both orders (all 2,016, or as many as
   ``validation.preference_pairs``): `choices` asks, `bradley_terry` turns answers into Elo.
2. Cosine of the activity's tokens with every emotion's vector, beside Elo.
3. Each vector is added to one activity's tokens in ``validation.preference_steered_pairs`` pairs.
4. `preference_links` couples the two; shuffled-label vectors go the same way as a control, and the
   number of an activity's tokens is correlated with Elo like a vector is.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import rating_table
from probes.analysis.statistics import pearson, permutation_p_value
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines
from probes.experiments.preferences import wording as words
from probes.experiments.preferences.bradley_terry import balanced_pairs, fit
from probes.experiments.preferences.figures import activity_elo, preference_coupling
from probes.experiments.preferences.forced_choice import (
    Steer,
    activity_residuals,
    preferences,
    steered_changes,
)
from probes.experiments.preferences.links import coupling, links
from probes.experiments.steering.controls import shuffled_vectors
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.stimuli import activities


def measure(materials: Materials) -> Measured:
    """Ask, fit, read, steer, and couple."""
    settings, seed = materials.config.validation, materials.seed
    model, layer = materials.subject(), materials.layer
    offered = activities()
    texts = [activity.text for activity in offered]
    pairs = balanced_pairs(len(texts), settings.preference_pairs, seed)
    steered = balanced_pairs(len(texts), settings.preference_steered_pairs, seed + 1)
    own = materials.vectors.at(layer)
    shuffled = shuffled_vectors(materials)
    directions = own if shuffled is None else torch.cat([own, shuffled])
    dose = settings.doses[len(settings.doses) // 2]
    place = materials.vectors.layer_index(layer)
    how = Steer(layer, dose, float(materials.vectors.residual_norm[place]))
    total = 2 * len(pairs) + 2 * len(steered) * len(directions)
    with materials.reporter.task("preferences", total, "questions") as advance:
        answers = preferences(model, texts, pairs, advance)
        change = steered_changes(model, texts, steered, directions, how, advance)
    share = answers.mean(dim=0).sigmoid()
    strengths = fit(pairs, share, len(texts))
    residual, n_tokens = activity_residuals(model, texts, layer)
    probe = cosines(residual - materials.vectors.global_mean[place], directions).T
    options = {"n_permutations": N_PERMUTATIONS, "seed": seed}
    n = len(own)
    found = links(probe[:n], strengths.elo, change[:n], **options)
    joined = coupling(found, **options)
    control = None
    if shuffled is not None:
        control = coupling(links(probe[n:], strengths.elo, change[n:], **options), **options)
    values = {
        "model": model.name,
        "layer": layer,
        "chat": model.is_chat,
        "dose": dose,
        "n_activities": len(texts),
        "n_pairs": len(pairs),
        "n_pairs_all": len(texts) * (len(texts) - 1) // 2,
        "n_steered_pairs": len(steered),
        "activities": [
            {**asdict(activity), "elo": elo, "low": low, "high": high, "n_tokens": count}
            for activity, elo, low, high, count in zip(
                offered,
                strengths.elo.tolist(),
                strengths.low.tolist(),
                strengths.high.tolist(),
                n_tokens,
                strict=True,
            )
        ],
        "orders": orders_agree(answers, **options),
        "n_directions": _n_directions(own),
        "emotions": dict(zip(materials.emotions, map(asdict, found), strict=True)),
        "coupling": None if joined is None else asdict(joined),
        "coupling_shuffled": None if control is None else asdict(control),
        "length_r": _length(n_tokens, strengths.elo),
        "valence": _valence(materials.emotions, [link.r for link in found]),
    }
    return Measured(values, words.rows(values), words.paragraph(values), words.limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe Elo by activity, and reading beside pushing."""
    return {
        "preferences_elo": activity_elo(values),
        "preferences_coupling": preference_coupling(values),
    }


EXPERIMENT = Experiment(measure, figures)


def orders_agree(
    answers: Float[Tensor, "order pair"], *, n_permutations: int, seed: int
) -> dict[str, Any]:
    """How far the two orders of a pair agree: without that, there is no preference to speak of.

    A model that leans to one letter makes opposite choices of the same pair, one that leans to
    activities the same; so the chance of the same choice is what orders of different pairs give.
    """
    as_a, as_b = answers.double()
    agree = pearson(as_a, as_b) if len(as_a) >= 3 and as_a.std() > 0 and as_b.std() > 0 else None
    first, second = (as_a > 0).double(), (as_b > 0).double()
    keys = torch.rand(
        n_permutations, len(second), generator=torch.Generator().manual_seed(seed)
    ).argsort(dim=1)
    dealt = (first == second[keys]).double().mean(dim=1)
    same = float((first == second).double().mean())
    share = first.mean(), second.mean()
    return {
        "r": None if agree is None else agree.r,
        "low": None if agree is None else agree.low,
        "high": None if agree is None else agree.high,
        "same_choice": same,
        "same_choice_by_chance": float(share[0] * share[1] + (1 - share[0]) * (1 - share[1])),
        "same_choice_p": permutation_p_value(same, dealt, "greater"),
        "says_a": float((as_a - as_b).mean() / 2),
        "spread": float(answers.double().mean(dim=0).std(correction=0)),
    }


def _n_directions(vectors: Float[Tensor, "emotion d_model"]) -> float:
    """Participation ratio: how many equally long, orthogonal directions would vary as much."""
    spectrum = torch.linalg.svdvals(vectors.double() - vectors.double().mean(dim=0)).square()
    return float(spectrum.sum().square() / spectrum.square().sum())


def _length(n_tokens: list[int], elo: Float[Tensor, "activity"]) -> dict[str, Any] | None:
    counts = torch.tensor(n_tokens, dtype=torch.float64)
    return None if counts.std() == 0 else asdict(pearson(counts, elo.double()))


def _valence(emotions: list[str], r: list[float]) -> dict[str, Any] | None:
    """Human valence of the rated emotions beside their correlation with Elo."""
    table = rating_table(emotions)
    rated = [place for place, emotion in enumerate(emotions) if emotion in table]
    if len(rated) < 4:
        return None
    valence = torch.tensor([table[emotions[place]]["valence"] for place in rated])
    return asdict(pearson(valence, torch.tensor([r[place] for place in rated])))
