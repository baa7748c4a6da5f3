"""Crossed factors: the effect of a level is its own, whatever it was met with."""

import pytest
import torch
from planted_dialogues import deflection_crossing, plant, speakers_crossing

from probes.experiments.dialogues.crossing import crossing_of, inner, without_span
from probes.experiments.dialogues.reading import gram_of


def centered(directions):
    return directions - directions.mean(dim=0)


def test_effects_of_all_rows_are_means_of_levels_less_the_mean_over_levels():
    planted = plant(speakers_crossing())
    once = torch.ones(288)
    for factor in (0, 1):
        levels = planted.crossing.levels[factor]
        means = torch.stack([planted.rows[levels == level].mean(dim=0) for level in range(12)])
        effects = planted.crossing.effects(factor, once) @ planted.rows
        assert torch.allclose(effects, centered(means))


@pytest.mark.parametrize("made", [speakers_crossing, deflection_crossing])
def test_effects_are_exact_where_a_setting_is_left_out_and_means_are_not(made):
    planted = plant(made(), noise=0.0)
    crossing = planted.crossing
    weight = (crossing.unit != 1).double()
    for factor, directions in enumerate((planted.first, planted.second)):
        effects = crossing.effects(factor, weight) @ planted.rows
        assert torch.allclose(effects, centered(directions), atol=1e-9)
    levels, kept = crossing.levels[0], weight > 0
    means = [planted.rows[kept & (levels == level)].mean(dim=0) for level in range(12)]
    assert not torch.allclose(centered(torch.stack(means)), centered(planted.first), atol=1e-2)


def test_effects_without_dialogues_of_one_emotion_are_exact():
    planted = plant(speakers_crossing(), noise=0.0)
    different = planted.crossing.levels[0] != planted.crossing.levels[1]
    effects = planted.crossing.effects(1, different.double()) @ planted.rows
    assert torch.allclose(effects, centered(planted.second), atol=1e-9)


def test_several_fits_are_the_same_one_by_one():
    planted = plant(speakers_crossing())
    generator = torch.Generator().manual_seed(1)
    weight = torch.randint(0, 3, (5, 288), generator=generator).double()
    dealt = planted.crossing.dealt(1, 5, 0)
    together = planted.crossing.effects(1, weight, dealt)
    for each, one, levels in zip(together, weight, dealt, strict=True):
        assert torch.allclose(each, planted.crossing.effects(1, one, levels), atol=1e-9)


def test_levels_are_dealt_within_blocks_and_only_where_asked():
    crossing = speakers_crossing()
    among = crossing.levels[0] != crossing.levels[1]
    dealt = crossing.dealt(1, 20, 0, among)
    own = crossing.levels[1]
    assert (dealt[:, ~among] == own[~among]).all()
    for block in crossing.block.unique():
        of_block = crossing.block == block
        assert (dealt[:, of_block].sort(dim=1).values == own[of_block].sort().values).all()
    assert (dealt[:, among] == own[among]).double().mean() < 0.2


@pytest.mark.parametrize(("n_parts", "sizes"), [(2, [3, 2] * 3), (3, [2, 1, 2] * 2)])
def test_parts_hold_every_unit_once(n_parts, sizes):
    crossing = crossing_of([["a", "b"] * 5], [["a", "b"]], [f"{n // 2}" for n in range(10)])
    parts = crossing.parts(n_parts, 6, 0)
    assert (parts.sum(dim=0) == 1).all()
    assert parts[0].sum(dim=1).tolist() == sizes
    assert len({tuple(split) for split in parts[0].tolist()}) > 1


def test_dot_products_are_those_of_the_effects_and_of_what_is_left_of_them():
    planted = plant(speakers_crossing())
    gram = gram_of(planted.rows)
    own, other = (planted.crossing.effects(factor, torch.ones(288)) for factor in (0, 1))
    one, two = own @ planted.rows, other @ planted.rows
    assert torch.allclose(inner(own, gram, other), (one * two).sum(dim=1))
    basis = torch.linalg.svd(one, full_matrices=False).Vh[:11]
    left = planted.rows - planted.rows @ basis.T @ basis
    assert torch.allclose(without_span(gram, own), gram_of(left), atol=1e-8)
