"""Ways: differences within units are the run's vectors, for rows of a model and of words alike."""

import torch
from scipy.sparse import csr_matrix

from probes.experiments.expression.ways import Way, grams, number_units
from probes.vectors.denoising import CellSums, fit_vectors

EMOTION, UNIT = torch.arange(3).repeat(4), torch.arange(4).repeat_interleave(3)
UNITS = torch.tensor([5, 6, 7, 8])
NO_BASIS = torch.zeros(0, 5, dtype=torch.float64)


def drawn(seed=0):
    return torch.randn(12, 5, generator=torch.Generator().manual_seed(seed)).abs()


def way(rows):
    return Way.of(rows, EMOTION, UNIT, UNITS, 3)


def test_the_mean_of_differences_over_units_is_the_vector_of_those_units():
    rows, weight = drawn(), torch.tensor([1.0, 0.0, 2.0, 1.0])
    cells = CellSums.of(rows.double(), (UNIT, EMOTION), torch.ones_like(UNIT), (4, 3))
    expected = fit_vectors(cells, weight, NO_BASIS).vectors
    made = torch.einsum("u,ued->ed", weight, way(rows).differences) / weight.sum()
    torch.testing.assert_close(made, expected.float())


def test_sparse_rows_give_what_dense_rows_give():
    rows = drawn() * (drawn(1) > 0.7)
    dense, sparse = way(rows), way(csr_matrix(rows.numpy()))
    torch.testing.assert_close(dense.differences, sparse.differences)
    # Rows of a model are less their mean, which no difference between rows has.
    lengths = [
        each.along(each.rows_of(1)[0]) - each.along(each.means[:1]) for each in (dense, sparse)
    ]
    torch.testing.assert_close(*lengths)


def test_a_large_offset_of_all_rows_changes_nothing():
    rows = drawn()
    torch.testing.assert_close(
        way(rows + 1e4).differences, way(rows).differences, atol=1e-3, rtol=0
    )


def test_an_emotion_that_a_unit_lacks_has_no_difference_there():
    made = Way.of(drawn()[1:], EMOTION[1:], UNIT[1:], UNITS, 3)
    assert made.present.tolist()[0] == [False, True, True]
    assert not made.differences[0, 0].any()
    torch.testing.assert_close(made.differences[0, 1], -made.differences[0, 2])


def test_neutral_components_leave_what_is_learned_and_not_what_is_read():
    made = way(drawn())
    freed = made.without(torch.eye(5, dtype=torch.float64)[:2])
    assert not freed.differences[..., :2].any()
    assert torch.equal(freed.differences[..., 2:], made.differences[..., 2:])
    assert freed.rows is made.rows


def test_grams_are_dot_products_of_an_emotions_differences():
    first, second = way(drawn()), way(drawn(1))
    expected = first.differences[2, 1].double() @ second.differences[3, 1].double()
    torch.testing.assert_close(grams(first, second)[1, 2, 3], expected)


def test_the_same_topic_has_the_same_number_in_all_ways():
    numbers = number_units([["a", "b"], ["c"], ["b", "c"]])
    assert [each.tolist() for each in numbers] == [[0, 1], [2], [1, 2]]
