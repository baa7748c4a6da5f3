"""What neutral text scores turns a cosine into a z."""

import torch

from probes.vectors.zero import Zero, cosines, spelled_z, zero_of


def test_z_of_neutral_rows_has_mean_0_and_deviation_1():
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(50, 3, generator=generator) * (n + 1) + n for n in range(2)]
    zero = zero_of(layers)
    for position, rows in enumerate(layers):
        z = zero.z(rows, position)
        assert torch.allclose(z.mean(dim=0), torch.zeros(3), atol=1e-5)
        assert torch.allclose(z.std(dim=0), torch.ones(3), atol=1e-5)


def test_where_neutral_texts_do_not_differ_there_is_no_z():
    zero = Zero(torch.zeros(1, 2), torch.tensor([[0.0, 0.5]]))
    z = zero.z(torch.tensor([0.1, 0.1]), 0)
    assert z[0].isnan()
    assert z[1] == 0.2


def test_a_cosine_is_that_of_the_centered_row():
    center, vectors = torch.tensor([1.0, 1.0]), torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    rows = torch.tensor([[5.0, 1.0], [1.0, 0.0]])
    assert cosines(rows, center, vectors).tolist() == [[1.0, 0.0], [0.0, -1.0]]


def test_a_z_is_spelled_where_there_is_one():
    assert spelled_z(2.04) == " (z +2.0)"
    assert spelled_z(float("nan")) == ""
