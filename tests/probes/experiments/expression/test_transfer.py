"""Transfer: exact sums, nothing learned from the topic that is read, intervals that cover."""

import pytest
import torch

from probes.analysis.emotion_groups import EmotionGroups
from probes.experiments.expression.transfer import (
    Permuted,
    can_be_read,
    draw_units,
    permuted_cells,
    read_accuracy,
    read_way,
)
from probes.experiments.expression.ways import Way

N, WIDTH = 12, 24
GROUPS = EmotionGroups(torch.arange(N) % 3, 1 - 2 * (torch.arange(N) % 2))
OWN = torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(99))


def made(seed, units, *, own=OWN, cells=None, noise=2.0, drift=0.0, apart=2.0):
    """One way: rows of emotions, of units, of their cells, and noise."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    n = len(units)
    rows = own * (1 + drift * draw(n, 1, 1)) + apart * draw(n, 1, WIDTH) + noise * draw(n, N, WIDTH)
    rows = rows if cells is None else rows + cells
    emotion, unit = torch.arange(N).repeat(n), torch.arange(n).repeat_interleave(N)
    return Way.of(rows.flatten(0, 1), emotion, unit, torch.tensor(units), N)


def read(learned, where, n_draws=30, **more):
    return read_way(learned, where, draw_units([learned, where], n_draws, 0), GROUPS, **more)


def test_draws_begin_with_every_unit_once_and_keep_to_units_of_the_same_ways():
    frames, topics, few = made(0, [0, 1, 2]), made(1, [3, 4, 5, 6]), made(2, [3, 4])
    counts = draw_units([frames, topics, few], 200, 0)
    assert torch.equal(counts[0], torch.ones(7))
    for members in ([0, 1, 2], [3, 4], [5, 6]):
        assert torch.equal(counts[:, members].sum(dim=1), torch.full((201,), float(len(members))))
        assert ((counts[:, members] > 0).sum(dim=1) >= 2).all()
    assert len(counts[:, :3].unique(dim=0)) > 5
    assert torch.equal(counts, draw_units([frames, topics, few], 200, 0))


@pytest.mark.parametrize("units", [[9, 10, 11], [0, 1, 2], [1, 2, 9]])
def test_sums_of_dot_products_read_as_vectors_do(units):
    learned, where = made(0, [0, 1, 2, 3]), made(1, units)
    reading = read(learned, where)
    assert reading.accuracy.value == pytest.approx(read_accuracy([learned], where))
    weights = torch.ones(2, 12)
    weights[1, 2] = 0
    again = read_way(learned, where, weights, GROUPS).accuracy.refits
    left = made(0, [0, 1, 2, 3])
    left.differences[2] = 0
    center = where.means.mean(dim=0)
    expected = [_of_unit(left, where, number, center) for number in range(len(units))]
    assert float(again[0]) == pytest.approx(sum(expected) / len(expected))


def _of_unit(learned, where, number, center):
    rows, emotion = where.rows_of(number)
    vectors = learned.differences[learned.units != where.units[number]].sum(dim=0)
    cosine = (rows - center) @ torch.nn.functional.normalize(vectors, dim=1).T
    return float((cosine.argmax(dim=1) == emotion).double().mean())


def test_nothing_is_learned_from_the_topic_that_is_read():
    """Stories and what they carry share their plots, topic by topic, and no emotion."""
    cells = 5 * torch.randn(4, N, WIDTH, generator=torch.Generator().manual_seed(5))
    nothing = torch.zeros(N, WIDTH)
    stories = made(0, [0, 1, 2, 3], own=nothing, cells=cells)
    closings = made(1, [0, 1, 2, 3], own=nothing, cells=cells)
    assert read(stories, closings).accuracy.value < 0.25
    as_if_other = Way(
        **{**{key: getattr(closings, key) for key in closings.__dataclass_fields__},
           "units": torch.tensor([6, 7, 8, 9])}
    )  # fmt: skip
    assert read(stories, as_if_other).accuracy.value > 0.5


def test_a_side_and_a_cluster_are_judged_apart():
    only_side = torch.where(torch.arange(N)[:, None] % 2 == 0, 3.0, -3.0) * OWN[:1]
    reading = read(made(0, range(6), own=only_side), made(1, range(6, 12), own=only_side))
    assert reading.within_side is not None
    assert reading.within_side.value == pytest.approx(2 / N, abs=0.12)
    assert reading.accuracy.value > 1 / N
    clear = {"noise": 0.1, "apart": 0.1}
    exact = read(made(0, range(6), **clear), made(1, range(6, 12), **clear))
    assert exact.clusters is not None
    assert (exact.clusters.value, exact.accuracy.value, exact.mean_rank) == (1, 1, 0)


def test_texts_that_do_not_differ_are_read_at_chance_exactly():
    learned, same = made(0, range(4)), made(1, range(4, 8), own=torch.zeros(N, WIDTH), noise=0.0)
    reading = read(learned, same)
    assert reading.accuracy.value == pytest.approx(1 / N)
    torch.testing.assert_close(reading.accuracy.refits, torch.full((30,), 1 / N).double())


def test_permuted_cells_read_as_their_own_vectors_would():
    learned, where = made(0, [0, 1, 2]), made(1, [1, 2, 9])
    cells = permuted_cells(learned.present, 5, 0)
    assert (cells.sort(dim=2).values == torch.arange(N)).all()
    null = read(learned, where, permuted=Permuted(learned, cells)).null
    for permutation, expected in zip(cells, null, strict=True):
        differences = torch.stack([
            each[index] for each, index in zip(learned.differences, permutation, strict=True)
        ])  # fmt: skip
        relabeled = made(0, [0, 1, 2])
        relabeled.differences.copy_(differences)
        assert read_accuracy([relabeled], where) == pytest.approx(float(expected))


def test_one_unit_cannot_be_read_by_itself():
    one = made(0, [3])
    assert not can_be_read(one, one)
    assert can_be_read(one, made(1, [4, 5]))
    assert not can_be_read(one, made(1, [3, 5]))


@pytest.mark.parametrize("which", ["across", "within", "shared"])
@pytest.mark.parametrize("n_units", [6, 12, 24])
def test_intervals_cover_what_other_topics_and_frames_give(which, n_units):
    """95% intervals, by 120 worlds whose frames and topics differ in strength."""
    readings = []
    for world in range(120):
        said, shown, carried = (
            made(3 * world + way, range(first, first + n_units), noise=2.5, drift=0.2)
            for way, first in enumerate((0, n_units, n_units))
        )
        pairs = {"across": (said, shown), "within": (shown, shown), "shared": (shown, carried)}
        readings.append(read(*pairs[which], n_draws=20).accuracy)
    truth = sum(each.value for each in readings) / len(readings)
    ends = [each.estimate().ends for each in readings]
    covered = sum(low <= truth <= high for low, high in ends) / len(ends)
    assert 0.91 <= covered <= 0.99


def test_p_of_two_ways_that_have_nothing_in_common_is_no_smaller_than_chance():
    """Each way has directions of its own, so its texts of an emotion are alike."""
    small = 0
    for world in range(40):
        other = torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(world))
        learned, where = made(world, range(6), own=other), made(100 + world, range(6, 12))
        null = Permuted(learned, permuted_cells(learned.present, 40, world))
        reading = read(learned, where, n_draws=2, permuted=null)
        small += int((reading.null >= reading.accuracy.value).sum()) <= 2
    assert small <= 7
