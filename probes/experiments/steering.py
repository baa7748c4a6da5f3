"""Steering: whether adding a vector makes the model say that emotion's word.

`steering_words` measures it; this module brings the controls and says what was found.

1. The vectors of the target layer are steered with, one by one, at the configured doses.
2. Shuffled-label control: vectors made in the same way from stories whose emotions were dealt out
   anew within each topic. Valence control: unpleasant-to-pleasant axis of the run's own vectors.
"""

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from probes.denoising import MeanAccumulator, mean_difference, project_out
from probes.experiments import Experiment, Measured, steering_words
from probes.figures import Figure
from probes.figures.steering_figures import steering_matrix
from probes.materials import Materials
from probes.norms import rating_table


def measure(materials: Materials) -> Measured:
    """Steer toward every emotion's word, beside controls."""
    model = materials.subject()
    bundle, layer = materials.vectors, materials.layer
    settings = materials.config.validation
    controls = _controls(materials)
    total = steering_words.n_conditions(
        len(bundle.emotions), controls, settings.doses, settings.n_random
    )
    with materials.reporter.task("steering", total, "directions") as advance:
        result = steering_words.run(
            model,
            bundle.at(layer),
            bundle.emotions,
            layer=layer,
            residual_norm=float(bundle.residual_norm[bundle.layer_index(layer)]),
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


def _controls(materials: Materials) -> steering_words.Controls:
    """Shuffled-label vectors and the valence axis at the target layer."""
    table = rating_table(materials.emotions)
    valence = torch.tensor(
        [table.get(emotion, {}).get("valence", float("nan")) for emotion in materials.emotions]
    )
    vectors = materials.vectors.at(materials.layer)
    axis = None
    if (valence > 0).any() and (valence < 0).any():
        axis = vectors[valence > 0].mean(dim=0) - vectors[valence < 0].mean(dim=0)
    return steering_words.Controls(shuffled_vectors(materials), axis, valence)


def shuffled_vectors(materials: Materials) -> Float[Tensor, "emotion d_model"] | None:
    """Vectors from stories whose emotions were dealt out anew within each topic.

    None when that leaves an emotion without a story.
    """
    stories = materials.stories()
    label = stories.emotion.clone()
    generator = torch.Generator().manual_seed(materials.seed)
    for topic in range(len(materials.topics)):
        members = (stories.topic == topic).nonzero()[:, 0]
        label[members] = label[members[torch.randperm(len(members), generator=generator)]]
    means = MeanAccumulator(len(materials.emotions), 1, stories.mean.shape[1])
    means.add(rearrange(stories.mean, "row d_model -> row 1 d_model"), label, stories.n_texts)
    if (means.counts == 0).any():
        return None
    raw, _ = mean_difference(means.means())
    return project_out(raw[0], materials.neutral_components()).float()


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One row per dose: the word's own rise, the others', and the controls'."""
    n, n_random = len(values["emotions"]), values["n_random"]
    return [
        (
            f"steering at dose {dose['dose']:g}",
            f"own word {dose['matching']:+.2f} nats "
            f"[{dose['matching_interval'][0]:+.2f}, {dose['matching_interval'][1]:+.2f}], other "
            f"words {dose['other']:+.2f}; random directions {dose['random_matching']:+.2f}"
            + _control("shuffled labels", dose["shuffled_matching"])
            + _control("valence axis", dose["valence_matching"])
            + f"; own word in the top 3 for {dose['top_3']:.0%}; beats all {n_random} random "
            f"directions for {len(dose['beats_all_random'])} of {n}",
        )
        for dose in values["doses"]
    ]


def _control(name: str, value: float | None) -> str:
    return "" if value is None else f", {name} {value:+.2f}"


def _paragraph(values: Mapping[str, Any]) -> str:
    dose = values["doses"][len(values["doses"]) // 2]
    low, high = dose["matching_interval"]
    found = (
        f"Each vector was added at layer {values['layer']} with a dose of {dose['dose']:g} of the "
        f"mean residual norm, after {len(values['carriers'])} sentences that end before a feeling "
        f"is named. The log-probability of the emotion's own word changed by "
        f"{dose['matching']:+.2f} nats (95% interval over {len(values['emotions'])} emotions "
        f"[{low:+.2f}, {high:+.2f}]), that of other emotions' words by {dose['other']:+.2f}. "
        f"Random directions with the same coefficient changed the same words by "
        f"{dose['random_matching']:+.2f}; {len(dose['beats_all_random'])} of "
        f"{len(values['emotions'])} vectors raise their own word more than each of "
        f"{values['n_random']} random directions does."
    )
    if dose["shuffled_matching"] is not None:
        found += (
            " Vectors from stories with shuffled labels changed them by "
            f"{dose['shuffled_matching']:+.2f}."
        )
    if dose["valence_matching"] is not None:
        found += (
            f" Pushing along valence alone, toward each word's own side, gave "
            f"{dose['valence_matching']:+.2f} where the emotions' own vectors gave "
            f"{dose['matching_rated']:+.2f}."
        )
    return found


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
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
