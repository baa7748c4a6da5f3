"""Tables of choices: ranges name their ends, changes that may be none are left out."""

import random
from dataclasses import replace

from pydantic import TypeAdapter

from probes.analysis.findings import Estimate
from probes.experiments.decoding.choice_table import (
    ChoiceLine,
    Statistics,
    changes_of,
    choice_bars,
    spans,
    written,
)


def statistics(valence, accuracy, arousal=None):
    return {"valence": valence, "arousal": arousal, "accuracy": accuracy, "clusters": None}


OWN = ChoiceLine(
    name="own", change=None, **statistics(Estimate(0.8, 0.6, 0.9), Estimate(0.4, 0.3, 0.5))
)
FALL, MAYBE = Estimate(-0.2, -0.3, -0.1), Estimate(0.1, -0.1, 0.3)
CHANGE = Statistics(**statistics(MAYBE, FALL))
DOT = ChoiceLine(
    name="dot", change=CHANGE, **statistics(Estimate(0.9, 0.7, 0.95), Estimate(0.2, 0.1, 0.3))
)


def test_a_range_names_the_choices_at_its_ends_and_leaves_out_what_nobody_compared():
    ranges = spans([OWN, DOT])
    assert str(ranges["accuracy"]) == "0.20 (dot) to 0.40 (own)"
    assert ranges["clusters"] is None
    assert written([OWN, DOT]) == (
        "valence |r| 0.80 (own) to 0.90 (dot); held-out accuracy 0.20 (dot) to 0.40 (own)"
    )


def test_changes_are_those_whose_interval_keeps_clear_of_zero():
    assert changes_of([OWN, DOT]) == {"own": {}, "dot": {"accuracy": FALL}}
    same = replace(DOT, change=Statistics(**statistics(Estimate(0.0, 0.0, 0.0), FALL)))
    assert changes_of([OWN, same])["dot"] == {"accuracy": FALL}


def test_of_many_choices_that_change_nothing_hardly_any_is_named():
    """60 changes, 100 times: by single intervals some are named nearly every time."""
    generator, named, clear = random.Random(0), 0, 0
    for _ in range(100):
        lines = []
        for number in range(30):
            drawn = [generator.gauss(0, 1) for _ in range(2)]
            changes = [Estimate(it, it - 1.96, it + 1.96) for it in drawn]
            clear += any(it.low > 0 or it.high < 0 for it in changes)
            lines.append(replace(DOT, name=str(number), change=Statistics(**statistics(*changes))))
        named += any(changes_of(lines).values())
    assert named <= 12
    assert clear > 200


def test_a_file_says_which_line_is_the_runs_own():
    kept = [TypeAdapter(ChoiceLine).dump_python(line) for line in (OWN, DOT)]
    assert [line["own"] for line in kept] == [True, False]
    assert TypeAdapter(ChoiceLine).validate_python(kept[1]) == DOT


def test_bars_color_the_runs_own_choice():
    bars = choice_bars([OWN, DOT], title="t", subtitle="s", caption="c.")
    assert bars.categories == ("|r|: own", "|r|: dot", "accuracy: own", "accuracy: dot")
    assert bars.parts[0].values == (0.8, 0.0, 0.4, 0.0)
