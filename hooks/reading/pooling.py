"""What a forward pass leaves of a batch: sums over the tokens that count, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.tokens.positions import ContentMask, Positions, Rule, select

Part = Literal["mean", "apart"]
"""What is averaged over tokens of its own; `keep` picks tokens that stay single."""
Masks = Mapping[str, ContentMask]
"""By name: "mean", and where they are wanted "apart" and "keep"."""


@dataclass(frozen=True)
class Pooled:
    """Residual streams averaged over the selected tokens of each text."""

    mean: Float[Tensor, "text layer d_model"]
    """Float32, on the CPU; NaN for a text with no selected token."""
    n_tokens: Int[Tensor, "text"]
    """Selected tokens per text; 0 marks a text with none left."""
    norm: Float[Tensor, "text layer"]
    """Mean Euclidean norm of the selected tokens' residuals."""
    tokens: Float[Tensor, "token layer d_model"]
    """Residuals of single tokens picked by `keep`, in the order of the texts."""
    token_text: Int[Tensor, "token"]
    """Which text each kept token belongs to."""
    apart: Float[Tensor, "text layer d_model"] | None = None
    """As `mean`, over the tokens that `apart` picked; None where nothing was to be read apart."""
    n_apart: Int[Tensor, "text"] | None = None
    """Tokens of `apart` per text."""


@dataclass(frozen=True)
class PoolingRules:
    """Which tokens are averaged, which stay single, and which are averaged apart."""

    positions: Rule
    keep: Rule | None
    apart: Rule | None

    @property
    def given(self) -> list[Rule]:
        """Those that pick anything."""
        return [rule for rule in (self.positions, self.keep, self.apart) if rule is not None]

    def check(self, n_texts: int) -> None:
        """Raise InvalidInput for what is no rule, or a list that has not one for each text."""
        for rule in self.given:
            for it in rule if isinstance(rule, list | tuple) else [rule]:
                if it is not None and not isinstance(it, Positions):
                    raise InvalidInput(
                        "positions: expected a rule such as hooks.FromToken(0) or hooks.Last(), or "
                        f"one for each text; got {it!r}."
                    )
            if not isinstance(rule, Positions) and len(rule) != n_texts:
                raise InvalidInput(
                    f"positions: expected one rule, or one for each of {n_texts} texts, got "
                    f"{len(rule)}."
                )

    def masks(self, content: ContentMask, rows: Sequence[int], n_read: int) -> dict[str, Tensor]:
        """Pick the tokens of some texts; the first `n_read`, which they share, are left out."""
        named = {"mean": self.positions, "keep": self.keep, "apart": self.apart}
        return {
            name: select(rule, content, rows)[:, n_read:]
            for name, rule in named.items()
            if rule is not None
        }


@dataclass(frozen=True)
class Batch:
    """One batch on its way through the model, and what its pass leaves, by layer."""

    rows: list[int]
    """Which of the texts it holds."""
    ids: Int[Tensor, "text position"]
    """Of the tokens after the beginning that all of them share."""
    attention_mask: Int[Tensor, "text whole"]
    masks: Masks
    alone: bool
    """Whether no other pass runs beside it."""
    sums: dict[tuple[str, int], Float[Tensor, "text d_model"]] = field(default_factory=dict)
    norms: dict[int, Float[Tensor, "text"]] = field(default_factory=dict)
    singles: dict[int, Float[Tensor, "token d_model"]] = field(default_factory=dict)

    def add(self, residual: Tensor, layer: int) -> None:
        """Reduce the residual stream after one layer."""
        for name, mask in self.masks.items():
            selected = mask.to(residual.device)
            rows, owner = residual[selected].float(), selected.nonzero()[:, 0]
            if name == "keep":
                self.singles[layer] = rows.cpu()
                continue
            sums = rows.new_zeros(len(self.rows), rows.shape[1]).index_add_(0, owner, rows)
            self.sums[name, layer] = sums.cpu()
            if name == "mean":
                norms = rows.new_zeros(len(self.rows)).index_add_(0, owner, rows.norm(dim=1))
                self.norms[layer] = norms.cpu()


class Accumulator:
    """What has been read of all texts, in their order."""

    def __init__(self, n_texts: int, layers: list[int], d_model: int, rules: PoolingRules) -> None:
        self._layers = layers
        parts: tuple[Part, ...] = ("mean",) if rules.apart is None else ("mean", "apart")
        self._means = {part: torch.empty(n_texts, len(layers), d_model) for part in parts}
        self._counts = {part: torch.zeros(n_texts, dtype=torch.long) for part in parts}
        self._norm = torch.empty(n_texts, len(layers))
        self._kept: dict[int, Tensor] = {}

    def add(self, batch: Batch) -> None:
        """Put what one pass left in its texts' places; 0/0 is the NaN of a text with no token."""
        rows = torch.tensor(batch.rows)
        for part, mean in self._means.items():
            counts = batch.masks[part].sum(dim=1)
            self._counts[part][rows] = counts
            sums = torch.stack([batch.sums[part, layer] for layer in self._layers], dim=1)
            mean[rows] = sums / rearrange(counts, "text -> text 1 1")
        counts = rearrange(self._counts["mean"][rows], "text -> text 1")
        self._norm[rows] = torch.stack([batch.norms[layer] for layer in self._layers], 1) / counts
        if "keep" in batch.masks:
            singles = torch.stack([batch.singles[layer] for layer in self._layers], dim=1)
            per_text = singles.split(batch.masks["keep"].sum(dim=1).tolist())
            self._kept.update(zip(batch.rows, per_text, strict=True))

    def pooled(self) -> Pooled:
        """Return everything."""
        tokens = [self._kept[text] for text in sorted(self._kept)]
        counts = torch.tensor([len(of_text) for of_text in tokens], dtype=torch.long)
        owner = torch.arange(len(tokens)).repeat_interleave(counts)
        kept = torch.cat(tokens) if tokens else torch.zeros(0, *self._means["mean"].shape[1:])
        return Pooled(
            self._means["mean"],
            self._counts["mean"],
            self._norm,
            kept,
            owner,
            self._means.get("apart"),
            self._counts.get("apart"),
        )
