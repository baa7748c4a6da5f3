"""Stage that tests the vectors against controls which could beat them."""

from typing import Any

import torch
from einops import rearrange

from probes.activations import load_shards
from probes.denoising import MeanAccumulator, mean_difference, project_out
from probes.experiments import steering_words
from probes.models import Models
from probes.norms import rating_table
from probes.reporting import Reporter
from probes.runs import Run
from probes.stages.reading import INDEX, neutral_components_at
from probes.storage import read_json, write_json
from probes.vectors import EmotionVectors

STEERING = "analysis/steering.json"


def validate(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Steer toward every emotion's word, beside controls; leaves ``analysis/steering.json``."""
    bundle = EmotionVectors.load(run.root)
    model = models.subject()
    bundle.check_model(model)
    settings = run.config.validation
    layer = bundle.provenance.target_layer
    place = bundle.layer_index(layer)
    controls = _controls(run, bundle, place)
    total = steering_words.n_conditions(
        len(bundle.emotions), controls, settings.doses, settings.n_random
    )
    with reporter.task("steering", total, "directions") as advance:
        result = steering_words.run(
            model,
            bundle.vectors[place],
            bundle.emotions,
            layer=layer,
            residual_norm=float(bundle.residual_norm[place]),
            controls=controls,
            doses=settings.doses,
            n_random=settings.n_random,
            seed=run.config.seed,
            progress=advance,
        )
    described = result.to_json()
    write_json(run.root / STEERING, {"model": model.name, **described})
    kept = ("emotions", "layer", "n_random", "n_single_token", "left_out", "at_ceiling", "at_floor")
    doses = [{k: v for k, v in dose.items() if k != "matrix"} for dose in described["doses"]]
    return {**{key: described[key] for key in kept}, "doses": doses}


def _controls(run: Run, bundle: EmotionVectors, place: int) -> steering_words.Controls:
    """Shuffled-label vectors and the valence axis at one layer."""
    table = rating_table(bundle.emotions)
    valence = torch.tensor(
        [table.get(emotion, {}).get("valence", float("nan")) for emotion in bundle.emotions]
    )
    vectors = bundle.vectors[place]
    axis = None
    if (valence > 0).any() and (valence < 0).any():
        axis = vectors[valence > 0].mean(dim=0) - vectors[valence < 0].mean(dim=0)
    return steering_words.Controls(_shuffled_vectors(run, place), axis, valence)


def _shuffled_vectors(run: Run, place: int) -> torch.Tensor | None:
    """Vectors of one layer from stories whose emotions were dealt out anew within each topic.

    None when that leaves an emotion without a story.
    """
    index = read_json(run.root / INDEX)
    emotions = {name: number for number, name in enumerate(run.emotions)}
    rows, labels, topics, weights = [], [], [], []
    for shard in load_shards(run.root, "stories", index["stories"]["n_shards"]):
        rows.append(shard.mean[:, place])
        weights.append(shard.n_texts)
        labels += [emotions[row.emotion or ""] for row in shard.rows]
        topics += [row.topic for row in shard.rows]
    label = torch.tensor(labels)
    generator = torch.Generator().manual_seed(run.config.seed)
    for topic in dict.fromkeys(topics):
        members = torch.tensor([i for i, name in enumerate(topics) if name == topic])
        label[members] = label[members[torch.randperm(len(members), generator=generator)]]
    stacked = torch.cat(rows)
    means = MeanAccumulator(len(emotions), 1, stacked.shape[1])
    means.add(rearrange(stacked, "row d_model -> row 1 d_model"), label, torch.cat(weights))
    if (means.counts == 0).any():
        return None
    raw, _ = mean_difference(means.means())
    return project_out(raw[0], neutral_components_at(run, place)).float()
