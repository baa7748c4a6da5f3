"""Many small computations at once, each on one thread.

Matrices of a few hundred rows leave a second thread nothing but waiting: on two cores two
computations beside each other take half the time, one computation on both takes longer than on one
(a logistic regression of 171 emotions on 60 components five times as long).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    advance: Callable[[int], object] = lambda _count: None,
) -> list[Result]:
    """Return `function` of each item, in order; as many at once as torch has threads.

    `advance` is called here with 1 for each result. An error is raised here, and what has not
    begun by then never does.
    """
    n_threads = torch.get_num_threads()
    results = []
    try:
        with (
            threadpool_limits(1),
            ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            for result in pool.map(function, items):
                results.append(result)
                advance(1)
    finally:
        # A thread's number is also what threads that start later get.
        torch.set_num_threads(n_threads)
    return results
