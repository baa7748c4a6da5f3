"""The logit lens beyond valence: do vectors name their emotion among emotions of the same side.

Names are dealt out anew among pleasant and among unpleasant emotions only, so that promoting
pleasant words earns nothing. By emotion: the standardized logit (over readable tokens) of its word
under its own vector, beside those under the other vectors of its side; corrected for how many
emotions there are (Benjamini & Hochberg).
"""

from collections.abc import Sequence

import torch
from einops import reduce
from jaxtyping import Bool, Float, Int
from scipy.stats import false_discovery_control
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Estimate
from probes.analysis.intervals import binomial_interval
from probes.analysis.logit_lens import named_hits, own_tokens
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.results import LensBeyond


def lens_within_side(
    logits: Float[Tensor, "emotion d_vocab"],
    readable: Bool[Tensor, "d_vocab"],
    ids_of_own_words: Sequence[Sequence[int]],
    side: Int[Tensor, "emotion"],
    *,
    top_k: int,
    n_shuffles: int,
    seed: int,
) -> LensBeyond | None:
    """Judge the own word's place among the first `top_k`; None unless each side has two emotions.

    Emotions on no side are left out.
    """
    rows = torch.nonzero(side)[:, 0]
    group = side[rows]
    if min(int((group == each).sum()) for each in (1, -1)) < 2:
        return None
    ids = [ids_of_own_words[row] for row in rows.tolist()]
    hits = named_hits(logits[rows], readable, ids, top_k).double()
    each = torch.arange(len(rows))
    orders = permute_within(each, (group > 0).long(), n_shuffles, seed)
    shuffled = reduce(hits[each, orders], "shuffle emotion -> shuffle", "mean")
    right = hits.diagonal()
    return LensBeyond(
        share=Estimate(float(right.mean()), *binomial_interval(int(right.sum()), len(right))),
        shuffled=float(shuffled.mean()),
        shuffled_95=float(shuffled.quantile(0.95)),
        p=permutation_p_value(float(right.mean()), shuffled, "greater"),
        n_shuffles=n_shuffles,
        n=len(right),
        alone=_by_themselves(logits[rows], readable, ids, group),
    )


def _by_themselves(
    logits: Float[Tensor, "emotion d_vocab"],
    readable: Bool[Tensor, "d_vocab"],
    ids: Sequence[Sequence[int]],
    group: Int[Tensor, "emotion"],
) -> int:
    """Count emotions whose word rises more by their own vector than by others of their side."""
    among = logits[:, readable]
    level, spread = among.mean(dim=1), among.std(dim=1).clamp(min=1e-30)
    p = []
    for own, tokens in enumerate(own_tokens(readable, ids, len(logits))):
        if not len(tokens):
            p.append(1.0)
            continue
        score = (logits[:, tokens].amax(dim=1) - level) / spread
        rivals = score[(group == group[own]) & (torch.arange(len(group)) != own)]
        p.append(permutation_p_value(float(score[own]), rivals, "greater"))
    return int((false_discovery_control(p) < SIGNIFICANT).sum())
