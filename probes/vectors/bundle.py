"""Directions of the residual stream as they lie in a file: one per emotion and layer.

``vectors/emotion_vectors.safetensors`` holds ``emotion_vectors`` (denoised) and ``raw_vectors``
[layer emotion d_model], ``global_mean`` [layer d_model] and ``residual_norm`` [layer]; of a corpus
with them also the vectors of other ways of expression (``said_vectors``, ``carried_vectors``), and
what neutral text scores (``shown_zero``, ... [2 layer emotion]: mean and standard deviation; of
single tokens ``shown_token_zero``, ...). The header's metadata says what they were made from.

Contract: the same activations give the same bytes, without dates and paths.
"""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.storage import write_bytes
from probes.vectors import bundle_file
from probes.vectors.bundle_file import FILE_NAME
from probes.vectors.normalize import normalize
from probes.vectors.zero import Zero, cosines

SHOWN, SAID, CARRIED, BOTH = "shown", "said", "carried", "both"
OTHERS = (SAID, CARRIED)
Bundle = TypeVar("Bundle", bound="VectorBundle")
_ZERO, _TOKEN_ZERO = "_zero", "_token_zero"


@dataclass(frozen=True)
class Provenance:
    """What a set of vectors was made from."""

    emotions: list[str]
    layers: list[int]
    model: str
    revision: str | None
    fingerprint: str
    tokenizer_hash: str
    dtype: str
    quantize: str | None
    hook_name: str
    """Where the corpus was read, in the words of the library that read it."""
    weight_processing: str
    backend: str
    """What the model was loaded for; single texts are read through its hook points."""
    corpus_hash: str
    config_hash: str
    token_offset: int
    n_neutral_components: list[int]
    n_stories: list[int]
    target_layer: int
    target_layer_rule: str = "set"
    """How it was chosen: ``set``, ``2/3 of depth`` or ``held-out topics``."""
    way: str = SHOWN
    """Which way of expression is in use where none is asked for."""
    corpus: str | None = None
    """Name and version, of the corpus that comes with the project."""
    n_neutral_tokens: int = 0
    """Single tokens of neutral text that `VectorBundle.token_zeros` are made from."""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorBundle:
    """Directions of the residual stream, one per emotion and layer.

    Attributes
    ----------
    vectors
        Denoised: neutral components projected out. Shape [layer emotion d_model].
    raw
        Before denoising; None where they were not kept.
    global_mean
        Mean over emotions that was subtracted, [layer d_model].
    residual_norm
        Mean norm of the residual stream over the corpus' tokens, [layer].
    provenance
        What they were made from.
    others
        Vectors of the other ways of expression, "said" and "carried", denoised in the same way.
    zeros
        What neutral text scores, by way.
    token_zeros
        What single tokens of neutral text score, by way, where a run's own are not at hand.
    way
        Which way `vectors` are of; `raw` is always of what is shown.
    """

    vectors: Float[Tensor, "layer emotion d_model"]
    raw: Float[Tensor, "layer emotion d_model"] | None
    global_mean: Float[Tensor, "layer d_model"]
    residual_norm: Float[Tensor, "layer"]
    provenance: Provenance
    others: Mapping[str, Float[Tensor, "layer emotion d_model"]] = field(default_factory=dict)
    zeros: Mapping[str, Zero] = field(default_factory=dict)
    token_zeros: Mapping[str, Zero] = field(default_factory=dict)
    way: str = SHOWN

    @property
    def ways(self) -> list[str]:
        """What `using` can be asked for."""
        known = {self.way, *self.others}
        both = {SHOWN, SAID} <= known
        return [way for way in (SHOWN, *OTHERS, BOTH) if way in known or (way == BOTH and both)]

    def using(self: Bundle, way: str | None) -> Bundle:
        """Return the same bundle with the vectors of another way of expression.

        "both" is the sum of shown and said, each of length one; None is the run's own choice.

        Raises
        ------
        InvalidInput
            For a way that the corpus did not have.
        """
        way = self.provenance.way if way is None else way
        if way not in self.ways:
            raise InvalidInput(
                f"vectors: these were made of texts in which emotions are {', '.join(self.ways)}; "
                f"got {way!r}. Make them from a corpus that has it (corpus.stories=reference)."
            )
        known = {self.way: self.vectors, **self.others}
        known.pop(BOTH, None)  # which is made of the others
        if way != BOTH:
            return replace(self, vectors=known.pop(way), others=known, way=way)
        sum_of_both = normalize(known[SHOWN]) + normalize(known[SAID])
        return replace(self, vectors=sum_of_both, others=known, way=BOTH)

    @property
    def zero(self) -> Zero | None:
        """What neutral text scores; None where it was not read."""
        return self.zeros.get(self.way)

    @property
    def emotions(self) -> list[str]:
        """Names, in the order of the emotion axis."""
        return self.provenance.emotions

    @property
    def layers(self) -> list[int]:
        """Layers of the model, in the order of the layer axis."""
        return self.provenance.layers

    def __getitem__(self, emotion: str) -> Float[Tensor, "layer d_model"]:
        """Return one emotion's denoised vector at every layer."""
        if emotion not in self.emotions:
            close = difflib.get_close_matches(emotion, self.emotions, n=3)
            meant = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
            raise InvalidInput(
                f"no vector for {emotion!r}{meant}; these vectors have: {', '.join(self.emotions)}."
            )
        return self.vectors[:, self.emotions.index(emotion)]

    def by_layer(self, emotion: str) -> dict[int, Float[Tensor, "d_model"]]:
        """Return one emotion's denoised vectors by layer of the model, for `hooks.steer`."""
        return dict(zip(self.layers, self[emotion], strict=True))

    @property
    def norm_by_layer(self) -> dict[int, float]:
        """Mean residual norms by layer of the model, for `hooks.steer`."""
        return dict(zip(self.layers, self.residual_norm.tolist(), strict=True))

    def at(self, layer: int) -> Float[Tensor, "emotion d_model"]:
        """Return the denoised vectors at a layer of the model."""
        return self.vectors[self.layer_index(layer)]

    def layer_index(self, layer: int) -> int:
        """Return the position of a layer of the model on the layer axis."""
        if layer not in self.layers:
            raise InvalidInput(f"no vectors at layer {layer}; expected one of {self.layers}.")
        return self.layers.index(layer)

    def save(self, folder: str | Path) -> Path:
        """Write the bundle below a folder, atomically; return its path."""
        path = Path(folder) / FILE_NAME
        write_bytes(path, self.to_bytes())
        return path

    def to_bytes(self, dtype: torch.dtype = torch.float32) -> bytes:
        """Return the content of a bundle's file; `dtype` is that of the directions."""
        shown = self.using(SHOWN)
        raw = {} if self.raw is None else {"raw_vectors": self.raw}
        others = {f"{way}_vectors": vectors for way, vectors in shown.others.items()}
        directions = {"emotion_vectors": shown.vectors, **raw, **others}
        beside = {"global_mean": self.global_mean, "residual_norm": self.residual_norm}
        for zeros, suffix in ((self.zeros, _ZERO), (self.token_zeros, _TOKEN_ZERO)):
            beside |= {way + suffix: torch.stack([it.mean, it.sd]) for way, it in zeros.items()}
        tensors = {name: tensor.to(dtype) for name, tensor in directions.items()}
        tensors |= {name: tensor.float() for name, tensor in beside.items()}
        return bundle_file.to_bytes(tensors, asdict(self.provenance))

    @classmethod
    def load(cls: type[Bundle], path: str | Path) -> Bundle:
        """Read a bundle; the vectors in use are of the way that the run chose (`provenance.way`).

        Parameters
        ----------
        path
            The file, its folder, the folder of a run, ``"hf://user/repo"`` on the Hugging Face hub,
            with ``@revision`` for a branch, tag or commit, or ``"embedded:gemma-3-270m"``, which
            comes with the package.

        Raises
        ------
        InvalidInput
            When no vectors of an embedded model come with the package.
        DataError
            When there is none, or it is damaged or unreadable.
        HubError
            When the hub was not reached.
        """
        file = bundle_file.locate(path)
        with bundle_file.reading(file):
            tensors, provenance = bundle_file.from_bytes(file.read_bytes())
            bundle = cls(
                tensors["emotion_vectors"],
                tensors.get("raw_vectors"),
                tensors["global_mean"],
                tensors["residual_norm"],
                Provenance(**provenance),
                {way: tensors[f"{way}_vectors"] for way in OTHERS if f"{way}_vectors" in tensors},
                _zeros(tensors, _ZERO),
                _zeros(tensors, _TOKEN_ZERO),
            )
            return bundle.using(None)

    def cosine(
        self, residual: Float[Tensor, "sample d_model"], layer: int
    ) -> Float[Tensor, "sample emotion"]:
        """Cosine of centered residuals at a layer of the model with each emotion's vector."""
        position = self.layer_index(layer)
        return cosines(residual, self.global_mean[position], self.vectors[position])

    def z(
        self, cosine: Float[Tensor, "*sample emotion"], layer: int
    ) -> Float[Tensor, "*sample emotion"]:
        """Return standard deviations above what neutral text scores; NaN where none was read.

        Of whole texts or passages, each by the cosine of its mean residual, as neutral texts were
        read; not of single tokens. The highest z of many emotions is high by chance.
        """
        if self.zero is None:
            return torch.full_like(cosine, torch.nan)
        return self.zero.z(cosine, self.layer_index(layer))


def _zeros(tensors: Mapping[str, Tensor], suffix: str) -> dict[str, Zero]:
    ways = [way for way in (SHOWN, *OTHERS, BOTH) if way + suffix in tensors]
    return {way: Zero(*tensors[way + suffix]) for way in ways}


def mean_residual_norm(
    norm: Float[Tensor, "row layer"], n_tokens: Int[Tensor, "row"]
) -> Float[Tensor, "layer"]:
    """Mean norm over tokens, from each text's mean norm and number of tokens."""
    weighted = norm.double() * rearrange(n_tokens, "row -> row 1")
    total = reduce(weighted, "row layer -> layer", "sum")
    return (total / torch.sum(n_tokens)).float()
