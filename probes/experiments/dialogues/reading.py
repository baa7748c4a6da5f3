"""Read dialogues turn by turn: the mean residual of the words of each turn, at the target layer.

Names, colons and what stands before a dialogue belong to no turn. A token counts to a turn when any
of its characters lies in the turn's words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from hooks import FromToken, LanguageModel, pooled_resid_post
from hooks.reading.token_offsets import content_pieces
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS, rare_embeddings, shared_words
from probes.runs.materials import Materials
from probes.stimuli import Script
from probes.vectors.bundle import SHOWN

MODEL = "the model"
_TEXTS_AT_ONCE = 48
"""Whose tokens are held one by one."""
Gram = Float[Tensor, "row row"]


@dataclass(frozen=True)
class TurnMeans:
    """Mean residual of each turn's tokens, in mean residual norms, and how many they are."""

    mean: Float[Tensor, "dialogue turn d_model"]
    n_tokens: Float[Tensor, "dialogue turn"]

    def over(self, turns: Sequence[int]) -> Float[Tensor, "dialogue d_model"]:
        """Return the mean over the tokens of some turns."""
        n_tokens = self.n_tokens[:, turns]
        share = n_tokens / reduce(n_tokens, "dialogue turn -> dialogue 1", "sum")
        return einsum(share, self.mean[:, turns], "dialogue turn, dialogue turn d -> dialogue d")


def shown_vectors(materials: Materials) -> Float[Tensor, "emotion d_model"]:
    """Return the run's vectors of stories at the target layer, or of what it has instead."""
    bundle = materials.vectors
    return (bundle.using(SHOWN) if SHOWN in bundle.ways else bundle).at(materials.layer)


def why_too_long(model: LanguageModel, scripts: Sequence[Script]) -> str | None:
    """Say why a model cannot read some dialogues; None where it can."""
    longest = max(len(model.encode(script.text)) for script in scripts)
    if model.n_positions is None or longest <= model.n_positions:
        return None
    return (
        f"needs a model that reads a dialogue of {longest} tokens at once, and {model.name} reads "
        f"at most {model.n_positions}"
    )


def read_turns(
    materials: Materials,
    scripts: Sequence[Script],
    progress: Callable[[int], None] = lambda _count: None,
) -> TurnMeans:
    """Read every turn of dialogues of equal length at the run's target layer, in float64."""
    model, layer, bundle = materials.subject(), materials.layer, materials.vectors
    norm = float(bundle.residual_norm[bundle.layer_index(layer)])
    means, counts = [], []
    for start in range(0, len(scripts), _TEXTS_AT_ONCE):
        some = scripts[start : start + _TEXTS_AT_ONCE]
        read = pooled_resid_post(
            model,
            [script.text for script in some],
            layers=[layer],
            batch_tokens=materials.batch_tokens,
            keep=FromToken(0),
            progress=progress,
        )
        tokens = rearrange(read.tokens.double(), "token 1 d -> token d").split(
            read.n_tokens.tolist()
        )
        for script, of_text in zip(some, tokens, strict=True):
            inside = _in_turns(model, script)
            counts.append(reduce(inside, "turn token -> turn", "sum"))
            means.append(inside @ of_text / rearrange(counts[-1], "turn -> turn 1") / norm)
    return TurnMeans(torch.stack(means), torch.stack(counts))


def _in_turns(model: LanguageModel, script: Script) -> Float[Tensor, "turn token"]:
    """Mark which content tokens lie in which turn."""
    pieces = content_pieces(model, script.text)
    rows = [
        [max(first, start) < min(last, stop) for first, last in pieces]
        for start, stop in script.turns
    ]
    return torch.tensor(rows, dtype=torch.float64)


def gram_of(rows: Float[Tensor, "row feature"]) -> Gram:
    """Return dot products of rows, in float64: all that naming and cosines need."""
    wide = rows.double()
    return einsum(wide, wide, "row feature, other feature -> row other")


def grams_of_words(model: LanguageModel, texts: Sequence[str]) -> dict[str, Gram]:
    """Return dot products of texts as readers of words know them, by the reader's name."""
    counted = torch.from_numpy(shared_words(texts).toarray())
    return {WORD_COUNTS: gram_of(counted), EMBEDDINGS: gram_of(rare_embeddings(model, texts))}
