"""Rows of dialogues in which it is known what each speaker's emotion adds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from probes.experiments.dialogues.crossing import CrossedRows, crossing_of
from probes.stimuli import crossed_dialogues, deflected_dialogues


@dataclass(frozen=True)
class PlantedRows:
    """Rows, which is what, and the unit direction of each level of both factors."""

    rows: Tensor
    crossing: CrossedRows
    first: Tensor
    second: Tensor


def speakers_crossing() -> CrossedRows:
    """A's words in all dialogues, then B's; factors are the speaker's emotion and the other's."""
    dialogues = crossed_dialogues()
    emotions = list(dict.fromkeys(it.a for it in dialogues))
    a, b = [it.a for it in dialogues], [it.b for it in dialogues]
    return crossing_of(
        [a + b, b + a],
        [emotions, emotions],
        [it.setting for it in dialogues] * 2,
        [f"{role} {it.setting}" for role in "AB" for it in dialogues],
    )


def deflection_crossing() -> CrossedRows:
    """The hider's words; factors are the felt emotion and the shown one."""
    dialogues = deflected_dialogues()
    labels = [it.felt for it in dialogues], [it.shown for it in dialogues]
    names = [list(dict.fromkeys(each)) for each in labels]
    return crossing_of(labels, names, [it.setting for it in dialogues])


def plant(
    crossing: CrossedRows,
    *,
    first: float = 1.0,
    second: float = 1.0,
    noise: float = 0.1,
    alike: float = 0.0,
    block: float = 2.0,
    d_model: int = 48,
    seed: int = 0,
) -> PlantedRows:
    """Add up a direction of each level, with the strength of its factor, of the block, and noise.

    Directions of the same number in both factors have the cosine `alike`; noise is the length of a
    row's own part.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(n: int) -> Tensor:
        rows = torch.randn(n, d_model, generator=generator, dtype=torch.float64)
        return rows / rows.norm(dim=1, keepdim=True)

    one, other = (drawn(n) for n in crossing.n_levels)
    if alike:
        other = alike * one + (1 - alike**2) ** 0.5 * other
    rows = (
        first * one[crossing.levels[0]]
        + second * other[crossing.levels[1]]
        + block * drawn(int(crossing.block.max()) + 1)[crossing.block]
        + noise * drawn(len(crossing.block))
    )
    return PlantedRows(rows, crossing, one, other)
