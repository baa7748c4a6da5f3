"""Sets of random directions that are as alike as emotions' vectors are.

A root mean square over 171 vectors that share a few dimensions is not that of 171 independent ones:
it is larger or smaller by chance, as is any correlation over them. With C the square root of the
vectors' cosines, and R some random directions, w_i = sum over j of C_ij R_j

* is a random direction of the same covariance, since C_i has length one,
* has with w_j the cosine of emotions i and j, on average over the covariance's dimensions.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from probes.vectors.normalize import normalize

N_SETS = 1000
_AT_ONCE = 100


@dataclass(frozen=True)
class RandomSets:
    """Which directions each set is mixed of, and how; `lengths` are those of the mixtures."""

    members: Int[Tensor, "set member"]
    mixing: Float[Tensor, "emotion member"]
    norms: Float[Tensor, "direction"]
    lengths: Float[Tensor, "set emotion"]

    def along(self, scores: Float[Tensor, "direction"]) -> Float[Tensor, "set emotion"]:
        """Return scores along each mixture, from those along the directions, of length one each."""
        mixed = einsum(
            (scores * self.norms)[self.members], self.mixing, "set m, emotion m -> set emotion"
        )
        return mixed / self.lengths


def random_sets(
    vectors: Float[Tensor, "emotion d_model"],
    random: Float[Tensor, "direction d_model"],
    seed: int,
    n_sets: int = N_SETS,
) -> RandomSets:
    """Mix sets of as many directions as there are emotions, each of directions drawn anew."""
    unit, wide = normalize(vectors.double()), random.double()
    values, basis = torch.linalg.eigh(unit @ unit.T)
    mixing = basis * values.clamp(min=0).sqrt()
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n_sets, len(random), generator=generator)
    members = drawn.topk(len(vectors), dim=1).indices
    products, lengths = wide @ wide.T, []
    for some in members.split(_AT_ONCE):
        row, column = rearrange(some, "set m -> set m 1"), rearrange(some, "set m -> set 1 m")
        of_set = products[row, column]
        mixed = einsum(mixing, of_set, "emotion m, set m other -> set emotion other")
        square = reduce(mixed * mixing, "set emotion m -> set emotion", "sum")
        lengths.append(square.clamp(min=0).sqrt())
    return RandomSets(members, mixing, wide.norm(dim=1), torch.cat(lengths))
