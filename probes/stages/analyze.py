"""Stages that look at the vectors: geometry, logit lens, figures."""

import csv
import io
from typing import Any

from probes import figures
from probes.analysis.describe import CellSums, describe_geometry, describe_layers, describe_lens
from probes.analysis.logit_lens import readable_tokens
from probes.experiments import EXPERIMENTS, find_experiment
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stimuli import banned, word_family
from probes.storage import read_json, write_json, write_text
from probes.vectors.emotion_vectors import EmotionVectors

GEOMETRY = "analysis/geometry.json"
LAYERS = "analysis/layers.json"
LENS = "analysis/logit_lens.json"


def analyze(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Geometry at the target layer and over all layers; leaves ``analysis/``."""
    materials = Materials(run, models, reporter)
    bundle, index, target = materials.vectors, materials.index, materials.layer
    settings = run.config.analysis
    sums, counts = materials.cell_sums()
    shared: dict[str, Any] = {
        "n_components": settings.n_components,
        "unit_norm": settings.unit_norm,
        "n_permutations": settings.n_permutations,
        "seed": run.config.seed,
    }
    geometry = describe_geometry(
        bundle.at(target),
        bundle.emotions,
        CellSums(sums, counts, materials.neutral_components()),
        n_clusters=run.n_clusters,
        n_bootstrap=settings.n_bootstrap,
        **shared,
    )
    geometry |= {"model": index["model"], "layer": target, "n_layers": index["n_layers"]}
    layers = describe_layers(bundle.vectors, bundle.layers, bundle.emotions, **shared)
    layers |= {
        "model": index["model"],
        "target_layer": target,
        "n_neutral_components": bundle.provenance.n_neutral_components,
        "residual_norm": bundle.residual_norm.tolist(),
    }
    write_json(run.root / GEOMETRY, geometry)
    write_json(run.root / LAYERS, layers)
    write_text(run.root / "analysis" / "pca.csv", _table(geometry))
    return {"layer": target, "ratings": geometry["ratings"], "kmeans": geometry["kmeans"]}


def _table(geometry: dict[str, Any]) -> str:
    """One line per emotion: components, cluster, UMAP, human ratings."""
    coordinates = geometry["pca"]["coordinates"]
    names = [f"pc{number + 1}" for number in range(len(coordinates[0]))]
    clusters, layout = geometry["kmeans"], geometry["umap"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["emotion", *names, "cluster", "umap_x", "umap_y", "valence", "arousal"])
    for row, emotion in enumerate(geometry["emotions"]):
        human = geometry["human"].get(emotion, {})
        writer.writerow(
            [
                emotion,
                *coordinates[row],
                "" if clusters is None else clusters["labels"][row],
                *(("", "") if layout is None else layout[row]),
                human.get("valence", ""),
                human.get("arousal", ""),
            ]
        )
    return buffer.getvalue()


def logit_lens(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Vectors of the target layer through final norm and `W_U`; leaves ``logit_lens.json``."""
    bundle = EmotionVectors.load(run.root)
    model = models.subject()
    bundle.check_model(model)
    layer = bundle.provenance.target_layer
    logits = model.direction_logits(bundle.at(layer)).float().cpu()
    tokens = model.token_strings()
    settings = run.config.logit_lens
    described = describe_lens(
        logits,
        tokens,
        readable_tokens(tokens, model.special_ids),
        bundle.emotions,
        [word_family(emotion) for emotion in bundle.emotions],
        [banned(emotion) for emotion in bundle.emotions],
        top_k=settings.top_k,
        n_shuffles=settings.n_shuffles,
        seed=run.config.seed,
    )
    described |= {"model": model.name, "layer": layer}
    write_json(run.root / LENS, described)
    return {key: value for key, value in described.items() if "share" in key} | {
        key: described[key] for key in ("top_k", "n_emotions")
    }


def visualize(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Every figure as PNG and HTML; leaves ``figures/``."""
    record = run.record("generate-stories") or {}
    analysis = {
        "geometry": read_json(run.root / GEOMETRY),
        "layers": read_json(run.root / LAYERS),
        "lens": read_json(run.root / LENS),
        "counts": record["counts"],
    }
    described = figures.figures_of(analysis)
    for experiment in EXPERIMENTS:
        result = run.root / experiment.file
        if result.is_file():
            described |= find_experiment(experiment.name).figures(read_json(result))
    with reporter.task("drawing figures", 1, "set") as advance:
        paths = figures.draw_all(described, run.root / "figures")
        advance(1)
    return {"figures": sorted(path.name for path in paths)}
