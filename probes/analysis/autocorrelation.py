"""How long scores last along sequences, such as the tokens of texts: autocorrelation by lag.

Of scores x[s, t] whose mean over all steps of all sequences is zero,

    r(k) = sum x[s, t] x[s, t + k]  /  sum (x[s, t]^2 + x[s, t + k]^2) / 2

over all pairs of steps that lie k apart in one sequence; so r(0) = 1. A sequence's own mean is not
taken off: that would bend r down at every lag, by about 1 over its steps, and hide a level that the
sequence keeps. Sequences are the units: steps of one are not independent.
"""

import math
from collections.abc import Sequence

from einops import reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hooks.errors import InvalidInput

BOUND = 1 / math.e
"""What an exponential decay falls to in its own time."""


def contributions(
    scores: Sequence[Float[Tensor, "_step direction"]], lag: int
) -> Float[Tensor, "long direction"]:
    """Return what each sequence longer than the lag adds to r(lag).

    Their mean over sequences is r(lag), and they spread as r does: the first-order terms of a ratio
    of two sums. NaN along a direction in which nothing varies.

    Raises
    ------
    InvalidInput
        No sequence is longer than the lag, or the lag is below 1.
    """
    long = [each for each in scores if len(each) > lag]
    if lag < 1 or not long:
        raise InvalidInput(f"expected sequences longer than a lag of 1 or more, got lag {lag}.")
    # Zeros after the end of a sequence add nothing to either sum.
    earlier = pad_sequence([each[:-lag] for each in long], batch_first=True)
    later = pad_sequence([each[lag:] for each in long], batch_first=True)
    over_steps = "sequence step direction -> sequence direction"
    products = reduce(earlier * later, over_steps, "sum").double()
    squares = reduce(earlier.square() + later.square(), over_steps, "sum").double() / 2
    total = squares.sum(dim=0)
    r = products.sum(dim=0) / total
    return r + len(long) * (products - r * squares) / total


def usable_lags(n_steps: Sequence[int], lags: Sequence[int], least: int) -> list[int]:
    """Return the lags that at least so many sequences are longer than."""
    return [lag for lag in lags if sum(n > lag for n in n_steps) >= least]


def first_below(lags: Sequence[int], r: Sequence[float], bound: float = BOUND) -> int | None:
    """Return the first lag at which r lies below a bound; None where it never does."""
    return next((lag for lag, each in zip(lags, r, strict=True) if each < bound), None)
