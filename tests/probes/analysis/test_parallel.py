"""Results come in order, each from one thread, and errors come out."""

import threading
import time

import pytest
import torch

from probes.analysis.parallel import parallel_map


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_are_in_order_and_counted(two_threads):
    counted = []

    def late_first(number):
        time.sleep(0.02 * (3 - number))
        return number * number, torch.get_num_threads(), threading.get_ident()

    squares, threads, workers = zip(
        *parallel_map(late_first, range(4), counted.append), strict=True
    )
    assert (squares, counted) == ((0, 1, 4, 9), [1, 1, 1, 1])
    assert set(threads) == {1}
    assert len(set(workers)) == 2
    assert torch.get_num_threads() == 2


def test_an_error_is_raised_and_what_had_not_begun_never_does(two_threads):
    begun = []

    def fail(number):
        begun.append(number)
        time.sleep(0.02)
        raise ValueError(f"item {number}")

    with pytest.raises(ValueError, match="item 0"):
        parallel_map(fail, range(40))
    assert len(begun) < 10
    assert torch.get_num_threads() == 2
