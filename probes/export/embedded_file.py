"""A bundle of vectors at half the size, as they come with the package for the embedded models.

* Directions are float16, what they are seen against is float32; those before denoising and those
  of what is carried are left out.
* What single neutral tokens score goes along, since the tokens do not.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from hooks.errors import InvalidInput
from hooks.models.embedded import PREFIX
from hooks.models.local_files import public_name
from probes.export.source import Source
from probes.storage import slug
from probes.vectors.bundle import BOTH, SAID, SHOWN
from probes.vectors.bundle_file import SUFFIX
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.neutral_tokens import NeutralTokens
from probes.vectors.zero import Zero

_WAYS = (SHOWN, SAID, BOTH)


def embedded_file(source: Source, layers: Sequence[int] | None = None) -> tuple[str, bytes]:
    """Return name and content of a bundle of some layers: by default the target and its neighbors.

    Raises InvalidInput where the target layer is not among them, or float16 cannot hold a vector.
    """
    vectors = source.vectors
    provenance, target = vectors.provenance, vectors.provenance.target_layer
    near = [layer for layer in vectors.layers if abs(layer - target) <= 1]
    chosen = near if layers is None else list(layers)
    if target not in chosen:
        raise InvalidInput(f"--layers: expected the target layer, {target}, among them.")
    rows = [vectors.layer_index(layer) for layer in chosen]
    half = torch.finfo(torch.float16).max
    shown = vectors.using(SHOWN)
    others = {way: shown.others[way][rows] for way in (SAID,) if way in shown.others}
    if max(float(it.abs().max()) for it in (shown.vectors[rows], *others.values())) > half:
        raise InvalidInput(f"float16 holds numbers up to {half:g}, and a vector has larger ones.")
    token_zeros, n_tokens = _token_zeros(source, vectors, chosen)
    kept = EmotionVectors(
        vectors=shown.vectors[rows],
        raw=None,
        global_mean=vectors.global_mean[rows],
        residual_norm=vectors.residual_norm[rows],
        provenance=replace(
            provenance,
            layers=chosen,
            n_neutral_components=[provenance.n_neutral_components[row] for row in rows],
            model=public_name(provenance.model),
            way=provenance.way if provenance.way in _WAYS else SHOWN,
            n_neutral_tokens=n_tokens,
        ),
        others=others,
        zeros={
            way: Zero(zero.mean[rows], zero.sd[rows])
            for way, zero in vectors.zeros.items()
            if way in _WAYS
        },
        token_zeros=token_zeros,
    )
    name = slug(kept.provenance.model.removeprefix(PREFIX))
    return f"{name}{SUFFIX}", kept.to_bytes(torch.float16)


def _token_zeros(
    source: Source, vectors: EmotionVectors, layers: Sequence[int]
) -> tuple[dict[str, Zero], int]:
    """Return what neutral tokens score by way, and how many there are."""
    zeros, n = {}, 0
    for way in (way for way in _WAYS if way in vectors.ways):
        used = vectors.using(way)
        tokens = NeutralTokens.of_vectors(used) or NeutralTokens.of_run(source.root, used)
        if tokens is not None:
            at = [tokens.at(layer) for layer in layers]
            zeros[way] = Zero(torch.cat([it.mean for it in at]), torch.cat([it.sd for it in at]))
            n = tokens.n
    return zeros, n
