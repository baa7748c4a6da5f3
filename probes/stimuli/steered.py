"""Which of a run's emotions are steered with: each costs passes of the model, reading costs none.

By default 24 that people have rated, spread over valence and arousal, and those of the scenarios.
"""

from collections.abc import Collection, Sequence
from functools import cache

from probes.stimuli._data import read_yaml
from probes.stimuli.situations import scenarios
from probes.stimuli.words import emotions


@cache
def steered_by_default() -> tuple[str, ...]:
    """Return 30 of the 171, in their order."""
    rated = {name for names in read_yaml("steered.yaml").values() for name in names}
    chosen = rated | {it.emotion for it in scenarios() if it.emotion is not None}
    return tuple(name for name in emotions() if name in chosen)


def steered_of(
    run: Sequence[str], asked: Collection[str] | None, also: Collection[str] = ()
) -> list[str]:
    """Choose among a run's emotions, in their order: those asked for, or those of the default.

    By default a run with no more emotions than those is steered with all of its own, and so is one
    that has fewer than two of them: one alone can be compared with nothing. `also` joins the
    default, and nothing that was asked for.
    """
    default = steered_by_default()
    wanted = set(default if asked is None else asked)
    if asked is None and (len(run) <= len(default) or len(wanted & {*run}) < 2):
        return list(run)
    wanted |= set(also) if asked is None else set()
    return [name for name in run if name in wanted]
