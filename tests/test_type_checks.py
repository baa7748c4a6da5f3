"""The checks of types and shapes that all other tests run under do find what is wrong."""

from dataclasses import dataclass

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from torch import Tensor
from type_checks import CALLS, begin_test, checked

from probes.vectors.normalize import normalize

check = checked(typechecker=beartype)
Vectors = Float[Tensor, "emotion d_model"]


def added(first: Vectors, second: Vectors | None) -> Vectors:
    return first if second is None else second


def cut(vectors: Vectors, n: "int") -> Vectors:
    return vectors[:n]


@dataclass
class Pair:
    first: Vectors
    second: Vectors


def test_axes_are_the_same_in_one_call_and_free_in_the_next():
    add = check(added)
    assert add(torch.zeros(2, 3), torch.ones(2, 3)).sum() == 6
    assert add(torch.zeros(4, 5), None).shape == (4, 5)
    with pytest.raises(BeartypeCallHintViolation, match="emotion"):
        add(torch.zeros(2, 3), torch.zeros(4, 3))


def test_results_and_plain_types_are_checked():
    one = check(cut)
    assert one(torch.zeros(2, 3), 2).shape == (2, 3)
    with pytest.raises(BeartypeCallHintViolation, match="emotion"):
        one(torch.zeros(2, 3), 1)
    with pytest.raises(BeartypeCallHintViolation, match="str"):
        one(torch.zeros(2, 3), "2")


def test_each_test_checks_the_first_calls():
    one = check(cut)
    for _ in range(CALLS):
        one(torch.zeros(2, 3), 2)
    assert one(torch.zeros(2, 3), 1).shape == (1, 3)
    begin_test()
    with pytest.raises(BeartypeCallHintViolation, match="emotion"):
        one(torch.zeros(2, 3), 1)


def test_fields_of_a_dataclass_are_checked():
    check(Pair)
    assert Pair(torch.zeros(2, 3), torch.zeros(2, 3)).second.shape == (2, 3)
    with pytest.raises(BeartypeCallHintViolation, match="d_model"):
        Pair(torch.zeros(2, 3), torch.zeros(2, 4))


def test_the_package_itself_is_checked():
    with pytest.raises(BeartypeCallHintViolation):
        normalize([1.0, 2.0])
