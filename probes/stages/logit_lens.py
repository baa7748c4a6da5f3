"""Vectors of the target layer through the unembedding."""

from dataclasses import fields
from typing import Any

from probes.analysis.describe import describe_lens
from probes.analysis.logit_lens import readable_tokens
from probes.analysis.rating_plane import rating_plane
from probes.analysis.results import LensInShort, plain_values
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stimuli import banned, word_family
from probes.storage import write_json
from probes.vectors.denoising import project_out
from probes.vectors.emotion_vectors import EmotionVectors

LENS = "analysis/logit_lens.json"


def logit_lens(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Vectors of the target layer through final norm and `W_U`; leaves ``logit_lens.json``."""
    bundle = EmotionVectors.load(run.root)
    model = models.subject()
    bundle.check_model(model)
    layer = bundle.provenance.target_layer
    vectors = bundle.at(layer)
    plane = rating_plane(vectors, bundle.emotions)
    off_plane = None
    if len(plane):
        apart = project_out(vectors, plane, orthonormal=True)
        off_plane = model.direction_logits(apart).float().cpu()
    logits = model.direction_logits(vectors).float().cpu()
    tokens = model.token_strings()
    settings = run.config.logit_lens
    lens = describe_lens(
        logits,
        tokens,
        readable_tokens(tokens, model.special_ids),
        bundle.emotions,
        [word_family(emotion) for emotion in bundle.emotions],
        [banned(emotion) for emotion in bundle.emotions],
        off_plane,
        top_k=settings.top_k,
        n_shuffles=settings.n_shuffles,
        seed=run.config.seed,
        model=model.name,
        layer=layer,
    )
    described = plain_values(lens)
    write_json(run.root / LENS, described)
    return {field.name: described[field.name] for field in fields(LensInShort)}
